from facemill.model.training import state

HERE = {"network/dense/kernel": (64, 9), "head/kernel": (9, 12), "step/step": ()}


def test_equal_shapes_do_not_differ():
    assert state.differences(HERE, dict(HERE)) == []


def test_each_difference_names_the_variable_and_both_shapes():
    there = {"network/dense/kernel": (64, 16), "head/bias": (12,), "step/step": ()}
    assert state.differences(there, HERE) == [
        "head/bias: there 12, here none",
        "head/kernel: there none, here 9 x 12",
        "network/dense/kernel: there 64 x 16, here 64 x 9",
    ]
    assert state.differences({**HERE, "step/step": (2,)}, HERE) == [
        "step/step: there 2, here a number"
    ]


def test_a_summary_has_the_first_differences_and_counts_the_others():
    assert state.summary(["a", "b"]) == "a; b"
    assert state.summary(list("abcde")) == "a; b; c; and 2 more"
