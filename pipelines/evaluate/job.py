"""`facemill evaluate`: a benchmark's figures from embeddings, as an artifact.

The artifact holds `results.json`, `report.html`, the manifest and, where a protocol has it,
`scores.parquet` with each pair or probe.
"""

import dataclasses
import importlib
import time
from collections.abc import Callable, Sequence

import pyarrow.parquet as pq

from facemill.pipelines.common.lazy_import import import_quietly
from facemill.pipelines.common.local import is_local
from facemill.pipelines.evaluate import options as names
from facemill.pipelines.evaluate import pairs
from facemill.pipelines.evaluate.evaluated import Evaluated, Given
from facemill.pipelines.evaluate.options import EvaluateOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact, writing

KIND = "evaluation"
RESULTS = "results.json"
REPORT = "report.html"

# The module whose `evaluate` follows a protocol. Each is imported when it is used.
_MODULES = {
    names.LFW: "pairs",
    names.PAIRS: "pairs",
    names.BIN: "pair_bin",
    names.TEMPLATES: "templates",
    names.IDENTIFICATION: "identification",
    names.OPEN_SET: "open_set",
    names.CLUSTERING: "clustering",
}


def run(options: EvaluateOptions, beam_args: Sequence[str]) -> None:
    """Makes the evaluation that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions; only all pairs are counted by a runner.

    Raises:
        UsageError: an option or an input is absent or malformed, or images are missing.
        RunError: the embeddings are not what their manifest says, or files cannot be written.
    """
    started = time.monotonic()
    options.require_inputs()
    beams = storage.take_flags(beam_args)
    if beams and not options.takes_all_pairs:
        raise UsageError(
            f"Flags of Beam such as {beams[0]} must go with --pairs all, which a runner can "
            "count; leave them out."
        )
    runner = None
    if beams:
        # Its import takes seconds.
        choose = import_quietly("facemill.pipelines.common.runner").choose
        runner = choose(beam_args, {"embeddings": options.embeddings, "output": options.output})
    path = storage.absolute(options.embeddings, "embeddings")
    manifest = artifact.read_manifest(path, "embeddings")
    given = Given(path, manifest, options, {"embeddings": path}, runner)
    module = importlib.import_module(f"facemill.pipelines.evaluate.{_MODULES[options.protocol]}")
    follow: Callable[[Given], Evaluated] = module.evaluate
    if options.takes_all_pairs:
        # Hours of work are not begun for an output that is complete or cannot be written.
        found, settings = None, pairs.settings_of_all(given)
    else:
        found = follow(given)
        settings = found.settings
    # The settings have a digest of each input, so they may have moved.
    with writing.begin(
        options.output,
        KIND,
        settings,
        given.inputs,
        here=is_local(beam_args),
        identified=list(given.inputs),
    ) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to evaluate again.")
        else:
            found = found or follow(dataclasses.replace(given, work=work))
            try:
                _write(work, found, started)
            except OSError as error:
                raise RunError(
                    f"{error.filename or work.output} must be writable, got: {error.strerror}; "
                    "make room or give another --output, and run the command again."
                ) from error
            print(options.output)
    if found is not None:
        print(found.summary())


def _write(work: writing.Work, found: Evaluated, started: float) -> None:
    storage.write_atomically(work.path(RESULTS), artifact.to_json(found.results))
    for name, table in found.tables.items():
        with storage.new_file(work.path(name)) as stream:
            pq.write_table(table, stream)
    storage.write_atomically(work.path(REPORT), found.page.encode("utf-8"))
    written = sorted((RESULTS, REPORT, *found.tables))
    work.commit(
        {
            "counts": found.counts,
            "model_id": found.results["model_id"],
            "metrics": found.metrics,
            "files": [artifact.file_entry(work.scratch, name) for name in written],
        },
        [(work.path(name), name) for name in written],
        {
            "runner": "one process",
            **found.run_info,
            "seconds": round(time.monotonic() - started, 3),
        },
    )
