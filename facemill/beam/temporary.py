"""The staging folder of a pipeline, for files that one step writes and a later one reads."""

import atexit
import os
import secrets

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError

# Runners whose workers are on this machine, so that they all see its temporary directory.
_LOCAL_RUNNERS = (
    *("FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"),
    *("TestDirectRunner", "PrismRunner", "InteractiveRunner"),
)


def staging_folder(given: str | None, pipeline: beam.Pipeline) -> str:
    """Makes a new staging folder.

    Args:
        given: the temporary location, or None for that of the pipeline or, if the runner is local,
            that of this machine.
        pipeline: the pipeline, with its runner and options.

    Raises:
        UsageError: no location is given that all workers see, or it cannot be written.
    """
    runner = type(pipeline.runner).__name__
    if given is None:
        given = pipeline.options.view_as(GoogleCloudOptions).temp_location
        if runner in _LOCAL_RUNNERS and (given is None or storage.is_remote(given)):
            folder = storage.make_temporary_folder()
            # The last step removes the folder, but a pipeline that fails never runs it.
            atexit.register(storage.remove, folder)
            return folder
    if given is None:
        raise UsageError(
            f"FindDuplicates must have a directory that all workers of {runner} see at the same "
            "path, got none; give temp_location."
        )
    parent = storage.absolute(given, "temp_location", on_disk=True)
    folder = os.path.join(parent, f"facemill-{secrets.token_hex(6)}")
    try:
        storage.make_folders(folder)
    except OSError as error:
        raise UsageError(
            f"temp_location must be a directory that can be written, got {parent} "
            f"({error.strerror}); give another path."
        ) from None
    return folder
