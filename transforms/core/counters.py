"""Beam counters of facemill's jobs, which a runner shows while a job runs."""

from typing import Any

from apache_beam.metrics import Metrics, MetricsFilter

NAMESPACE = "facemill"


def count(name: str, by: int = 1) -> None:
    """Adds to a counter; only steps of a graph may call it.

    Args:
        name: of the counter; that of a time ends in `_ms` for milliseconds.
        by: what is added.
    """
    Metrics.counter(NAMESPACE, name).inc(by)


def values(result: Any) -> dict[str, int]:
    """The counters of a job by name; empty where its runner does not tell them.

    They are what the runner says of all attempts: work that was done twice may count twice.

    Args:
        result: a `beam.runners.runner.PipelineResult`.
    """
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    # Runners raise errors of their own, such as NotImplementedError or an RPC's.
    except Exception:  # noqa: BLE001 - a job that has ended well must not fail for its counters
        return {}
    sums: dict[str, int] = {}
    for one in found:
        name = one.key.metric.name
        sums[name] = sums.get(name, 0) + (
            one.committed if one.committed is not None else one.attempted
        )
    return dict(sorted(sums.items()))
