"""`facemill ingest`: photos in, dataset out.

list -> scan -> duplicates -> selection -> shards -> index
                    |             |           |
                    +-------------+-----------+--> one row per image
                                                   +--> rows of train images

rows of train images -> statistics (tensorflow-transform, in the launcher)
"""

import contextlib
import os
from collections.abc import Sequence

from facemill.pipelines.common import guesses
from facemill.pipelines.common.input_files import BackgroundListing, Input
from facemill.pipelines.common.lazy_import import import_quietly
from facemill.pipelines.common.runner import Runner, choose
from facemill.pipelines.common.scratch import is_here
from facemill.pipelines.ingest import complete
from facemill.pipelines.ingest.config import IngestJob
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.references import (
    KIND,
    check_base,
    check_exclude,
    check_names,
    read_base,
    reference_sets,
    write_base_keys,
)
from facemill.pipelines.ingest.selection import (
    check_attribute,
    quality_thresholds,
    read_name_lists,
    result_options,
    selection,
)
from facemill.transforms import storage
from facemill.transforms.core.row_ids import HELD_OUT
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.faces.crop import CropConfig, check_detector
from facemill.transforms.scan.listing import all_chunks
from facemill.transforms.scan.prefetch import prefetch
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.scan.staging import STAGING
from facemill.transforms.sources import registry
from facemill.transforms.sources.dataset import DatasetRecords


def run(options: IngestOptions, beam_args: Sequence[str]) -> None:
    """Makes the dataset that the options ask for.

    Args:
        options: checked values.
        beam_args: flags for Beam's PipelineOptions.

    Raises:
        UsageError: the input, a list of identities, or the output cannot be used.
        RunError: too many images were rejected, none is left, or the runner failed.
    """
    runner = choose(
        beam_args,
        {
            "input": options.input,
            "root": options.root,
            "exclude_dataset": options.exclude_dataset,
            "append_to": options.append_to,
            "output": options.output,
        },
    )
    root = storage.absolute(options.input, "input")
    form = options.format or registry.guess(root)
    source = options.source(form, root)
    source.names_nobody = not options.identities
    # An input that is not there is refused before the output is touched.
    tasks = source.tasks()
    found = guesses.report(
        source.guesses(tasks), source.images_root, "needed" if options.identities else "ignored"
    )
    output = storage.absolute(options.output, "output")
    storage.check_apart(root, output)
    check_exclude(options)
    crop_config = CropConfig(
        options.image_size, options.align, options.crop_fraction, options.detector
    )
    check_detector(crop_config)
    lists = read_name_lists(options)
    rules = selection(options, lists)
    base = read_base(options.append_to)
    if base is None:
        # With a base, its images may have the attribute.
        check_attribute(rules, source)
    references = reference_sets(options, crop_config, base)
    wanted = {
        **result_options(options, form, lists),
        "exclude_dataset": next((one.name for one in references if one.origin == HELD_OUT), None),
        "append_to": None if base is None else artifact.fingerprint(base.manifest),
    }
    for images in (source, *(reference.source for reference in references)):
        images.match_names = options.match_names
    for one in references:
        storage.check_apart(one.source.root, output, one.option)
    if base is not None:
        check_base(base, wanted)
        check_names(base, lists)
    inputs = {"input": root, **{one.option: one.source.root for one in references}}
    if form == registry.MANIFEST or options.root is not None:
        inputs["root"] = source.images_root
    here = is_here(options.scratch, runner.is_local)
    # Of a dataset the options have the fingerprint.
    identified = [one.option for one in references if isinstance(one.source, DatasetRecords)]
    listed_inputs = [Input("input", source, tasks, root)]
    listed_inputs += [
        Input(one.option, one.source, one.tasks, one.source.root)
        for one in references
        if one.option not in identified
    ]
    with writing.begin(
        options.output, KIND, wanted, inputs=inputs, here=here, identified=identified
    ) as work:
        if work is None:
            complete.refuse_changed_inputs(options, output, listed_inputs)
            print(f"{options.output} is already complete; remove it to ingest again.")
            return
        scan = ScanJob(
            source=source,
            staging=os.path.dirname(work.path(STAGING, "")),
            crop_config=crop_config,
            thresholds=quality_thresholds(options),
            seed=options.seed,
            group_by=rules.columns[0] if rules.columns else None,
            windows=options.dedup == "thorough",
        )
        listing = BackgroundListing(listed_inputs)
        job = IngestJob(
            options, scan, tasks, rules, references, base, work, lists, listing.result, found
        )
        if base is not None and job.base_keys is not None:
            write_base_keys(base, job.base_keys)
        with _prefetch(job, runner):
            import_quietly("facemill.pipelines.ingest.run").execute(job, runner)


def _prefetch(job: IngestJob, runner: Runner) -> contextlib.AbstractContextManager[None]:
    """Lets worker processes scan while this process loads TensorFlow and builds the graph."""
    if job.options.workers == 1 or not runner.is_here:
        return contextlib.nullcontext()
    chunks = all_chunks(job.scan.source, job.tasks, job.base_keys)
    return prefetch(job.scan, chunks, job.options.workers)
