"""`facemill synthesize`: a collection of drawn faces as an artifact.

The artifact holds `images/` (folder per identity), `truth.parquet`, `pairs.txt` if asked for, and
the manifest. The manifest lists the two tables; the truth table, whose SHA-256 it holds, lists size
and SHA-256 of every image, so the manifest of a million images does not have a million entries.
"""

import concurrent.futures
import dataclasses
import time
from collections import Counter
from collections.abc import Sequence

from facemill.pipelines.common.progress import Progress
from facemill.pipelines.synthesize.faces import collection
from facemill.pipelines.synthesize.faces.plan import make_plan
from facemill.pipelines.synthesize.options import SynthesizeOptions
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact, writing

KIND = "synthetic"


def run(options: SynthesizeOptions, beam_args: Sequence[str]) -> None:
    """Makes the collection that the options ask for.

    Args:
        options: checked values.
        beam_args: none; drawing is no Beam job.

    Raises:
        UsageError: the output holds something else, or the recipe asks for too much.
        RunError: the files cannot be written, or a worker was killed.
    """
    del beam_args
    recipe = options.recipe
    started = time.monotonic()
    plan = make_plan(recipe)  # may refuse, so it comes before any file is written
    with writing.begin(options.output, KIND, dataclasses.asdict(recipe)) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to synthesize again.")
            return
        try:
            drawn: Counter[str] = Counter()
            total = int(plan.counts.sum()) + len(plan.plants)
            with Progress("images drawn", lambda: drawn["images"], lambda: total):
                kinds = collection.write_plan(
                    work.scratch,
                    plan,
                    options.workers,
                    lambda images: drawn.update(images=images),
                )
            names = [collection.TRUTH] + ([collection.PAIRS] if recipe.pairs else [])
            files = [artifact.file_entry(work.scratch, name) for name in names]
            seconds = time.monotonic() - started
            counts = {"listed": sum(kinds.values()), **dict(sorted(kinds.items()))}
            work.commit(
                {"counts": counts, "files": files},
                [(work.path(name), name) for name in (collection.IMAGES, *names)],
                {"runner": "processes", "workers": options.workers, "seconds": round(seconds, 3)},
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
    print(options.output)
    for name, count in counts.items():
        print(f"  {name:<16} {count:>12,}")
    print(f"  {counts['listed'] / max(seconds, 1e-9):,.0f} images/s")
