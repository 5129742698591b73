from pathlib import Path

import pytest

from facemill.transforms.core import memory
from tests.transforms.core.test_cores import system

MEMINFO = "MemTotal:       24000000 kB\nMemFree: 1 kB\nMemAvailable:    2000000 kB\n"
LEFT = 2_000_000 * 1024


def machine(root: Path, groups: str = "0::/\n", **files: str) -> str:
    path = system(root, groups, **files)
    (root / "proc/meminfo").write_text(MEMINFO)
    (root / "proc/self/status").write_text("Name:\tpython\nVmRSS:\t  5000 kB\n")
    return path


def test_the_memory_that_is_left_and_that_of_the_process_itself_may_be_used(tmp_path):
    assert memory.usable(machine(tmp_path)) == LEFT + 5000 * 1024
    assert memory.resident(str(tmp_path)) == 5000 * 1024


@pytest.mark.parametrize(
    ("text", "limit"), [("1000000\n", 1_000_000), ("max\n", None), ("nonsense", None), ("0", None)]
)
def test_a_limit_of_version_2_holds(tmp_path, text, limit):
    root = machine(tmp_path, "0::/pods/one\n", **{"pods/memory.max": text})
    assert memory.usable(root) == (limit or LEFT + 5000 * 1024)


def test_the_smallest_limit_of_all_groups_above_holds(tmp_path):
    files = {"memory.max": "900", "pods/memory.max": "300", "pods/one/memory.max": "500"}
    assert memory.usable(machine(tmp_path, "0::/pods/one\n", **files)) == 300


@pytest.mark.parametrize(("text", "limit"), [("4096\n", 4096), (str(2**63 - 4096), None)])
def test_a_limit_of_version_1_holds(tmp_path, text, limit):
    files = {"memory/docker/0123/memory.limit_in_bytes": text}
    root = machine(tmp_path, "5:memory:/docker/0123\n4:cpu:/\n", **files)
    assert memory.usable(root) == (limit or LEFT + 5000 * 1024)


def test_a_system_that_says_nothing_gives_none(tmp_path):
    assert memory.usable(str(tmp_path)) is None
    assert memory.resident(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("size", "said"),
    [
        *((0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 KB"), (12_345_678, "12 MB")),
        *((999_600, "1.0 MB"), (1_440_000_000, "1.4 GB"), (1.2e12, "1,200.0 GB")),
    ],
)
def test_sizes_are_said_as_people_write_them(size, said):
    assert memory.words(size) == said
