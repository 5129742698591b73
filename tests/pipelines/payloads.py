"""Reads what the steps of a Beam graph carry to the workers, for tests of portability."""

import base64
import bz2
import io
import os
import pickle
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2 as api
from google.protobuf import wrappers_pb2

# What is installed on every worker. The standard library does not count `__main__`.
_INSTALLED = {
    *("facemill", "apache_beam", "numpy", "pyarrow"),
    *("tensorflow", "tensorflow_metadata", "tensorflow_transform", "tfx_bsl"),
    *sys.stdlib_module_names,
}
# Beam compresses a pickle with bz2 and writes it in base64; this is how the text begins.
_NESTED = re.compile(rb"QlpoO[A-Za-z0-9+/]+=*")
# An absolute path under a folder of this machine, which is no part of a URL or of a label.
_PATH = re.compile(
    r"(?<![\w/.:>)-])/(?:{})(?:/[^\0-\x1f'\"\\\x7f-\xff ]*)?".format(
        "|".join(map(re.escape, os.listdir("/")))
    ).encode()
)

_WITHOUT_PICKLE = (
    *("", common_urns.primitives.IMPULSE.urn, common_urns.primitives.FLATTEN.urn),
    common_urns.primitives.GROUP_BY_KEY.urn,
    # Its window function is that of a windowing strategy too.
    common_urns.primitives.ASSIGN_WINDOWS.urn,
)
_COMBINING = (
    common_urns.composites.COMBINE_PER_KEY.urn,
    common_urns.combine_components.COMBINE_GROUPED_VALUES.urn,
)


@dataclass(frozen=True)
class Payload:
    """A pickle that a worker opens.

    Attributes:
        owner: the step that needs it, or the id of the coder or of the windowing strategy.
        data: the pickle, without Beam's compression.
    """

    owner: str
    data: bytes

    @property
    def modules(self) -> set[str]:
        """Modules that the worker imports to open it, or that its functions were defined in."""
        recorder = _Recorder(io.BytesIO(self.data))
        recorder.load()
        main = {"__main__"} if b"__main__" in self.data else set()
        return recorder.modules | main

    @property
    def paths(self) -> set[str]:
        """Absolute paths in it."""
        return {found.decode("ascii", "replace") for found in _PATH.findall(self.data)}


class _Recorder(pickle.Unpickler):
    """Notes the modules that a pickle names."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        found = super().find_class(module, name)
        if name != "subimport":
            return found

        def subimport(wanted: str) -> Any:
            self.modules.add(wanted)
            return found(wanted)

        return subimport


def payloads(pipeline: beam.Pipeline) -> list[Payload]:
    """All pickles that workers open: of functions, sources, windows and coders.

    Args:
        pipeline: a built pipeline that has not run.
    """
    found: list[Payload] = []
    for owner, encoded in _encoded(pipeline.to_runner_api().components):
        waiting = [encoded]
        while waiting:
            data = _uncompressed(waiting.pop())
            found.append(Payload(owner, data))
            waiting += _NESTED.findall(data)
    return found


def _encoded(components: api.Components) -> Iterator[tuple[str, bytes]]:
    for one in components.transforms.values():
        # Composites are not run, though some are pickled.
        if one.subtransforms or one.spec.urn in (*_WITHOUT_PICKLE, python_urns.PICKLED_TRANSFORM):
            continue
        if one.spec.urn == common_urns.primitives.PAR_DO.urn:
            step = api.ParDoPayload.FromString(one.spec.payload)
            # Beam's own step that adds the key None is known by its name alone.
            if step.do_fn.urn != python_urns.KEY_WITH_NONE_DOFN:
                yield one.unique_name, step.do_fn.payload
            for side in step.side_inputs.values():
                yield one.unique_name, side.view_fn.payload
        elif one.spec.urn in _COMBINING:
            payload = api.CombinePayload.FromString(one.spec.payload)
            yield one.unique_name, payload.combine_fn.payload
        else:
            raise AssertionError(f"{one.unique_name}: no test reads what {one.spec.urn} carries")
    for key, coder in components.coders.items():
        if coder.spec.urn == python_urns.PICKLED_CODER:
            # "RowsCoder$" and then the pickle.
            named = wrappers_pb2.BytesValue.FromString(coder.spec.payload).value
            yield key, named.partition(b"$")[2]
    for key, strategy in components.windowing_strategies.items():
        if strategy.window_fn.urn == python_urns.PICKLED_WINDOWFN:
            yield key, strategy.window_fn.payload


def _uncompressed(encoded: bytes) -> bytes:
    packed = base64.b64decode(encoded)
    return (bz2 if packed.startswith(b"BZh") else zlib).decompress(packed)


def check_installed(found: Iterable[Payload]) -> None:
    """Fails where a worker needs the main session, or a module that only the launcher has."""
    for payload in found:
        foreign = {name for name in payload.modules if name.split(".")[0] not in _INSTALLED}
        assert not foreign, f"{payload.owner} needs {', '.join(sorted(foreign))}"


def check_paths(found: Iterable[Payload], roots: Iterable[str]) -> None:
    """Fails where a worker gets a path that does not lie under one of the roots.

    Args:
        found: the graph's payloads.
        roots: folders that all workers see.
    """
    below = tuple(f"{root}/" for root in roots)
    for payload in found:
        strays = {path for path in payload.paths if not f"{path}/".startswith(below)}
        assert not strays, f"{payload.owner} holds {', '.join(sorted(strays))}"


def check_words(found: Iterable[Payload], words: Iterable[str]) -> None:
    """Fails where a worker gets one of the words, such as the launcher's name."""
    for payload in found:
        for word in words:
            assert word.encode() not in payload.data, f"{payload.owner} holds {word}"
