"""Counts the stages of a Beam graph as Flink runs it.

The rules are those of Beam's `GreedyPipelineFuser` (Java), which Flink's runner uses:

- Impulse, GroupByKey and Reshuffle are the runner's own. So is a Flatten whose inputs come from
  several stages.
- A step with side inputs, or with state, begins a stage of its own.
- A collection is kept inside its stage if all of its consumers can follow in that stage and none
  reads it as a side input; otherwise it is handed over, and its consumers begin new stages: those
  without side inputs together, each of the others alone.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2 as api

_FLATTEN = common_urns.primitives.FLATTEN.urn
_RESHUFFLE = common_urns.composites.RESHUFFLE.urn
_PAR_DO = common_urns.primitives.PAR_DO.urn
_NATIVE = {
    common_urns.primitives.IMPULSE.urn,
    common_urns.primitives.GROUP_BY_KEY.urn,
    _RESHUFFLE,
}


@dataclass(frozen=True)
class Stages:
    """What a graph is fused into.

    Attributes:
        python: labels of the steps of each stage that runs in Python.
        native: labels of the steps that the runner itself runs.
    """

    python: list[list[str]]
    native: list[str]

    @property
    def vertices(self) -> int:
        """All of them."""
        return len(self.python) + len(self.native)


def stages(pipeline: beam.Pipeline) -> Stages:
    """The stages of a pipeline.

    Args:
        pipeline: a built pipeline that has not run.
    """
    return _Fuser(pipeline.to_runner_api().components).fused()


class _Fuser:
    def __init__(self, components: api.Components) -> None:
        self._steps: dict[str, api.PTransform] = {}
        tops = {one for step in components.transforms.values() for one in step.subtransforms}
        for key in components.transforms:
            if key not in tops:
                self._collect(key, components)
        self._consumers: dict[str, list[str]] = defaultdict(list)
        self._read_aside: set[str] = set()
        for key, step in self._steps.items():
            for tag, stream in step.inputs.items():
                if tag in self._sides(step):
                    self._read_aside.add(stream)
                else:
                    self._consumers[stream].append(key)

    def fused(self) -> Stages:
        """Fuses all steps."""
        python: list[list[str]] = []
        producers: dict[str, int] = defaultdict(int)
        # Consumers of what the runner's own steps and finished stages hand over.
        waiting = deque(
            stream
            for step in self._steps.values()
            if step.spec.urn in _NATIVE
            for stream in step.outputs.values()
        )
        seen: set[str] = set()
        while waiting:
            stream = waiting.popleft()
            if stream in seen:
                continue
            seen.add(stream)
            for begun in self._siblings(stream):
                fused, given = self._stage(begun)
                python.append([self._steps[one].unique_name for one in fused])
                waiting += given
                for one in given:
                    producers[one] += 1
        native = [one.unique_name for one in self._steps.values() if one.spec.urn in _NATIVE]
        # What several stages hand over is merged by the runner.
        native += [f"Merge {stream}" for stream, count in producers.items() if count > 1]
        return Stages(python, native)

    def _collect(self, key: str, components: api.Components) -> None:
        """Notes the steps that are run: those without parts, and those the runner knows."""
        step = components.transforms[key]
        if step.subtransforms and step.spec.urn != _RESHUFFLE:
            for one in step.subtransforms:
                self._collect(one, components)
        elif step.spec.urn:
            self._steps[key] = step

    def _siblings(self, stream: str) -> Iterable[list[str]]:
        """The stages that begin with a collection, each by its first steps."""
        ours = [one for one in self._consumers[stream] if self._steps[one].spec.urn not in _NATIVE]
        together = [one for one in ours if self._follows(one)]
        yield from ([one] for one in ours if one not in together)
        if together:
            yield together

    def _stage(self, begun: list[str]) -> tuple[list[str], list[str]]:
        """The steps of a stage, and the collections that it hands over."""
        fused, given = list(begun), []
        waiting = [stream for one in begun for stream in self._steps[one].outputs.values()]
        seen: set[str] = set()
        while waiting:
            stream = waiting.pop()
            if stream in seen:
                continue
            seen.add(stream)
            consumers = self._consumers[stream]
            if stream in self._read_aside or not all(map(self._follows, consumers)):
                given.append(stream)
                continue
            for one in consumers:
                if one not in fused:
                    fused.append(one)
                    waiting += self._steps[one].outputs.values()
        return fused, given

    def _follows(self, key: str) -> bool:
        """Whether a step can run in the stage of its input."""
        step = self._steps[key]
        if step.spec.urn in _NATIVE or self._sides(step):
            return False
        if step.spec.urn != _PAR_DO:
            return True
        payload = api.ParDoPayload.FromString(step.spec.payload)
        return not (payload.state_specs or payload.timer_family_specs)

    def _sides(self, step: api.PTransform) -> set[str]:
        """Tags of a step's side inputs."""
        if step.spec.urn != _PAR_DO:
            return set()
        return set(api.ParDoPayload.FromString(step.spec.payload).side_inputs)
