"""`facemill train`: dataset in, model out."""

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from facemill.model.data import (
    augmented_examples,
    validation_pairs,
    validation_sets,
)
from facemill.model.data import tfdata as training_input
from facemill.model.data.balanced_plan import identities_per_batch
from facemill.model.export import trained_identities
from facemill.model.export.saved_model import copy_outside_strategy, model_id
from facemill.model.metrics import verification
from facemill.model.metrics.pair_figures import PairFigures
from facemill.model.networks.limits import check_image_size
from facemill.model.recipes.recipe import Recipe
from facemill.model.recipes.teachers import check_teacher
from facemill.model.training import diagnosis, precision, stopping
from facemill.model.training.crew import Crew
from facemill.model.training.failures import failures_in_sentences
from facemill.model.training.keras_settings import use_own_settings
from facemill.model.training.strategy import count_replicas, replicas
from facemill.model.training.trainer import Trainer
from facemill.pipelines.common.progress import Progress
from facemill.pipelines.train import datasets, exports, plan, rate_test, report, report_tables
from facemill.pipelines.train.beside import Beside, open_beside
from facemill.pipelines.train.cautions import with_flags
from facemill.pipelines.train.options import VAL, TrainOptions
from facemill.pipelines.train.workers import Workers, cluster_of, follow, together
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
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
    check_teacher(options.recipe, options.teacher is not None)
    given = datasets.open_all(options)
    _check_dataset(given.manifest, options)
    recipe = options.recipe
    precision.check(recipe.precision)
    cluster = cluster_of(options)
    count = count_replicas(
        *(options.cpu_replicas, recipe.batch_size, recipe.accumulate),
        workers=cluster.count if cluster else 1,
    )
    tests_rates = options.find_learning_rate
    exports.check_packages(options.export)
    beside = open_beside(options, given, cluster is not None)
    if options.dry_run:
        given.check_sizes()
        with failures_in_sentences():
            _say_plan(given.manifest, recipe.resolved(), count, beside.target_size)
        return
    wanted = {
        **dataclasses.asdict(recipe.resolved()),
        **given.options,
        # Each replica normalizes its own part of a batch, so their number changes the result.
        "replicas": count,
    }
    wanted |= beside.options(with_sets=not tests_rates)
    if not tests_rates:
        wanted["export"] = list(options.export)
    use_own_settings()
    with failures_in_sentences(), together(cluster, wanted, options) as workers:
        if workers is None or workers.cluster.is_chief:
            _write(given, options, wanted, beside, workers)
        else:
            given.verify()
            follow(workers, given, recipe.resolved(), tests_rates)


def _write(
    given: datasets.Datasets,
    options: TrainOptions,
    wanted: dict[str, Any],
    beside: Beside,
    workers: Workers | None,
) -> None:
    """Trains, and writes the model."""
    tests_rates = options.find_learning_rate
    inputs = given.inputs | beside.inputs(with_sets=not tests_rates)
    keep = [] if tests_rates else [_CHECKPOINTS, _LOGS]
    with writing.begin(
        options.output,
        rate_test.KIND if tests_rates else KIND,
        wanted,
        inputs=inputs,
        keep=keep,
        # What was moved is still what the fingerprint names.
        identified=list(inputs),
        restart=options.restart,
        check=given.verify,
    ) as work:
        if work is None:
            again = "test" if tests_rates else "train"
            print(f"{options.output} is already complete; remove it to {again} again.")
            return
        if workers is not None:
            workers.link.ready()
        _train(work, given, options, wanted["replicas"], beside, workers)


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


def _say_plan(
    manifest: dict[str, Any], recipe: Recipe, count: int, target_size: int | None
) -> None:
    use_own_settings()
    found = plan.of(recipe, manifest, count, target_size)
    print("would train, and write nothing now:", *plan.lines(found), sep="\n")
    for text in plan.warnings(found):
        _warn(text)


