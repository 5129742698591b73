"""`facemill train`: dataset in, model out."""

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemill.model.data import augmented_examples, shard_files, validation_pairs
from facemill.model.data import tfdata as training_input
from facemill.model.data.balanced_plan import identities_per_batch
from facemill.model.data.vocabulary import Transform
from facemill.model.export import tflite, trained_identities
from facemill.model.export.embedder import Embedder
from facemill.model.export.saved_model import copy_outside_strategy, export, model_id
from facemill.model.metrics import verification
from facemill.model.networks.limits import check_image_size
from facemill.model.recipes.recipe import Recipe
from facemill.model.runtimes.spec import SAVED_MODEL
from facemill.model.training import diagnosis, pair_intervals, precision, stopping
from facemill.model.training.failures import failures_in_sentences
from facemill.model.training.keras_settings import use_own_settings
from facemill.model.training.strategy import count_replicas, replicas
from facemill.model.training.trainer import Data, Trainer
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.train import plan, rate_test, report
from facemill.pipelines.train.cautions import with_flags
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.dataset.writing import Work

KIND = "model"
# A killed run leaves these folders, and the next run resumes from them.
_CHECKPOINTS, _LOGS = "checkpoints", "logs"
_HISTORY = "history.csv"
_FALSE_MATCH_RATES = (1e-1, 1e-2, 1e-3)


def run(options: TrainOptions, beam_args: Sequence[str]) -> None:
    """Trains the model that the options ask for.

    Args:
        options: checked values.
        beam_args: none; training is no Beam job.

    Raises:
        UsageError: the dataset or the output cannot be used.
        RunError: the dataset is damaged, or the loss is not finite.
    """
    del beam_args
    dataset = storage.absolute(options.dataset, "dataset")
    manifest = artifact.read_manifest(dataset, "dataset")
    _check_dataset(manifest, options)
    recipe = options.recipe
    precision.check(recipe.precision)
    count = count_replicas(options.cpu_replicas, recipe.batch_size, recipe.accumulate)
    if options.dry_run:
        names = [name for split in manifest["splits"].values() for name in split["shards"]]
        artifact.check_sizes(dataset, shard_files.entries_of(dataset, manifest, names))
        with failures_in_sentences():
            _say_plan(manifest, recipe.resolved(), count)
        return
    wanted = {
        **dataclasses.asdict(recipe.resolved()),
        "dataset_fingerprint": artifact.fingerprint(manifest),
        # Each replica normalizes its own part of a batch, so their number changes the result.
        "replicas": count,
    }
    inputs = {"dataset": dataset}
    tests_rates = options.find_learning_rate
    keep = [] if tests_rates else [_CHECKPOINTS, _LOGS]
    with writing.begin(
        options.output,
        rate_test.KIND if tests_rates else KIND,
        wanted,
        inputs=inputs,
        keep=keep,
        # A dataset that was moved is still the one that the fingerprint names.
        identified=["dataset"],
        restart=options.restart,
    ) as work:
        if work is None:
            again = "test" if tests_rates else "train"
            print(f"{options.output} is already complete; remove it to {again} again.")
            return
        if not storage.is_remote(dataset):
            # Of a dataset on a store each file is checked when it is downloaded.
            artifact.verify_files(dataset, manifest)
        use_own_settings()
        with failures_in_sentences():
            _train(work, dataset, manifest, options, count)


def _check_dataset(manifest: dict[str, Any], options: TrainOptions) -> None:
    check_image_size(options.recipe.network, manifest["options"]["image_size"])
    train = manifest["splits"]["train"]
    if train["identities"] < 2:
        raise UsageError(
            f"--dataset must have 2 or more identities to train on, got {train['identities']}; "
            "ingest more or change --split."
        )
    if training_input.steps_per_epoch(manifest, options.recipe.batch_size) == 0:
        raise UsageError(
            f"--batch-size must be at most the {train['records']} images of the train split, got "
            f"{options.recipe.batch_size}; lower it."
        )
    if options.recipe.images_per_identity:
        # Raises what a batch of so many images of each identity cannot be.
        identities_per_batch(
            options.recipe.batch_size, options.recipe.images_per_identity, train["identities"]
        )


