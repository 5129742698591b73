import dataclasses

import pytest

from facemill.model.networks.cost import Cost
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.memory import Memory
from facemill.pipelines.train import plan
from facemill.pipelines.train.cautions import with_flags

PLAN = plan.Plan(
    recipe=Recipe(batch_size=64, epochs=10, warmup_epochs=1),
    size=Cost(1_000_000, 2_000, 50_000_000),
    head=12_800,
    epoch_steps=100,
    steps=1000,
    splits={
        "train": {"records": 6400, "identities": 100},
        "val": {"records": 600, "identities": 10},
    },
    memory=Memory(
        program=10**9,
        weights=4 * 10**6,
        head=10**5,
        optimizer=4 * 10**6,
        average=0,
        gradients=4 * 10**6,
        activations=2 * 10**9,
        input=10**8,
    ),
    usable=16 * 10**9,
    gpu=None,
    replicas=1,
)


def test_the_lines_say_what_would_be_trained():
    text = "\n".join(plan.lines(PLAN))
    for part in (
        "6,400 images of 100 identities",
        "600 images of 10 identities",
        "1,000, 10 epochs of 100",
        "1.00 M parameters, 100 MFLOPs an image",
        "arcface: 12,800 weights",
        "19.2 TFLOPs for 64,000 images",
        "about 3.1 GB of 16.0 GB that may be used",
        "activations",
        "2.0 GB",
    ):
        assert part in text
    # Parts that are not there take no line.
    assert "average" not in text
    assert "GPU" not in text


@pytest.mark.parametrize(
    ("usable", "said"),
    [
        *((3_000_000_000, "does not fit"), (3_500_000_000, "may not fit")),
        *((4_000_000_000, None), (None, None)),
    ],
)
def test_a_run_that_cannot_fit_is_told_before(usable, said):
    text = plan.memory_warning(dataclasses.replace(PLAN, usable=usable))
    if said is None:
        assert text is None
        return
    assert f"The run {said} into memory: it takes about 3.1 GB" in text
    assert "largest part is activations; lower --batch-size" in with_flags(text)
    assert plan.warnings(dataclasses.replace(PLAN, usable=usable)) == [text]


def test_the_memory_of_a_gpu_counts_where_there_is_one():
    on_gpu = dataclasses.replace(PLAN, gpu=10**9, replicas=2, usable=64 * 10**9)
    text = plan.memory_warning(on_gpu)
    assert "does not fit into memory: it takes about 1.0 GB, and each GPU has 1.0 GB" in text
    assert "1.0 GB of it on each GPU, which has 1.0 GB" in "\n".join(plan.lines(on_gpu))
    assert plan.memory_warning(dataclasses.replace(on_gpu, gpu=2 * 10**9)) is None


@pytest.mark.parametrize(
    ("part", "help_"),
    [
        ("head", "--sample-identities"),
        ("activations", "--accumulate"),
        ("input", "--validation-pairs"),
        ("weights", "--backbone"),
        ("optimizer", "--optimizer"),
    ],
)
def test_the_warning_says_what_lowers_the_largest_part(part, help_):
    large = dataclasses.replace(PLAN.memory, **{part: 10**12})
    assert help_ in with_flags(plan.memory_warning(dataclasses.replace(PLAN, memory=large)))


def test_cautions_are_among_the_warnings():
    short = dataclasses.replace(PLAN, steps=50)
    assert plan.cautions(short) == plan.warnings(short)
    assert "rises over 100 steps" in plan.warnings(short)[0]
