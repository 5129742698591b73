import subprocess
import sys

import numpy as np
import pytest

from tests.model.heads import replicas


@pytest.mark.long
def test_two_replicas_have_the_losses_and_weights_of_one(tmp_path):
    path = str(tmp_path / "found.npz")
    command = [sys.executable, "-m", "tests.model.heads.replicas", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(path)
    names = [one.removesuffix(" 1") for one in found.files if one.endswith(" 1")]
    assert {one.split()[0] for one in names} == set(replicas.RECIPES)
    for name in names:
        np.testing.assert_allclose(
            found[f"{name} 2"], found[f"{name} 1"], rtol=1e-5, atol=1e-6, err_msg=name
        )
    assert all(found[f"{name} 0 1"].all() for name in replicas.RECIPES)
