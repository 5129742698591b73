import os
from pathlib import Path

import pytest

from facemill.transforms.core import cores


@pytest.fixture
def without_quota(monkeypatch):
    monkeypatch.setattr(cores, "quota", lambda: None)


def test_only_cores_in_the_affinity_of_the_process_count(monkeypatch, without_quota):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    assert cores.usable() == 3


def test_all_cores_count_if_the_system_has_no_affinity(monkeypatch, without_quota):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores.usable() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable() == 1


def system(root: Path, groups: str, **files: str) -> str:
    """A tree with the process's groups and the files of control groups, by their paths."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("", None),
        ("nonsense\n", None),
    ],
)
def test_a_quota_is_rounded_up(tmp_path, text, count):
    assert cores.quota(system(tmp_path, "0::/\n", **{"cpu.max": text})) == count


def test_the_smallest_quota_of_all_groups_above_holds(tmp_path):
    files = {
        "cpu.max": "800000 100000",
        "pods/cpu.max": "300000 100000",
        "pods/one/cpu.max": "max 100000",
        "other/cpu.max": "100000 100000",
    }
    assert cores.quota(system(tmp_path, "0::/pods/one\n", **files)) == 3


def test_a_group_that_is_named_as_outside_of_the_container_has_the_quota_of_its_top(tmp_path):
    files = {"cpu.max": "400000 100000"}
    assert cores.quota(system(tmp_path, "0::/../../docker/0123\n", **files)) == 4


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "count"), [("250000", 3), ("-1", None), ("0", None)])
def test_a_quota_of_version_1_counts(tmp_path, folder, quota, count):
    files = {
        f"{folder}/docker/0123/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/docker/0123/cpu.cfs_period_us": "100000\n",
    }
    groups = "5:memory:/docker/0123\n4:cpu,cpuacct:/docker/0123\n0::/\n"
    assert cores.quota(system(tmp_path, groups, **files)) == count


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert cores.quota(str(tmp_path)) is None


@pytest.mark.parametrize(("quota", "count"), [(2, 2), (8, 3), (None, 3)])
def test_the_smaller_of_affinity_and_quota_counts(monkeypatch, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    monkeypatch.setattr(cores, "quota", lambda: quota)
    assert cores.usable() == count
