import subprocess
import sys

import numpy as np
import pytest

from tests.model import tiny
from tests.model.training.matrix import CASES, STEPS
from tests.model.training.test_meeting import free_ports


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one replica, two replicas and both workers found, by their names."""
    dataset, folder = tiny.dataset(tmp_path_factory), tmp_path_factory.mktemp("matrix")
    ports = ",".join(map(str, free_ports(2)))
    jobs = {"replicas": ["replicas"], "worker 0": [ports, "0"], "worker 1": [ports, "1"]}
    processes = []
    for name, arguments in jobs.items():
        with open(folder / f"{name}.log", "w") as log:
            command = (sys.executable, "-m", "tests.model.training.matrix")
            paths = (str(dataset), str(folder / f"{name}.npz"))
            processes.append(
                subprocess.Popen([*command, *paths, *arguments], stdout=log, stderr=log)
            )
    for name, process in zip(jobs, processes, strict=True):
        assert process.wait(timeout=3600) == 0, (folder / f"{name}.log").read_text()[-2000:]
    results = {name: np.load(folder / f"{name}.npz") for name in jobs}
    of_replicas = results.pop("replicas")
    for count, name in ((1, "one replica"), (2, "two replicas")):
        kept = [key for key in of_replicas.files if key.startswith(f"{count}/")]
        results[name] = {key.partition("/")[2]: of_replicas[key] for key in kept}
    return results


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, "synchronized float64", "synchronized float32"])
def test_replicas_and_workers_end_with_the_losses_and_weights_of_one(found, case):
    one = {key: value for key, value in found["one replica"].items() if key.startswith(f"{case}/")}
    losses = one[f"{case}/losses"]
    assert len(losses) == STEPS
    assert np.isfinite(losses).all()
    tolerance = 1e-12 if "float64" in case else 1e-5
    for others in ("two replicas", "worker 0", "worker 1"):
        for key, expected in one.items():
            np.testing.assert_allclose(
                found[others][key], expected, rtol=tolerance, atol=tolerance, err_msg=others + key
            )
