"""Prints the locked dependencies of the worker image: what this environment has installed of them.

`make lock` writes deploy/constraints.txt with it. Names and versions only: no address of a
registry, no path.
"""

import re
from importlib import metadata
from pathlib import Path

import tomllib
from packaging.requirements import Requirement

# As deploy/image/install.sh installs them.
EXTRAS = ("detect", "onnx", "heif", "aws", "gcp")
_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def locked() -> dict[str, str]:
    """Versions of all packages that facemill with `EXTRAS` needs, by name."""
    project = tomllib.loads(_PROJECT.read_text("utf-8"))["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    for extra in EXTRAS:
        waiting += map(Requirement, project["optional-dependencies"][extra])
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        needed = waiting.pop()
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        for extra in ("", *needed.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            distribution = metadata.distribution(name)
            found[name] = distribution.version
            for one in map(Requirement, distribution.requires or ()):
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    waiting.append(one)
    return found


if __name__ == "__main__":
    for name, version in sorted(locked().items()):
        print(f"{name}=={version}")
