"""Google Dataflow: what a job needs there, checked before Beam asks the service for minutes."""

import importlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, WorkerOptions

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, UsageError

NAME = "DataflowRunner"
_HERE = ("localhost", "127.0.0.1")


def check_dataflow(options: PipelineOptions) -> None:
    """Checks the options of a Dataflow job and that there are credentials.

    Args:
        options: of Beam.

    Raises:
        UsageError: one is missing or wrong.
    """
    cloud = options.view_as(GoogleCloudOptions)
    for name, what in (
        ("project", "the Google Cloud project that runs the job"),
        ("region", "the region of the job, such as europe-west4"),
        ("temp_location", "a folder on Google's store, such as gs://BUCKET/temp"),
    ):
        if not getattr(cloud, name):
            raise UsageError(f"--{name} must be {what}, with {NAME}, got none; give it.")
    if cloud.template_location:
        raise UsageError(
            f"--template_location must not be given, for a template ends before its job has begun, "
            f"got {cloud.template_location}; leave it out, or build deploy/dataflow/Dockerfile."
        )
    for name in ("temp_location", "staging_location"):
        value = getattr(cloud, name)
        if value and not value.startswith("gs://"):
            raise UsageError(
                f"--{name} must be a folder on Google's store, such as gs://BUCKET/temp, with "
                f"{NAME}, got {value}; give one."
            )
    if not options.view_as(WorkerOptions).sdk_container_image:
        raise UsageError(
            f"--sdk_container_image must name an image that holds facemill, with {NAME}, got none; "
            "build deploy/Dockerfile and give its name in a registry."
        )
    if not cloud.no_auth and urlsplit(cloud.dataflow_endpoint or "").hostname not in _HERE:
        _check_credentials()


def _check_credentials() -> None:
    auth = importlib.import_module("google.auth")
    try:
        auth.default()
    except auth.exceptions.DefaultCredentialsError:
        raise UsageError(
            f"Google's credentials must be there, with {NAME}, but none were found; run `gcloud "
            "auth application-default login`, or name a key in GOOGLE_APPLICATION_CREDENTIALS."
        ) from None


def check_paths(paths: Mapping[str, str | Sequence[str] | None]) -> None:
    """Checks that the workers reach what a job reads and writes.

    Args:
        paths: parameter to its value: a path or URL, several, or None.

    Raises:
        UsageError: one is on a disk of this machine.
    """
    for parameter, value in paths.items():
        for path in (value,) if isinstance(value, str) else value or ():
            if not storage.is_remote(path):
                raise ParameterError(
                    parameter,
                    path,
                    must=f"be on an object store, which all workers of {NAME} reach",
                    do="give a gs:// or s3:// URL",
                )
