"""How the stores are reached: flags that Beam has for them, over the stores' usual variables.

The launcher takes the flags from its command line. Processes that it starts on the same machine
inherit them in an environment variable; other workers get them with the paths that they open, see
`transforms.storage.paths.StoreUrl`.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_VARIABLE = "FACEMILL_STORE_SETTINGS"

# The stores' own variables that say where a store is and who asks it.
_STORES_VARIABLES = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"),
)


@dataclass(frozen=True)
class Settings:
    """Values of Beam's flags for the stores; None where a flag is not given.

    What is not given comes from the stores' own variables and files (`AWS_ENDPOINT_URL`,
    `AWS_PROFILE`, `GOOGLE_APPLICATION_CREDENTIALS`, `STORAGE_EMULATOR_HOST`, ...).

    Attributes:
        s3_access_key_id: of the credentials.
        s3_secret_access_key: of the credentials.
        s3_session_token: of temporary credentials.
        s3_endpoint_url: of a store that speaks S3's protocol.
        s3_region_name: the region.
        s3_verify: the path of a certificate bundle.
        s3_disable_ssl: whether to speak plain HTTP.
        no_auth: whether to reach Google's store without credentials.
        project: the project that is billed for requests to Google's store.
    """

    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = None
    s3_session_token: str | None = None
    s3_endpoint_url: str | None = None
    s3_region_name: str | None = None
    s3_verify: str | None = None
    s3_disable_ssl: bool = False
    no_auth: bool = False
    project: str | None = None


# Variables of the launcher's environment that workers take over if they have none.
_SHARED = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "STORAGE_EMULATOR_HOST",
)

_given: Settings | None = None
_launching = False


def take_flags(arguments: Sequence[str]) -> list[str]:
    """Makes this process the launcher and takes the stores' flags from its command line.

    Args:
        arguments: those that are not the command's own.

    Returns:
        The arguments that are no flags of the stores.
    """
    global _given, _launching
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for field in dataclasses.fields(Settings):
        if field.type == "bool" or field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true")
        else:
            parser.add_argument(f"--{field.name}")
    found, rest = parser.parse_known_args(list(arguments))
    _given, _launching = Settings(**vars(found)), True
    if _given == Settings():
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = json.dumps(dataclasses.asdict(_given))
    return rest


def is_launcher() -> bool:
    """Whether this process was started by a person, who waits for its first answer."""
    return _launching


def for_workers() -> tuple[Settings, dict[str, str]]:
    """What workers need to reach the stores that this process reaches.

    Returns:
        (the flags; S3's endpoint and region from the environment, for workers whose environment
        names none). Credentials of the environment are never among them, since everybody can read
        the steps of a job.
    """
    return current(), {name: os.environ[name] for name in _SHARED if name in os.environ}


def offer(given: Settings, variables: dict[str, str]) -> None:
    """Takes what the launcher sent to this worker, see `for_workers`."""
    global _given
    if not _launching and given != Settings():
        _given = given
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def current() -> Settings:
    """The settings of this process."""
    if _given is not None:
        return _given
    if _VARIABLE in os.environ:
        return _known(json.loads(os.environ[_VARIABLE]))
    # On a remote worker Beam has set the options of the job.
    providers = sys.modules.get("apache_beam.options.value_provider")
    options = providers and providers.RuntimeValueProvider.runtime_options
    return Settings() if not options else _known(dict(options))


def variables() -> tuple[str | None, ...]:
    """The values of the stores' own variables, by which a client is made."""
    return tuple(os.environ.get(name) for name in _STORES_VARIABLES)


def _known(values: dict[str, Any]) -> Settings:
    names = {field.name for field in dataclasses.fields(Settings)}
    return Settings(**{name: value for name, value in values.items() if name in names and value})
