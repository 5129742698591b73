"""One run at a time writes an output on a store."""

import json
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.storage import lease
from facemill.transforms.storage.lease import HeldError, Lease
from facemill.transforms.storage.stores import access
from facemill.transforms.storage.stores.errors import TransientError

OTHER = {"run": "other", "host": "far away", "process": 1, "machine": "another boot", "beat": 1}


@pytest.fixture
def fast(monkeypatch):
    """A house in which hearts beat often."""
    monkeypatch.setattr(lease, "_BEAT", 0.1)
    monkeypatch.setattr(lease, "_POLL", 0.03)


@pytest.fixture
def no_waiting(monkeypatch):
    """A wait fails the test."""

    def sleep(seconds: float) -> None:
        raise AssertionError("it waited")

    clock = SimpleNamespace(sleep=sleep, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr(lease, "time", clock)


def lease_of(root: str) -> dict:
    return json.loads(storage.read_bytes(f"{root}/.lease"))


def write(root: str, **changed: object) -> None:
    storage.write_atomically(f"{root}/.lease", json.dumps({**OTHER, **changed}).encode())


def process_that_ended() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def eventually(condition) -> None:
    """Waits until something holds, which other threads bring about."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came about")


def test_a_lease_names_its_holder_and_is_deleted_by_release(root):
    held = Lease(root)
    found = lease_of(root)
    assert found["process"] == os.getpid()
    assert {"run", "host", "machine", "started", "beat"} <= set(found)
    held.check()
    held.release()
    assert not storage.exists(root)
    # Nobody renews it any more.
    assert not held._thread.is_alive()


def test_a_second_run_is_refused_while_the_first_lives(root, fast, capsys):
    with storage.hold(root):
        with pytest.raises(HeldError) as caught, storage.hold(root):
            raise AssertionError("held twice")
        assert f"a run of process {os.getpid()} on" in caught.value.holder
        assert "looking for up to" in capsys.readouterr().err
    with storage.hold(root):
        pass


def test_the_lease_of_a_dead_run_elsewhere_is_taken_over_when_it_expires(root, fast, monkeypatch):
    monkeypatch.setattr(lease, "_EXPIRY", 1.0)
    write(root)
    held = Lease(root)
    assert lease_of(root)["run"] == held._holder["run"]
    held.check()
    held.release()


def test_the_lease_of_a_dead_process_here_is_taken_over_at_once(root, no_waiting):
    child = process_that_ended()
    write(root, machine=lease._machine(), process=child)
    held = Lease(root)
    held.check()
    held.release()


def test_a_process_of_the_same_number_elsewhere_is_not_taken_for_dead():
    child = process_that_ended()
    dead = {**OTHER, "process": child}
    assert not lease._is_dead(dead)
    assert not lease._is_dead({**dead, "machine": ""})
    assert not lease._is_dead({})
    assert lease._is_dead({**dead, "machine": lease._machine()})
    assert not lease._is_dead({**dead, "machine": lease._machine(), "process": os.getpid()})


@pytest.mark.moderate
@pytest.mark.parametrize("content", [b"", b"no json", b"[]"])
def test_a_damaged_lease_expires_too(root, fast, monkeypatch, content):
    monkeypatch.setattr(lease, "_EXPIRY", 1.0)
    storage.write_atomically(f"{root}/.lease", content)
    Lease(root).release()
    assert not storage.exists(root)


def test_a_living_holder_renews_its_lease(root, fast):
    with storage.hold(root) as check:
        eventually(lambda: lease_of(root)["beat"] > 3)
        check()


def test_a_holder_that_lost_its_lease_is_told_and_leaves_the_other_one(root, fast):
    with storage.hold(root) as check:
        check()
        write(root)
        # At once, by asking the store, and from then on.
        for _ in range(2):
            with pytest.raises(RunError, match=r"another run took it over .*process 1 on far away"):
                check()
    assert lease_of(root) == OTHER


def test_the_thread_that_renews_notices_the_loss_by_itself(root, fast):
    held = Lease(root)
    write(root)
    eventually(lambda: held._lost)
    held.release()
    assert lease_of(root) == OTHER


def test_a_deleted_lease_is_lost(root, fast):
    with storage.hold(root) as check:
        storage.remove(f"{root}/.lease")
        with pytest.raises(RunError, match="it was deleted"):
            check()


def test_an_answer_that_was_lost_does_not_lose_the_lease(root, fast, no_waiting, monkeypatch):
    store = access._store(root, access.parse(root))
    real = store.put
    losses = iter(range(3))

    def put(key, data, only_if=None):
        version = real(key, data, only_if)
        if next(losses, None) is not None:
            raise TransientError("the answer was lost")
        return version

    monkeypatch.setattr(store, "put", put)
    held = Lease(root)
    eventually(lambda: next(losses, None) is None and held._beats > 4)
    held.check()
    held.release()


def test_an_outage_does_not_lose_the_lease(root, store, fast):
    with storage.hold(root) as check:
        store.proxy.behavior.cut_until = time.monotonic() + 0.5
        beats = lease_of(root)["beat"]
        eventually(lambda: lease_of(root)["beat"] > beats + 1)
        check()


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.slow
def test_of_two_runs_that_start_at_the_same_moment_exactly_one_wins(root, fast, capsys, dead):
    def run(folder: str, start: threading.Barrier, outcomes: list[str], done: threading.Event):
        start.wait()
        try:
            held = Lease(folder)
        except HeldError:
            outcomes.append("refused")
            done.set()
            return
        outcomes.append("won")
        # As long as the other one looks.
        done.wait(30)
        held.release()

    gone = process_that_ended()
    for number in range(20):
        folder = f"{root}/{number}"
        if dead:
            write(folder, machine=lease._machine(), process=gone)
        outcomes: list[str] = []
        given = folder, threading.Barrier(2), outcomes, threading.Event()
        runs = [threading.Thread(target=run, args=given) for _ in range(2)]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        assert sorted(outcomes) == ["refused", "won"], number