def _say_plan(manifest: dict[str, Any], recipe: Recipe, count: int) -> None:
    use_own_settings()
    found = plan.of(recipe, manifest, count)
    print("would train, and write nothing now:", *plan.lines(found), sep="\n")
    for text in plan.warnings(found):
        _warn(text)


def _train(
    work: Work, dataset: str, manifest: dict[str, Any], options: TrainOptions, count: int
) -> None:
    started = time.time()
    recipe = options.recipe.resolved()
    strategy = replicas(count)
    # Fixes the order of floating-point additions, so a resumed run ends in the same bits.
    tf.config.experimental.enable_op_determinism()
    transform = Transform(dataset, manifest)
    expected = manifest["splits"]["train"]["identities"]
    if len(transform.identities) != expected:
        raise RunError(
            f"The dataset's transform must know the {expected} identities of its train split, got "
            f"{len(transform.identities)}; ingest again."
        )
    if options.find_learning_rate:
        rate_test.run(work, dataset, manifest, transform, recipe, strategy)
        return
    planned = plan.of(recipe, manifest, count)
    print(f"{recipe.network}: {planned.size}", file=sys.stderr)
    warnings = plan.cautions(planned)
    for text in plan.warnings(planned):
        _warn(text)
    pairs = validation_pairs.draw(dataset, manifest, recipe.validation_pairs, recipe.seed)
    if pairs is None and recipe.validation_pairs > 0:
        print("no two val identities have two images each: training without validation")
    checkpoints, logs, save = _kept_folders(work)
    # Seeds weights and dropout; image order and augmentation have seeds of their own.
    keras.utils.set_random_seed(recipe.seed)
    data = Data(dataset, manifest, transform, pairs)
    trainer = Trainer(data, recipe, strategy, checkpoints, logs, save, _warn)
    # The rate that the progress line shows leaves out what an earlier run did.
    trainer.restore()
    with Progress("steps trained", lambda: trainer.done, lambda: trainer.steps, trainer.note):
        scores = trainer.run()
    for text in trainer.notes():
        print(f"warning: {text}", file=sys.stderr)
    warnings += trainer.notes()
    save()
    embedder = copy_outside_strategy(
        trainer.exported, recipe, transform.pixel_mean, transform.pixel_std
    )
    preprocessing = manifest["preprocessing"]
    # Of `--align none` the model takes the uncropped image; aligned faces must come aligned.
    centered = preprocessing["align"] == "center"
    fraction = preprocessing["crop_fraction"] if centered else None
    export(embedder, fraction, work.path(SAVED_MODEL.file))
    examples = augmented_examples.read(dataset, manifest, recipe)
    twin = _export_twin(embedder, np.stack([one.stored for one in examples]), work)
    described: dict[str, Any] = {
        "recipe": dataclasses.asdict(recipe),
        "model_id": model_id(embedder, recipe, preprocessing),
        "dataset_fingerprint": artifact.fingerprint(manifest),
        "embedding_size": recipe.embedding_size,
        "network": {"name": recipe.network, **planned.size.to_manifest()},
        "preprocessing": preprocessing,
        "runtimes": [*twin, SAVED_MODEL.to_manifest()],
        "metrics": _metrics(trainer, scores),
        # 95 %, over identities.
        "intervals": {} if scores is None or pairs is None else pair_intervals.of(scores, pairs),
        "thresholds": {}
        if scores is None
        else verification.thresholds_at(scores.genuine, scores.impostor, _FALSE_MATCH_RATES),
    }
    # From the history alone, so that a resumed run says the same.
    found = diagnosis.findings(trainer.history, trainer.epoch_steps, recipe)
    warnings += [with_flags(one.text) for one in found]
    page = report.render(described, trainer.history, scores, pairs, manifest, examples, warnings)
    trained = trained_identities.to_bytes(transform.identities)
    storage.write_atomically(work.path(trained_identities.FILE), trained)
    storage.write_atomically(work.path("report.html"), page.encode("utf-8"))
    storage.write_atomically(work.path(_HISTORY), trainer.history.to_csv().encode("ascii"))
    _commit(
        work,
        described,
        manifest,
        {
            "runner": f"MirroredStrategy over {count} x {_device()}",
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 2),
            # With the processes before this one, from whose checkpoints it went on.
            "training_seconds": round(trainer.history.seconds, 2),
        },
    )
    print(options.output)
    for name, value in described["metrics"].items():
        low, high = described["intervals"].get(name, (None, None))
        interval = "" if low is None else f" ({low:.4f} to {high:.4f})"
        print(f"  {name:<18} {value:.4f}{interval}")
    print(f"  {'model':<18} {described['model_id'][:12]}")


