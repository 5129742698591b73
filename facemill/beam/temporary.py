"""The folder for what lies between the steps of a pipeline."""

import atexit
import os
import secrets

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError

# Runners whose workers are on this machine, so that its temporary directory will do.
_LOCAL_RUNNERS = (
    *("FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"),
    *("TestDirectRunner", "PrismRunner", "InteractiveRunner"),
)


def staging_folder(given: str | None, pipeline: beam.Pipeline) -> str:
    """A new folder for the files between the steps.

    Raises:
        UsageError: it would have to be where not every worker sees it.
    """
    runner = type(pipeline.runner).__name__
    if given is None:
        given = pipeline.options.view_as(GoogleCloudOptions).temp_location
        if runner in _LOCAL_RUNNERS and (given is None or storage.is_remote(given)):
            folder = storage.make_temporary_folder()
            # A pipeline that fails does not come to its last step.
            atexit.register(storage.remove, folder)
            return folder
    if given is None:
        raise UsageError(
            f"FindDuplicates must have a directory that all workers of {runner} see at the same "
            "path, got none; give temp_location."
        )
    parent = storage.absolute(given, "temp_location")
    folder = os.path.join(parent, f"facemill-{secrets.token_hex(6)}")
    try:
        storage.make_folders(folder)
    except OSError as error:
        raise UsageError(
            f"temp_location must be a directory that can be written, got {parent} "
            f"({error.strerror}); give another path."
        ) from None
    return folder