def _train(
    work: Work,
    given: datasets.Datasets,
    options: TrainOptions,
    count: int,
    beside: Beside,
    workers: Workers | None,
) -> None:
    started = time.time()
    recipe = options.recipe.resolved()
    strategy = replicas(count) if workers is None else workers.strategy()
    crew = Crew(strategy, workers.cluster if workers else None)
    # Fixes the order of floating-point additions, so a resumed run ends in the same bits.
    tf.config.experimental.enable_op_determinism()
    transform = given.load()
    of_pairs = 0 if options.find_learning_rate else recipe.validation_pairs
    loaded = datasets.data_of(given, transform, of_pairs, recipe.seed)
    data, pairs = loaded.data, loaded.data.pairs
    if given.several:
        # Now it is known how many identities they are.
        _check_dataset(data.manifest, options)
    if options.find_learning_rate:
        data = dataclasses.replace(data, targets=beside.targets(work.folder(_CHECKPOINTS), given))
        fingerprint = given.options["dataset_fingerprint"]
        rate_test.run(work, data, fingerprint, recipe, strategy, crew)
        return
    planned = plan.of(recipe, data.manifest, count, beside.target_size)
    print(f"{recipe.network}: {planned.size}", file=sys.stderr)
    warnings = plan.cautions(planned) + loaded.warnings
    for text in plan.warnings(planned) + loaded.warnings:
        _warn(text)
    if pairs is None and recipe.validation_pairs > 0:
        print("no two val identities have two images each: training without validation")
    preprocessing = data.manifest["preprocessing"]
    judged = _sets(beside.sets, data.manifest, loaded.trained_names, recipe)
    checkpoints, logs, save = _kept_folders(work)
    targets = beside.targets(checkpoints, given)
    # Seeds weights and dropout; image order and augmentation have seeds of their own.
    keras.utils.set_random_seed(recipe.seed)
    start = None if beside.initial is None else beside.initial.start()
    data = dataclasses.replace(data, sets=judged, targets=targets, start=start)
    trainer = Trainer(data, recipe, strategy, checkpoints, logs, save, _warn, crew=crew)
    about_sets = [text for one in judged for text in one.cautions(preprocessing["align"])]
    warnings += about_sets
    for text in about_sets:
        _warn(text)
    # The rate that the progress line shows leaves out what an earlier run did.
    trainer.restore()
    with Progress("steps trained", lambda: trainer.done, lambda: trainer.steps, trainer.note):
        scores = trainer.run()
    for text in trainer.notes():
        print(f"warning: {text}", file=sys.stderr)
    warnings += trainer.notes()
    trainer.write_head()
    save()
    embedder = copy_outside_strategy(
        trainer.exported, recipe, transform.pixel_mean, transform.pixel_std
    )
    # Of `--align none` the model takes the uncropped image; aligned faces must come aligned.
    centered = preprocessing["align"] == "center"
    fraction = preprocessing["crop_fraction"] if centered else None
    # Of several datasets, the first one's images are shown, and calibrate.
    first = given.opened[0]
    exported = exports.write(work, embedder, fraction, options.export, *first, pairs)
    warnings += exported.warnings
    examples = augmented_examples.read(*first, recipe)
    described: dict[str, Any] = {
        "recipe": dataclasses.asdict(recipe),
        "model_id": model_id(embedder, recipe, preprocessing),
        "dataset_fingerprint": given.options["dataset_fingerprint"],
        **loaded.described,
        "embedding_size": recipe.embedding_size,
        **beside.described(),
        "network": {"name": recipe.network, **planned.size.to_manifest()},
        "preprocessing": preprocessing,
        "runtimes": exported.runtimes,
        "exports": exported.table,
        "metrics": _metrics(trainer, scores),
        "validation": _validation(trainer, scores, pairs, judged),
        "thresholds": {}
        if scores is None
        else verification.thresholds_at(scores.genuine, scores.impostor, _FALSE_MATCH_RATES),
    }
    # From the history alone, so that a resumed run says the same.
    found = diagnosis.findings(trainer.history, trainer.epoch_steps, recipe)
    warnings += [with_flags(one.text) for one in found]
    page = report.render(
        described,
        trainer.history,
        scores,
        pairs,
        data.manifest,
        examples,
        warnings,
        exported.sizes,
    )
    storage.write_atomically(
        work.path(trained_identities.FILE), trained_identities.to_bytes(loaded.trained_names)
    )
    storage.write_atomically(work.path("report.html"), page.encode("utf-8"))
    storage.write_atomically(work.path(_HISTORY), trainer.history.to_csv().encode("ascii"))
    _commit(
        work,
        described,
        data.manifest,
        {
            "runner": _runner(crew),
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 2),
            "cpu_milliseconds_per_image": exported.latency,
            # With the processes before this one, from whose checkpoints it went on.
            "training_seconds": round(trainer.history.seconds, 2),
        },
        exported.names,
    )
    print(options.output)
    for name, value in described["metrics"].items():
        print(f"  {name:<18} {value:.4f}")
    print(f"  {'model':<18} {described['model_id'][:12]}")
    for text in (*report_tables.lines(described["validation"]), *exports.lines(exported)):
        print(f"  {text}")


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


