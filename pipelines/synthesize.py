"""`facemill synthesize`: a collection of drawn faces as an artifact.

The artifact holds `images/` (folder per identity), `truth.parquet`, `pairs.txt` if asked for, and
the manifest. The manifest lists the two tables; the truth table, whose SHA-256 it holds, lists size
and SHA-256 of every image, so that a million images don't make a manifest of a million entries.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import time

import cv2

from pipelines.options.synthesize import SynthesizeOptions
from transforms import artifact
from transforms.errors import RunError
from transforms.synthetic import collection
from transforms.synthetic.plan import make_plan

KIND = "synthetic"


def run(options: SynthesizeOptions, beam_args: list[str]) -> None:
    """Writes the collection, unless the same one is there already.

    Args:
        options: What to write.
        beam_args: Unused; this is not a Beam job.

    Raises:
        UsageError: The output holds something else, or the recipe asks for too much.
        RunError: The files can't be written, or a worker was killed.
    """
    recipe = options.recipe
    started = time.monotonic()
    plan = make_plan(recipe)  # before anything is written: it may refuse
    cv2.setNumThreads(1)  # the workers are the parallelism
    with artifact.begin(options.output, KIND, dataclasses.asdict(recipe)) as work:
        if work is None:
            print(f"{options.output} is complete already.")
            return
        try:
            kinds = collection.write_plan(work.scratch, plan, options.workers)
            names = [collection.TRUTH] + ([collection.PAIRS] if recipe.pairs else [])
            files = [artifact.file_entry(work.scratch, name) for name in names]
            seconds = time.monotonic() - started
            listed = sum(kinds.values())
            work.commit(
                {"counts": {"listed": listed, **dict(sorted(kinds.items()))}, "files": files},
                [(work.path(name), name) for name in (collection.IMAGES, *names)],
                {"engine": "processes", "workers": options.workers, "seconds": round(seconds, 3)},
            )
        except concurrent.futures.BrokenExecutor as error:
            raise RunError(
                f"All --workers must live to the end, but one of the {options.workers} was killed, "
                "perhaps for lack of memory; give fewer and run the command again."
            ) from error
        except OSError as error:
            raise RunError(
                f"{error.filename or work.output} must be writable, got: {error.strerror}; make "
                "room or give another --output, and run the command again."
            ) from error
    images = os.path.join(options.output, collection.IMAGES)
    print(f"{listed} images in {seconds:.1f} s ({listed / seconds:.0f}/s): {images}")
