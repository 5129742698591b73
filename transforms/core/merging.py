"""Joins several streams: all their elements, or their values by key."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.typehints import trivial_inference


class Merge(beam.PTransform):
    """A tuple of streams of one type -> one stream of all their elements.

    Portable runners refuse a Flatten if one of its inputs is also read by a step that cannot be
    fused with it, such as a grouping or a side input (Beam's issue 34647). So each input passes
    through a step of its own, whose output nothing else reads.
    """

    def expand(self, streams: Any) -> beam.PCollection:
        """Builds the graph."""
        copies = [
            stream | f"Input{number}" >> beam.Map(_same).with_output_types(stream.element_type)
            for number, stream in enumerate(streams)
        ]
        return copies | "All" >> beam.Flatten()


class CoGroup(beam.PTransform):
    """A dict of streams of (key, value) by name -> (key, lists of values by name).

    Beam's CoGroupByKey loses the types of the values before it groups them, so it pickles them.
    Here each value is encoded by its stream's own coder.

    Raises:
        TypeError: the keys of the streams are not of one type.
    """

    def expand(self, streams: Any) -> beam.PCollection:
        """Builds the graph."""
        names = tuple(streams)
        types = [trivial_inference.key_value_types(streams[name].element_type) for name in names]
        keys = {key for key, _ in types}
        if len(keys) != 1:
            raise TypeError(
                f"{', '.join(names)} must have keys of one type, got {keys}; give them type hints."
            )
        (key,) = keys
        value_coders = [coders.registry.get_coder(value) for _, value in types]
        tagged = [
            streams[name]
            | f"Tag{name.title().replace('_', '')}"
            >> beam.MapTuple(functools.partial(_tagged, number, coder)).with_output_types(
                tuple[key, tuple[int, bytes]]  # type: ignore[valid-type]
            )
            for number, (name, coder) in enumerate(zip(names, value_coders, strict=True))
        ]
        return (
            tagged
            | "All" >> beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Collect"
            >> beam.MapTuple(functools.partial(_collected, names, value_coders)).with_output_types(
                tuple[key, dict[str, list[Any]]]  # type: ignore[valid-type]
            )
        )


def _same(element: Any) -> Any:
    return element


def _tagged(number: int, coder: coders.Coder, key: Any, value: Any) -> Any:
    return key, (number, coder.encode(value))


def _collected(
    names: Sequence[str],
    value_coders: Sequence[coders.Coder],
    key: Any,
    values: Iterable[tuple[int, bytes]],
) -> Any:
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number, encoded in values:
        found[names[number]].append(value_coders[number].decode(encoded))
    return key, found
