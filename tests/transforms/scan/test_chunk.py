import subprocess
import sys

from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.sources.base import Ref


def test_a_chunk_gives_back_its_references():
    refs = [
        Ref(f"ada/{row}.jpg", "ada", f"ada/{row}.jpg", attributes=(("a", "b"),)) for row in (1, 2)
    ]
    chunk = Chunk.of(7, refs)
    assert (chunk.number, chunk.count, chunk.refs) == (7, 2, refs)


def test_what_scan_workers_import_does_not_need_beam():
    # They would pay its import, a second of CPU each.
    code = (
        "import sys; from facemill.transforms.scan import chunk, scan_chunk; "
        "sys.exit('apache_beam' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
