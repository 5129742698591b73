import numpy as np
import pytest

from facemill.model.data.validation_pairs import Pairs, Scores
from facemill.model.training import pair_intervals, stopping


def made(identities: int, pairs: int) -> tuple[Scores, Pairs]:
    """Pairs of as many identities; each impostor pair takes the next one's image."""
    draw = np.random.default_rng(3)
    names = [f"id{index // 2 % identities}" for index in range(2 * pairs)]
    genuine = np.arange(2 * pairs).reshape(pairs, 2)
    impostor = np.stack([genuine[:, 0], np.roll(genuine[:, 1], 1)], axis=1)
    scores = Scores(draw.normal(0.6, 0.2, pairs), draw.normal(0.1, 0.2, pairs))
    return scores, Pairs([], genuine, impostor, names, names)


def test_each_figure_lies_in_its_interval():
    scores, pairs = made(20, 200)
    figures, found = stopping.figures(scores), pair_intervals.of(scores, pairs)
    assert list(found) == list(figures) == ["accuracy", "equal_error_rate", "tar_at_fmr_0.01"]
    for name, (low, high) in found.items():
        assert 0 <= low <= figures[name] <= high <= 1
        assert high - low > 0.005


def test_many_pairs_of_few_identities_say_less_than_those_of_many():
    def width(identities: int) -> float:
        scores, pairs = made(identities, 400)
        owners = np.array([int(name[2:]) for name in pairs.identities])[::2]
        # Some identities are hard.
        hard = scores.genuine - 0.4 * (owners % 2)
        low, high = pair_intervals.of(Scores(hard, scores.impostor), pairs)["accuracy"]
        return high - low

    assert width(4) > 1.5 * width(400)


def test_one_identity_has_no_interval():
    assert pair_intervals.of(*made(1, 50)) == {}


def test_the_rate_is_read_from_the_name():
    assert stopping.rate_of("tar_at_fmr_0.001") == pytest.approx(0.001)
