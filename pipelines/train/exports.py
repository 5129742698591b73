"""The files of a trained model: written, compared with the network, measured beside each other."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from facemill.model.data import tfdata, train_images
from facemill.model.data.validation_pairs import Pairs, first, score_vectors
from facemill.model.export import comparison, keras_file, onnx_graph, saved_model, tflite
from facemill.model.export.embedder import Embedder
from facemill.model.runtimes import formats, registry
from facemill.model.runtimes.base import Runtime
from facemill.model.runtimes.embedder import ImageEmbedder
from facemill.model.runtimes.spec import SAVED_MODEL, RuntimeSpec
from facemill.transforms import storage
from facemill.transforms.dataset.writing import Work

# Images of the val pairs on which files are compared, at most; train images where there are none.
_COMPARED = 1024
_CALIBRATION = 256
_BATCH = 32
# For the latency.
_BATCHES = (1, 32)


@dataclass(frozen=True)
class Exports:
    """What was exported.

    Attributes:
        runtimes: entries of the manifest, in the order of preference.
        table: `exports` of the manifest: figures of each file.
        names: the files and folders, relative to the artifact.
        sizes: bytes by format; a SavedModel's differ by some from run to run, as names in its graph
            do.
        latency: CPU milliseconds for an image by format and batch, which no two runs have alike.
        warnings: sentences about files that differ from the network.
    """

    runtimes: Sequence[dict[str, Any]]
    table: dict[str, Any]
    names: Sequence[str]
    sizes: dict[str, int]
    latency: dict[str, dict[str, float]]
    warnings: Sequence[str]


def check_packages(chosen: Sequence[str]) -> None:
    """Checks that what a format needs is installed.

    Args:
        chosen: of EXPORT_FORMATS.

    Raises:
        MissingPackageError: it is not.
    """
    if formats.ONNX_FILE in chosen:
        onnx_graph.check_packages()


def write(
    work: Work,
    embedder: Embedder,
    crop_fraction: float | None,
    chosen: Sequence[str],
    dataset: str,
    manifest: dict[str, Any],
    pairs: Pairs | None,
) -> Exports:
    """Writes the SavedModel and the chosen formats, compares and measures them on the CPU.

    Args:
        work: the run.
        embedder: with trained weights.
        crop_fraction: see `saved_model.Exported`.
        chosen: of EXPORT_FORMATS.
        dataset: its path, for calibration.
        manifest: of the dataset.
        pairs: of the val split, or None.
    """
    listed = [name for name in formats.EXPORT_FORMATS if name in {*chosen, formats.SAVED_MODEL}]
    calibration = None
    if pairs is None or formats.TFLITE_INT8 in listed:
        calibration = train_images.read(dataset, manifest, _CALIBRATION)
    specs = {name: _write_one(name, work, embedder, crop_fraction, calibration) for name in listed}
    compared = None if pairs is None else first(pairs, _COMPARED)
    pixels = _images(compared, calibration, embedder.image_size)
    # GPUs round otherwise, and run none of the other formats.
    with tf.device("/CPU:0"):
        entries, warnings = [], []
        trained = _batched(tf.function(embedder.embed, reduce_retracing=True))(pixels)
        calls = {name: _calls(name, spec, work) for name, spec in specs.items()}
        for name in listed:
            vectors = _batched(calls[name][_BATCH])(pixels)
            entry, warning = _compared(name, work, vectors, trained, compared)
            entries.append(entry)
            warnings += warning
        latency = _latency(calls, pixels)
    for text in warnings:
        print(f"warning: {text}", file=sys.stderr)
    table: dict[str, Any] = {"compared_images": len(pixels), "formats": entries}
    if compared is not None:
        table["compared_pairs"] = len(compared.genuine) + len(compared.impostor)
        table["accuracy"] = score_vectors(compared, trained).metrics["accuracy"]
    # The exact ones first, which scoring takes by itself.
    order = sorted(entries, key=lambda entry: not entry["exact"])
    runtimes = [
        specs[entry["format"]].to_manifest()
        | {"largest_difference": entry["largest_difference"], "compared_images": len(pixels)}
        for entry in order
    ]
    files = {name: formats.FILES[name] for name in listed}
    sizes = {name: _bytes(work.path(file)) for name, file in files.items()}
    return Exports(runtimes, table, list(files.values()), sizes, latency, warnings)


def _images(pairs: Pairs | None, others: np.ndarray | None, size: int) -> np.ndarray:
    """The images on which files are compared: those of the pairs, if there are some."""
    if pairs is not None:
        return np.concatenate([one.numpy() for one in tfdata.images(pairs.encoded, size)])
    if others is None:
        raise ValueError("without pairs there must be other images, got none")
    return others


def _latency(
    calls: Mapping[str, Mapping[int, ImageEmbedder]], pixels: np.ndarray
) -> dict[str, dict[str, float]]:
    """CPU milliseconds for an image by format and then by the number of images in a call."""
    found: dict[str, dict[str, float]] = {name: {} for name in calls}
    for batch in _BATCHES:
        given = np.resize(pixels, (batch, *pixels.shape[1:]))
        spent = comparison.cpu_milliseconds({name: of[batch] for name, of in calls.items()}, given)
        for name, value in spent.items():
            found[name][str(batch)] = value
    return found


def _write_one(
    name: str,
    work: Work,
    embedder: Embedder,
    crop_fraction: float | None,
    calibration: np.ndarray | None,
) -> RuntimeSpec:
    path = work.path(formats.FILES[name])
    if name == formats.SAVED_MODEL:
        saved_model.export(embedder, crop_fraction, path)
        return SAVED_MODEL
    if name == formats.KERAS:
        keras_file.export(embedder, path)
        return keras_file.SPEC
    if name == formats.ONNX_FILE:
        content, spec = onnx_graph.convert(embedder)
    else:
        content = tflite.convert(embedder, name, calibration)
        spec = tflite.spec_of(content, name)
    storage.write_atomically(path, content)
    return spec


def _calls(name: str, spec: RuntimeSpec, work: Work) -> dict[int, ImageEmbedder]:
    """The file as functions from crops to embeddings, by the number of images in each call."""
    path = work.path(spec.file)
    loaded: dict[int, Runtime] = {}
    for batch in _BATCHES:
        if name in tflite.VARIANTS:
            loaded[batch] = tflite.runtime(path, spec, batch)
        else:
            # The others take any number in each call.
            loaded[batch] = loaded[_BATCHES[0]] if loaded else registry.network(spec, path, batch)
    return {batch: ImageEmbedder([one], spec, batch, None) for batch, one in loaded.items()}


def _batched(embed: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    def call(pixels: np.ndarray) -> np.ndarray:
        parts = [pixels[at : at + _BATCH] for at in range(0, len(pixels), _BATCH)]
        return np.concatenate([np.asarray(embed(part)) for part in parts])

    return call


def _compared(
    name: str, work: Work, vectors: np.ndarray, trained: np.ndarray, pairs: Pairs | None
) -> tuple[dict[str, Any], list[str]]:
    """The entry of a format, and the warning about it if there is one."""
    found = comparison.difference(vectors, trained)
    entry: dict[str, Any] = {
        "format": name,
        "file": formats.FILES[name],
        # JSON has no infinity.
        "largest_difference": found.largest if np.isfinite(found.largest) else None,
        "least_cosine": found.least_cosine,
        "exact": found.exact,
    }
    if pairs is not None and np.isfinite(found.largest):
        entry["accuracy"] = score_vectors(pairs, vectors).metrics["accuracy"]
    if found.exact:
        return entry, []
    how = (
        "are not finite"
        if entry["largest_difference"] is None
        else f"differ from the network's by up to {found.largest:.1g} (least cosine "
        f"{found.least_cosine:.6f}), which is more than rounding ({formats.TOLERANCE:g})"
    )
    return entry, [
        f"The embeddings of {formats.FILES[name]} {how}; scoring takes another file unless "
        f"--export-format {name} asks for it."
    ]


def _bytes(path: str) -> int:
    if storage.is_file(path):
        return storage.size(path)
    return sum(storage.size(storage.join(path, name)) for name in storage.walk_files(path))


def lines(exported: Exports) -> list[str]:
    """The table for a terminal."""
    found = [
        f"{'format':<16} {'MB':>7} {'ms/image':>9} {'in 32':>7} {'difference':>10} "
        f"{'least cosine':>12} {'accuracy':>9}"
    ]
    for entry in exported.table["formats"]:
        spent = [exported.latency[entry["format"]][str(batch)] for batch in _BATCHES]
        largest, accuracy = entry["largest_difference"], entry.get("accuracy")
        found.append(
            f"{entry['format']:<16} {exported.sizes[entry['format']] / 1e6:>7.2f} {spent[0]:>9.2f} "
            f"{spent[1]:>7.2f} {'infinite' if largest is None else f'{largest:.1e}':>10} "
            f"{entry['least_cosine']:>12.6f} "
            f"{'' if accuracy is None else f'{accuracy:.4f}':>9}".rstrip()
        )
    return found
