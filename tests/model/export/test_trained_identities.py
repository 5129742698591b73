import numpy as np
import pytest

from facemill.model.export import trained_identities
from facemill.model.export.trained_identities import hashes_of, to_bytes
from facemill.transforms.core.errors import RunError


def test_spellings_of_one_name_have_one_hash():
    spellings = ["Zo\u00eb Ada", "Zoe\u0308_Ada", " zoë  ada ", "ZOË ADA"]
    assert len(set(hashes_of(spellings).tolist())) == 1
    assert len(set(hashes_of(["Ada", "Adam", "Ada L"]).tolist())) == 3


def test_a_model_keeps_each_identity_once_in_order(tmp_path):
    content = to_bytes(["b", "a", "B", "c"])
    assert content == to_bytes(["c", "a", "b"])
    (tmp_path / trained_identities.FILE).write_bytes(content)
    manifest = {"files": [{"path": trained_identities.FILE, "bytes": len(content)}]}
    found = trained_identities.read(str(tmp_path), manifest)
    np.testing.assert_array_equal(found, np.sort(hashes_of(["a", "b", "c"])))
    assert trained_identities.read(str(tmp_path), {"files": []}) is None


def test_a_damaged_file_is_refused(tmp_path):
    manifest = {"files": [{"path": trained_identities.FILE, "bytes": 8}]}
    for content in (b"", b"1234567"):
        (tmp_path / trained_identities.FILE).write_bytes(content)
        with pytest.raises(RunError, match="must have the 8 bytes"):
            trained_identities.read(str(tmp_path), manifest)
