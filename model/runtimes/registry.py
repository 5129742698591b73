"""Which runtime runs a model here, and loading it as a function from crops to embeddings."""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from facemill.model.runtimes.base import Description, Runtime, is_installed, need
from facemill.model.runtimes.choices import AUTO, LITERT, ONNX, RUNTIMES, TENSORFLOW
from facemill.model.runtimes.embedder import ImageEmbedder
from facemill.model.runtimes.formats import format_of
from facemill.model.runtimes.spec import RuntimeSpec, specs_of
from facemill.transforms.core.errors import ParameterError

_PACKAGE = "facemill.model.runtimes"
# Kind to module and class.
_CLASSES = {
    LITERT: ("litert_runtime", "LiteRT"),
    ONNX: ("onnx_runtime", "OnnxRuntime"),
    TENSORFLOW: ("tensorflow_runtime", "TensorFlow"),
}
# Images in one call of a file that takes any number. Above it, the activations leave the caches of
# a core: MobileFaceNet then takes a quarter more time for an image.
_IN_CALL = 8


def choose(
    manifest: Mapping[str, Any], runtime: str = AUTO, export_format: str | None = None
) -> RuntimeSpec:
    """How a model is run on this machine.

    Args:
        manifest: of the model.
        runtime: one of RUNTIMES, or `auto` for the first in the manifest that is installed here.
        export_format: one of EXPORT_FORMATS, of which the model has a file; None for any.

    Raises:
        ParameterError: the model has no file for the runtime, or of the format.
        RunError: the manifest is damaged.
    """
    specs = specs_of(manifest)
    if export_format is not None:
        there = [name for one in specs if (name := format_of(one.file))]
        specs = [one for one in specs if format_of(one.file) == export_format]
        if not specs:
            raise ParameterError(
                "export_format",
                export_format,
                must="be one in which the model was exported",
                but=f"it has {' and '.join(there) or 'a file that others made'} only",
                do="give one of these" if there else "leave it out",
            )
    if runtime == AUTO:
        return next((one for one in specs if is_installed(_module(one.kind).MODULE)), specs[0])
    for one in specs:
        if one.kind == runtime:
            return one
    raise ParameterError(
        "runtime",
        runtime,
        must=f"be {AUTO} or one that the model has a file for",
        but=f"it has one for {' and '.join(one.kind for one in specs)} only, not for {runtime}",
        do="give one of these",
    )


def loader(
    manifest: Mapping[str, Any], spec: RuntimeSpec, batch_size: int, threads: int
) -> Callable[[str], ImageEmbedder]:
    """What loads the model in a worker process: a function that can be pickled.

    Args:
        manifest: of the model.
        spec: what `choose` gave.
        batch_size: images that are given to the model together.
        threads: calls at a time in each process, where the runtime itself uses one thread.

    Returns:
        Path of the network's file or folder -> the model.
    """
    return functools.partial(load, spec, manifest["embedding_size"], batch_size, threads)


def load(
    spec: RuntimeSpec, embedding_size: int | None, batch_size: int, threads: int, path: str
) -> ImageEmbedder:
    """The model as a function from crops to embeddings.

    Args:
        spec: how its network is called.
        embedding_size: D, or None to take what the network gives.
        batch_size: images that are given to the model together.
        threads: calls at a time.
        path: of the network's file or folder, on a disk.

    Raises:
        MissingPackageError: the runtime is not installed.
        ParameterError: it cannot load the file.
    """
    batch = _batch(spec, batch_size)
    # TensorFlow divides each call among threads of its own.
    copies = 1 if spec.kind == TENSORFLOW else min(threads, -(-batch_size // batch))
    runtimes = [network(spec, path, batch) for _ in range(copies)]
    return ImageEmbedder(runtimes, spec, batch, embedding_size)


def network(spec: RuntimeSpec, path: str, batch: int) -> Runtime:
    """One loaded network.

    Args:
        spec: how it is called.
        path: of its file or folder, on a disk.
        batch: images in each call.

    Raises:
        MissingPackageError: the runtime is not installed.
        ParameterError: it cannot load the file.
    """
    found: Runtime = getattr(_module(spec.kind), _CLASSES[spec.kind][1])(path, spec, batch)
    return found


def describe(kind: str, path: str, signature: str | None = None) -> Description:
    """What a file tells of its network.

    Args:
        kind: one of RUNTIMES.
        path: of the file or folder, on a disk.
        signature: of a SavedModel; None for its default.

    Raises:
        MissingPackageError: the runtime is not installed.
        ParameterError: it cannot load the file, or the signature is not there.
    """
    found: Callable[..., Description] = _module(kind).describe
    return found(path, signature) if kind == TENSORFLOW else found(path)


def installed() -> Sequence[str]:
    """The runtimes whose packages are installed here."""
    return [kind for kind in RUNTIMES if is_installed(_module(kind).MODULE)]


def _batch(spec: RuntimeSpec, batch_size: int) -> int:
    """Images in each call."""
    if spec.batch is not None:
        return spec.batch
    return batch_size if spec.kind == TENSORFLOW else _IN_CALL


def installed_module(kind: str) -> str:
    """The name of the package that a runtime imports when it is first needed, such as tensorflow.

    Args:
        kind: one of RUNTIMES.

    Raises:
        MissingPackageError: it is not installed.
    """
    module = _module(kind)
    need(module.PACKAGE, module.MODULE, module.EXTRA)
    return str(module.MODULE)


def _module(kind: str) -> Any:
    return importlib.import_module(f"{_PACKAGE}.{_CLASSES[kind][0]}")
