import pytest

from facemill.model.training.history import History


def test_repeated_steps_replace_earlier_ones(tmp_path):
    history = History(str(tmp_path))
    history.add_steps(0, [5.0, 4.0, 3.0], [0.1, 0.2, 0.3])
    history.add_steps(2, [2.5, 2.0], [0.4, 0.5])
    assert history.losses == [5.0, 4.0, 2.5, 2.0]
    assert history.rates == [0.1, 0.2, 0.4, 0.5]
    assert history.mean_loss(2) == pytest.approx(2.25)
    assert history.mean_loss(100) == pytest.approx(13.5 / 4)


def test_a_validation_replaces_its_own_step_and_later_ones(tmp_path):
    history = History(str(tmp_path))
    for step in (2, 4, 6, 4):
        history.add_validation(step, {"accuracy": step / 10})
    assert history.validation == [{"step": 2, "accuracy": 0.2}, {"step": 4, "accuracy": 0.4}]


def test_history_saved_with_a_checkpoint_is_loaded(tmp_path):
    history = History(str(tmp_path))
    history.add_steps(0, [0.1 + 0.2, 1e-30], [0.1, 0.2])
    history.save(2)
    history.add_steps(2, [1.0], [0.3])
    history.add_validation(3, {"accuracy": 0.5})
    history.save(3)
    again = History(str(tmp_path))
    again.load(2)
    assert (again.losses, again.rates, again.validation) == ([0.1 + 0.2, 1e-30], [0.1, 0.2], [])
    again.load(3)
    assert (again.losses, again.validation) == (history.losses, history.validation)


def test_files_of_checkpoints_that_are_gone_are_removed_and_no_others(tmp_path):
    history = History(str(tmp_path))
    for step in (1, 2, 12):
        history.save(step)
    (tmp_path / "ckpt-1.index").write_text("")
    history.forget([str(tmp_path / "ckpt-2"), str(tmp_path / "ckpt-12")])
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["ckpt-1.index", "history-12.json", "history-2.json"]


def test_the_csv_has_a_line_for_each_step_and_figures_where_there_was_a_validation(tmp_path):
    history = History(str(tmp_path))
    history.add_steps(0, [5.0, 4.5], [0.1, 0.2])
    history.add_validation(2, {"accuracy": 0.75})
    assert history.to_csv() == "step,loss,learning_rate,accuracy\n1,5.0,0.1,\n2,4.5,0.2,0.75\n"


def test_gradient_norms_replace_those_of_repeated_steps_and_keep_four_digits(tmp_path):
    history = History(str(tmp_path))
    history.add_gradients(0, {1: [1.23456, 2.0]})
    history.add_gradients(20, {21: [3.0, 4.0]})
    history.add_gradients(20, {21: [5.0, 6e-9]})
    assert history.gradients == [
        {"step": 1, "norms": [1.235, 2.0]},
        {"step": 21, "norms": [5.0, 6e-9]},
    ]
