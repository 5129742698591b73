"""Workers that meet and part, each a thread of this process."""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from facemill.model.training import link as links
from facemill.model.training import meeting
from facemill.model.training.cluster import Cluster
from facemill.transforms.core.errors import ParameterError, RunError, UsageError

ABOUT = {"learning_rate": 0.1, "milestones": (1.0, 2.0)}


class LostError(Exception):
    """Stands for what TensorFlow raises when another worker has gone."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(meeting, "_SECONDS_BETWEEN", 0.02)
    monkeypatch.setattr(meeting, "_SECONDS_OF_SILENCE", 0.1)
    monkeypatch.setattr(meeting, "_SECONDS_FOR_OTHERS", 2.0)
    monkeypatch.setattr(links, "_SECONDS_TO_BLAME", 5.0)


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


@pytest.fixture
def hosts():
    return tuple(f"localhost:{port}" for port in free_ports(3))


def all_of(hosts, work, indices=None):
    """What each worker's work returns or raises, by index."""

    def outcome(index):
        try:
            return work(Cluster(hosts, index))
        except Exception as error:  # noqa: BLE001
            return error

    indices = range(len(hosts)) if indices is None else indices
    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(outcome, indices))


def met(hosts, said=None):
    say = (lambda text: None) if said is None else said.append
    return all_of(hosts, lambda cluster: meeting.meet(cluster, ABOUT, 20, say))


def test_all_workers_start_and_end_together(hosts):
    ended = []

    def work(cluster):
        link = meeting.meet(cluster, ABOUT, 20)
        with link.together((LostError,)):
            assert link.ready()
            assert link.unless_failed(lambda: 5) == 5
            if not cluster.is_chief:
                link.wait()
        ended.append(cluster.index)
        return link.failure

    assert all_of(hosts, work) == [None, None, None]
    assert sorted(ended) == [0, 1, 2]


def test_where_the_chief_has_nothing_to_do_the_others_end_well(hosts):
    def work(cluster):
        link = meeting.meet(cluster, ABOUT, 20)
        with link.together((LostError,)):
            return None if cluster.is_chief else link.ready()

    assert all_of(hosts, work) == [None, False, False]


def test_workers_with_other_options_are_refused_on_all(hosts):
    def work(cluster):
        more = {"learning_rate": 0.2} if cluster.index == 2 else {}
        return meeting.meet(cluster, {**ABOUT, **more}, 20)

    for error in all_of(hosts, work):
        assert isinstance(error, UsageError)
        said = r"worker 2 \(localhost:\d+\) has others \(learning_rate: 0.2 there, 0.1 on worker 0"
        assert re.search(said, str(error))


def test_a_worker_that_comes_after_another_was_refused_is_told_as_well(hosts):
    def work(cluster):
        if cluster.index == 1:
            time.sleep(0.3)
        return meeting.meet(cluster, {"learning_rate": float(cluster.index == 2)}, 20)

    found = [str(error) for error in all_of(hosts, work)]
    assert all("has others (learning_rate: 1.0 there, 0.0 on worker 0)" in one for one in found)


def test_workers_with_other_hosts_are_refused(hosts):
    other = (*hosts[:2], "elsewhere:1")

    def work(index):
        return lambda cluster: meeting.meet(Cluster(hosts if index == 0 else other, index), {}, 20)

    found = all_of(hosts, lambda cluster: work(cluster.index)(cluster), indices=(0, 1))
    for error in found:
        assert isinstance(error, UsageError)
        assert "must be the same list on all workers, got" in str(error)
        assert "elsewhere:1 on another; give all the same." in str(error)


def test_a_port_in_use_is_reported(hosts):
    _, port = Cluster(hosts, 1).address(1)
    with socket.create_server(("", port)), pytest.raises(ParameterError) as refused:
        meeting.meet(Cluster(hosts, 1), ABOUT, 20)
    assert str(refused.value) == (
        f"`worker_hosts` must give worker 1 ({hosts[1]}) a free port, but another process of this "
        f"machine uses {port}; end that process or give another port on all workers."
    )


def test_who_does_not_come_is_named_by_both_sides(hosts):
    said: list[str] = []
    with pytest.raises(RunError, match=rf"but worker 1 \({hosts[1]}\), worker 2 .* did not answer"):
        meeting.meet(Cluster(hosts, 0), ABOUT, 0.3, said.append)
    with pytest.raises(RunError, match=rf"but worker 0 \({hosts[0]}\) did not answer \(Connection"):
        meeting.meet(Cluster(hosts, 1), ABOUT, 0.3, said.append)
    assert said[0].startswith("waiting for worker 1")
    assert said[1].startswith("waiting for worker 0")


def test_strangers_and_those_that_come_back_are_no_trouble(hosts):
    been_there = threading.Event()

    def stranger():
        while True:
            try:
                with socket.create_connection(Cluster(hosts, 0).address(0), 5) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                # A worker that ends before all are there.
                with socket.create_connection(Cluster(hosts, 0).address(0), 5) as connection:
                    greeting = {"facemill": {**ABOUT, "milestones": [1.0, 2.0]}, "index": 1}
                    links.write(connection, {**greeting, "hosts": list(hosts)})
                been_there.set()
                return
            except ConnectionRefusedError:
                time.sleep(0.01)

    def work(cluster):
        if cluster.index == 1:
            stranger()
        if cluster.index == 2:
            been_there.wait(20)
        return meeting.meet(cluster, ABOUT, 20)

    assert [type(one) for one in all_of(hosts, work)] == [links.Link] * 3


def test_a_worker_that_dies_is_named_to_all_others(hosts):
    chief, dead, other = met(hosts)
    aborted: list[str] = []
    gone = threading.Event()

    def abort(sentence):
        aborted.append(sentence)
        gone.set()

    chief.call_on_failure(abort)
    # As the kernel does for a process that was killed.
    for one in dead._connections.values():
        one.shutdown(socket.SHUT_RDWR)
    assert gone.wait(10)
    with pytest.raises(RunError) as raised, chief.together((LostError,)):
        raise LostError
    expected = (
        f"All workers must stay until the end, but worker 1 ({hosts[1]}) has gone; start the same "
        "command again on every worker, and the run goes on from its last checkpoint."
    )
    assert str(raised.value) == expected
    assert aborted == [expected]
    with pytest.raises(RunError, match=re.escape(expected)):
        other.wait()


def test_what_waits_for_a_dead_worker_is_left_behind(hosts):
    chief, dead, _ = met(hosts)
    forever = threading.Event()
    for one in dead._connections.values():
        one.shutdown(socket.SHUT_RDWR)
    with pytest.raises(RunError, match=r"worker 1 .* has gone"):
        chief.unless_failed(forever.wait)
    forever.set()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RunError("The loss must be finite; lower it."), "Worker 0 (HOST) has ended the run: The"),
        (KeyboardInterrupt(), "but worker 0 (HOST) was interrupted; start the same command"),
        (TypeError("no\nnumber"), "but worker 0 (HOST) failed (TypeError), of which its own"),
        (LostError(), "but worker 0 (HOST) failed (LostError)"),
    ],
)
def test_the_others_hear_why_a_worker_ended(hosts, error, said, monkeypatch):
    monkeypatch.setattr(links, "_SECONDS_TO_BLAME", 0.1)
    chief, _, other = met(hosts)
    with pytest.raises(type(error)), chief.together((LostError,)):
        raise error
    with pytest.raises(RunError, match=re.escape(said.replace("HOST", hosts[0]))):
        other.wait()
