"""Reads a Beam graph as runners get it, for tests."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam import coders
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

# Steps inside Beam's own transforms, which type what they exchange as they like.
_OF_BEAM = re.compile(
    "/(KeyWithVoid|CombinePerKey|UnKey|InjectDefault|DoOnce|ReshufflePerKey|Combine)(/|$)"
    "|/(AllSizes|Count)/GroupByKey$"
)
_GROUP = common_urns.primitives.GROUP_BY_KEY.urn
_FLATTEN = common_urns.primitives.FLATTEN.urn


@dataclass(frozen=True)
class Stream:
    """A PCollection.

    Attributes:
        step: label of the step that gives it.
        coder: of its elements.
        consumers: labels of the steps that read it.
    """

    step: str
    coder: coders.Coder
    consumers: tuple[str, ...]

    @property
    def has_pickles(self) -> bool:
        """Whether any part of an element is encoded by a coder for every Python object.

        The values of dicts are not checked: receipts are dicts, and so is what a grouping of
        several streams passes to the next step of the same worker.
        """
        return any(isinstance(one, _PICKLING) for one in _parts(self.coder))


_PICKLING = (
    *(coders.FastPrimitivesCoder, coders.PickleCoder, coders.CloudpickleCoder, coders.DillCoder),
    type(coders.FastPrimitivesCoder().as_deterministic_coder("any")),
)


class Graph:
    """The steps and streams of a pipeline.

    Args:
        pipeline: a built pipeline that has not run.
    """

    def __init__(self, pipeline: beam.Pipeline) -> None:
        proto, context = pipeline.to_runner_api(return_context=True)
        transforms = proto.components.transforms
        self._leaves = {key: one for key, one in transforms.items() if not one.subtransforms}
        consumers: dict[str, list[str]] = {key: [] for key in proto.components.pcollections}
        producers: dict[str, str] = {}
        for one in self._leaves.values():
            for stream in one.inputs.values():
                consumers[stream].append(one.unique_name)
            for stream in one.outputs.values():
                producers.setdefault(stream, one.unique_name)
        self._streams = {
            key: Stream(
                producers.get(key, ""),
                context.coders[collection.coder_id],
                tuple(consumers[key]),
            )
            for key, collection in proto.components.pcollections.items()
        }

    @property
    def streams(self) -> list[Stream]:
        """All streams."""
        return list(self._streams.values())

    @property
    def steps(self) -> list[str]:
        """Labels of all steps."""
        return [one.unique_name for one in self._leaves.values()]

    def grouped(self) -> dict[str, Stream]:
        """What each GroupByKey reads, by the label of the step."""
        return {one.unique_name: stream for one, stream in self._inputs(_GROUP)}

    def flattened(self) -> list[tuple[str, Stream]]:
        """What each Flatten reads, with the label of the step."""
        return [(one.unique_name, stream) for one, stream in self._inputs(_FLATTEN)]

    def _inputs(self, urn: str) -> Iterator[tuple[beam_runner_api_pb2.PTransform, Stream]]:
        for one in self._leaves.values():
            if one.spec.urn == urn:
                for stream in one.inputs.values():
                    yield one, self._streams[stream]


def check(graph: Graph, foreign: str = "\0") -> set[str]:
    """Fails where a grouping depends on how one process encodes, or a graph on how a runner fuses.

    Args:
        graph: the graph.
        foreign: beginning of the labels of steps that others have written.

    Returns:
        Labels of the steps whose elements are pickled all the same.
    """

    def is_ours(step: str) -> bool:
        return not (_OF_BEAM.search(step) or step.startswith(foreign))

    groupings = {step: stream for step, stream in graph.grouped().items() if is_ours(step)}
    assert groupings
    for step, stream in groupings.items():
        assert stream.coder.is_kv_coder(), step
        assert not stream.has_pickles, f"{step} reads {stream.coder}"
        assert stream.coder.is_deterministic(), f"{step} reads {stream.coder}"
    for step, stream in graph.flattened():
        if is_ours(step):
            assert stream.consumers == (step,), f"{stream.step} is read by {stream.consumers}"
    return {one.step for one in graph.streams if one.has_pickles and is_ours(one.step)}


def _parts(coder: coders.Coder) -> Iterator[coders.Coder]:
    yield coder
    for part in coder._get_component_coders() or ():
        yield from _parts(part)
