import keras
import numpy as np
import pytest

from facemill.model.training.best_weights import BestWeights


@pytest.fixture
def network():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])


def rows(*accuracies: float) -> list[dict]:
    return [{"step": 10 * at, "accuracy": one} for at, one in enumerate(accuracies, 1)]


def test_the_weights_of_the_best_validation_come_back(network, capsys):
    best = BestWeights(network, wanted=True)
    accuracies = (0.5, 0.8, 0.7, 0.8)
    for at in range(len(accuracies)):
        network.set_weights([np.full((2, 1), at, np.float32)])
        best.keep(rows(*accuracies[: at + 1]))
    best.restore(rows(*accuracies))
    np.testing.assert_array_equal(network.get_weights()[0], 1)
    said = capsys.readouterr().err
    assert "weights of step 20 are kept" in said
    assert "best accuracy (80.00%) of 4 validations" in said


def test_nothing_is_kept_where_it_is_not_wanted(network):
    best = BestWeights(network, wanted=False)
    best.keep(rows(0.5))
    assert best.variables == []