def _runner(crew: Crew) -> str:
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if crew.count == 1:
        return f"MirroredStrategy over {crew.replicas} x {device}"
    return (
        f"MultiWorkerMirroredStrategy over {crew.count} workers with {crew.replicas} x {device} "
        "each"
    )


def _metrics(trainer: Trainer, scores: validation_pairs.Scores | None) -> dict[str, float]:
    steps = max(1, len(trainer.history.losses) // 20)
    metrics = {"loss": trainer.history.mean_loss(steps)}
    if scores is None:
        return metrics
    # `validation` has the intervals.
    found = stopping.figures(scores)
    return metrics | {name: found[name] for name in found if name not in ("tar_low", "tar_high")}


def _sets(
    paths: Mapping[str, str], manifest: dict[str, Any], trained: Sequence[str], recipe: Recipe
) -> list[validation_sets.ValidationSet]:
    """The further validation sets of the run, in the order in which they were given."""
    # A set from which pairs are drawn has some where the val split is to have none.
    count = recipe.validation_pairs or Recipe.validation_pairs
    size = manifest["options"]["image_size"]
    return [
        validation_sets.load(name, path, size, trained, count, recipe.seed)
        for name, path in paths.items()
    ]


def _validation(
    trainer: Trainer,
    scores: validation_pairs.Scores | None,
    pairs: validation_pairs.Pairs | None,
    sets: Sequence[validation_sets.ValidationSet],
) -> list[dict[str, Any]]:
    """`validation` of the manifest: the figures of the exported network on each set of pairs."""
    found = []
    if scores is not None and pairs is not None:
        about = {"name": VAL, "kind": VAL, "identities": len(set(pairs.identities))}
        figures = PairFigures(scores.genuine, scores.impostor, validation_pairs.clusters(pairs))
        found.append(about | {"shared_identities": 0} | figures.to_manifest())
    for one in sets:
        newest = trainer.sets.newest[one.name]
        figures = PairFigures(newest.genuine, newest.impostor, one.clusters)
        found.append(one.to_manifest() | figures.to_manifest() | one.protocol(newest))
    return found


def _commit(
    work: Work,
    described: dict[str, Any],
    dataset: dict[str, Any],
    run_info: dict[str, Any],
    exported: Sequence[str],
) -> None:
    tops = [*exported, "report.html", trained_identities.FILE, _HISTORY]
    names: list[str] = []
    for top in tops:
        path = work.path(top)
        inside = [] if storage.is_file(path) else storage.walk_files(path)
        names += [f"{top}/{name}" for name in inside] or [top]
    files = [artifact.file_entry(work.scratch, name) for name in names]
    train = dataset["splits"]["train"]
    manifest = {
        "counts": {"images": train["records"], "identities": train["identities"]},
        **described,
        "files": sorted(files, key=lambda entry: entry["path"]),
    }
    promote = [(os.path.join(work.scratch, name), name) for name in tops]
    work.commit(manifest, promote, run_info)
