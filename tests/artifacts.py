"""The content of an artifact, to compare two artifacts."""

import hashlib
from pathlib import Path

# tensorflow-transform names the nodes of its graph anew in each run, and run.json describes
# the run.
_CHANGING = {
    "run.json",
    "transform/transform_fn/saved_model.pb",
    "transform/transform_fn/fingerprint.pb",
}


def contents(root: Path) -> dict[str, str]:
    """SHA-256 of every file that must be the same in every run, by its path."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if str(path.relative_to(root)) not in _CHANGING
    }
