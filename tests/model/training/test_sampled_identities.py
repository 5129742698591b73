import dataclasses

import numpy as np
import pytest

from facemill.model.heads.sampling import Sample, draw
from facemill.transforms.core.errors import ParameterError
from tests.model.training.one_step import ONE_STEP, one_step


@pytest.mark.moderate
def test_a_step_changes_the_drawn_centers_alone_and_has_a_finite_loss(trainer, transform):
    recipe = dataclasses.replace(
        ONE_STEP, sample_identities=0.01, batch_size=3, momentum=0.9, weight_decay=0.1
    )
    trained = trainer(recipe)
    before, after = one_step(trained)
    (name,) = (one for one in before if one.endswith("centers"))
    changed = np.any(before[name] != after[name], axis=1)
    count = len(transform.identities)
    # The three images of the batch show one to three identities.
    assert 1 <= changed.sum() <= 3 < count
    assert np.isfinite(trained.history.losses).all()
    own = np.flatnonzero(changed)
    drawn = draw(own, count, Sample(0.01, recipe.seed), 0)
    np.testing.assert_array_equal(drawn.identities, own)


def test_another_optimizer_or_head_is_refused():
    with pytest.raises(ParameterError, match="`sample_identities` must be 1 with the head triplet"):
        dataclasses.replace(ONE_STEP, head="triplet", sample_identities=0.5)
