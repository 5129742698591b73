import pytest

from tests.pipelines.evaluate.handmade import PAIRS


@pytest.fixture
def pairs_file(tmp_path) -> str:
    path = tmp_path / "pairs.txt"
    path.write_text(PAIRS)
    return str(path)