def _warn(text: str) -> None:
    print(f"warning: {with_flags(text)}", file=sys.stderr)


def _kept_folders(work: Work) -> tuple[str, str, Callable[[], None]]:
    """The folders of checkpoints and logs on this disk, and what keeps them for a later run.

    TensorFlow writes to disks alone. So for an output on a store they are copied there whenever a
    checkpoint was saved, and back when another machine goes on.
    """
    names = (_CHECKPOINTS, _LOGS)
    if not storage.is_remote(work.output):
        folders = [os.path.join(work.output, name) for name in names]
        for folder in folders:
            storage.make_folders(folder)
        return folders[0], folders[1], lambda: None
    folders = [os.path.join(work.scratch, name) for name in names]
    mirrors = [
        # TensorFlow's file of this name points to the newest checkpoint.
        storage.Mirror(folder, storage.join(work.output, name), last=("checkpoint",))
        for folder, name in zip(folders, names, strict=True)
    ]
    for mirror in mirrors:
        mirror.pull()

    def save() -> None:
        work.check_held()
        for mirror in mirrors:
            mirror.push()

    return folders[0], folders[1], save


def _export_twin(embedder: Embedder, pixels: np.ndarray, work: Work) -> list[dict[str, Any]]:
    """Writes the TFLite twin; returns its entry in the manifest, or none where it is not equal.

    Args:
        embedder: with trained weights.
        pixels: uint8 [N, S, S, 3], images on which both are compared.
        work: the run.
    """
    content = tflite.convert(embedder)
    saved = tf.saved_model.load(work.path(SAVED_MODEL.file)).signatures[SAVED_MODEL.signature]
    difference = tflite.largest_difference(
        content,
        lambda some: saved(pixels=tf.constant(some))[SAVED_MODEL.output].numpy(),
        pixels,
    )
    if difference > tflite.TOLERANCE:
        print(
            f"warning: the model has no TFLite file, which scoring would take, since its "
            f"embeddings differ from the SavedModel's by up to {difference:.1g}",
            file=sys.stderr,
        )
        return []
    storage.write_atomically(work.path(tflite.FILE), content)
    checked = {"largest_difference": difference, "compared_images": len(pixels)}
    return [tflite.spec_of(content).to_manifest() | checked]


def _device() -> str:
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def _metrics(trainer: Trainer, scores: validation_pairs.Scores | None) -> dict[str, float]:
    steps = max(1, len(trainer.history.losses) // 20)
    metrics = {"loss": trainer.history.mean_loss(steps)}
    return metrics if scores is None else {**metrics, **stopping.figures(scores)}


def _commit(
    work: Work, described: dict[str, Any], dataset: dict[str, Any], run_info: dict[str, Any]
) -> None:
    files = [
        artifact.file_entry(work.scratch, f"{SAVED_MODEL.file}/{name}")
        for name in storage.walk_files(work.path(SAVED_MODEL.file))
    ]
    single = ["report.html", trained_identities.FILE, _HISTORY]
    if len(described["runtimes"]) > 1:
        single.append(tflite.FILE)
    files += [artifact.file_entry(work.scratch, name) for name in single]
    train = dataset["splits"]["train"]
    manifest = {
        "counts": {"images": train["records"], "identities": train["identities"]},
        **described,
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    promote = [(os.path.join(work.scratch, name), name) for name in (SAVED_MODEL.file, *single)]
    work.commit(manifest, promote, run_info)
