import sys
import threading

import pytest

from facemill.pipelines.common import progress
from facemill.pipelines.common.progress import Progress


@pytest.mark.parametrize(
    ("count", "total", "seconds", "line"),
    [
        (0, None, 0.0, "images read: 0 (0/s)"),
        (1500, None, 10.0, "images read: 1,500 (150/s)"),
        (1500, 4500, 10.0, "images read: 1,500 of 4,500 (150/s, 0.3 min left)"),
        (0, 4500, 10.0, "images read: 0 of 4,500 (0/s)"),
        (4500, 4500, 10.0, "images read: 4,500 of 4,500, finishing"),
    ],
)
def test_a_line_shows_count_rate_and_time_left(count, total, seconds, line):
    assert Progress("images read", lambda: 0).line(count, total, seconds) == line


@pytest.mark.parametrize("live", [True, False])
def test_lines_are_printed_while_the_block_runs(monkeypatch, capsys, live):
    monkeypatch.setattr(progress, "_SECONDS", 0.01)
    monkeypatch.setattr(progress, "_SECONDS_IN_A_LOG", 0.01)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: live)
    asked = threading.Event()
    counts = []

    def count() -> int:
        counts.append(len(counts))
        # The first count is that of what was done before the block.
        if len(counts) == 4:
            asked.set()
        return len(counts)

    with Progress("images", count, lambda: 100):
        assert asked.wait(60)
    printed = capsys.readouterr().err
    assert "images: 2 of 100" in printed
    assert "images: 3 of 100" in printed
    # A person sees one line that moves; a log has one line after the other.
    assert printed.startswith("\r") == live
    assert (printed.count("\n") > 1) != live


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), ValueError("name")])
def test_a_count_that_fails_is_tried_again(monkeypatch, capsys, error):
    monkeypatch.setattr(progress, "_SECONDS_IN_A_LOG", 0.01)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    asked = threading.Event()
    counts = []

    def count() -> int:
        counts.append(len(counts))
        if len(counts) < 3:
            raise error
        if len(counts) == 5:
            asked.set()
        return len(counts)

    with Progress("images", count):
        assert asked.wait(60)
    printed = capsys.readouterr().err
    assert printed.startswith("images: 3 (")
    assert "Traceback" not in printed


def pauses_of(monkeypatch, seconds, counts, live=False) -> list[float]:
    """The pauses before lines, where each count takes some seconds and gives some number."""
    now = [0.0]
    pauses = []

    def count() -> int:
        at = len(pauses) - 1
        now[0] += seconds[at]
        return counts[at]

    class Done:
        def wait(self, pause: float) -> bool:
            pauses.append(pause)
            return len(pauses) > len(counts)

    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: live)
    watched = Progress("images", count)
    watched._done = Done()
    watched._started = 0.0
    watched._watch()
    return pauses


def test_counting_takes_a_small_part_of_the_time(monkeypatch):
    # The folder grows, so each count takes longer; lines still come every ten seconds.
    seconds = [0, 0.2, 0.4, 1, 3]
    assert pauses_of(monkeypatch, seconds, [1] * 5, live=True) == pytest.approx([2, 2, 4, 8, 9, 9])


def test_a_log_has_a_line_soon_after_the_first_step_and_then_every_ten_seconds(monkeypatch):
    pauses = pauses_of(monkeypatch, [0] * 5, [0, 0, 0, 7, 9])
    assert pauses == [4, 4, 4, 4, 9, 9]
    assert max(pauses[:4]) < 5
    assert max(pauses) < 10


def test_nothing_is_printed_for_a_short_block(capsys):
    with Progress("images", lambda: 1):
        pass
    assert capsys.readouterr().err == ""


def test_a_failure_inside_is_passed_on():
    with pytest.raises(ZeroDivisionError), Progress("images", lambda: 1):
        _ = 1 / 0


def test_what_an_earlier_run_did_counts_for_no_rate():
    with Progress("steps trained", lambda: 900) as progress:
        assert (
            progress.line(1_000, 2_000, 10) == "steps trained: 1,000 of 2,000 (10/s, 1.7 min left)"
        )
