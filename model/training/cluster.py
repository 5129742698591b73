"""The processes that train one model together, each on a machine or a port of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facemill.transforms.core.errors import ParameterError, UsageError

# The jobs of TF_CONFIG whose tasks train; the first of them leads.
_JOBS = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """All workers, and which of them this process is.

    Attributes:
        hosts: `host:port` of each, the same list in the same order on all.
        index: of this process; worker 0 leads, and it alone writes the artifact.
    """

    hosts: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        """Checks hosts and index.

        Raises:
            ParameterError: one of them cannot be used.
        """
        for host in self.hosts:
            name, _, port = host.rpartition(":")
            if not name or not port.isdigit() or not 0 < int(port) < 65_536:
                raise ParameterError(
                    "worker_hosts",
                    self.hosts,
                    must="be a list such as host1:2222,host2:2222",
                    got=repr(host),
                    do="give each worker a host and a port of 1 to 65535",
                )
        if len(set(self.hosts)) < len(self.hosts):
            raise ParameterError(
                "worker_hosts",
                self.hosts,
                must="name each worker once",
                got=",".join(self.hosts),
                do="give two workers of one machine two ports",
            )
        if not 0 <= self.index < len(self.hosts):
            raise ParameterError(
                "worker_index",
                self.index,
                must=f"be 0 to {len(self.hosts) - 1}, as there are {len(self.hosts)} workers",
                do="give this worker's place in `worker_hosts`",
            )

    @property
    def count(self) -> int:
        """The number of workers."""
        return len(self.hosts)

    @property
    def is_chief(self) -> bool:
        """Whether this process leads."""
        return self.index == 0

    def name(self, index: int) -> str:
        """A worker as sentences call it, such as `worker 1 (host2:2222)`."""
        return f"worker {index} ({self.hosts[index]})"

    def address(self, index: int) -> tuple[str, int]:
        """Host and port of a worker, as sockets take them."""
        host, _, port = self.hosts[index].rpartition(":")
        return host.strip("[]"), int(port)


def from_tf_config(text: str) -> Cluster | None:
    """The cluster that TF_CONFIG describes, as Kubeflow and others set it.

    Args:
        text: JSON with `cluster` (lists of `host:port` for `worker`, and for `chief` if there is
            one) and `task` (`type` and `index` of this process).

    Returns:
        None if it names no more than one worker.

    Raises:
        UsageError: it cannot be read, or names tasks that do not train.
    """
    try:
        value = json.loads(text)
        jobs = {name: list(hosts) for name, hosts in value.get("cluster", {}).items()}
        if sum(map(len, jobs.values())) < 2:
            return None
        job, place = value["task"]["type"], int(value["task"]["index"])
        others = sorted(({*jobs} | {job}) - set(_JOBS))
        if others:
            raise UsageError(
                f"TF_CONFIG must have tasks of {' and '.join(_JOBS)} alone, got {others[0]}; "
                "start no command for others, and leave them out of its cluster."
            )
        return Cluster(_ordered(jobs), _index(jobs, job, place))
    # What JSON of another form raises.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            "TF_CONFIG must be JSON with a cluster of workers and the task of this one, but "
            f"{text[:200]!r} is not ({type(error).__name__}); mend it, unset it, or give "
            "`worker_hosts` and `worker_index`."
        ) from None


def _ordered(jobs: dict[str, list[Any]]) -> tuple[str, ...]:
    return tuple(str(host) for job in _JOBS for host in jobs.get(job, ()))


def _index(jobs: dict[str, list[Any]], job: str, place: int) -> int:
    if not 0 <= place < len(jobs[job]):
        raise UsageError(
            f"The task of TF_CONFIG must be one of its cluster, got {job} {place} of "
            f"{len(jobs[job])}; mend it."
        )
    before: Sequence[str] = _JOBS[: _JOBS.index(job)]
    return sum(len(jobs.get(name, ())) for name in before) + place
