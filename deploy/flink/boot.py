"""Starts a Python worker of Beam: the boot command of `--environment_type=PROCESS`.

The runner calls it with `--id` and `--provision_endpoint`; the provision service says the rest:
options, and where control and logging listen. Beam's own boot program, of its images, does the
same, but builds a virtual environment for each worker and needs a fixed folder of the system.

This process becomes the worker: Beam is imported once. It ends when the process that started it
ends, so that a killed TaskManager leaves no worker behind.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

# Written before anything is imported, so that a failed import is in the file too.
LOG_FOLDER = "FACEMILL_WORKER_LOGS"
_SECONDS_TO_ANSWER = 60.0
# Staged by every launcher; it only lists packages.
_HARMLESS = "submission_environment_dependencies.txt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a worker until the runner ends it.

    Args:
        arguments: of the command line; those of Beam's boot program that are not needed are
            passed over.
    """
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    parser.add_argument("--semi_persist_dir", default="")
    given, _ = parser.parse_known_args(arguments)
    # Prism puts the id into quotes.
    worker = given.id.strip("'")
    _log_to_file(worker)
    _end_with(os.getppid())
    os.environ.update(environment(_provision_info(given.provision_endpoint, worker), worker))
    if given.semi_persist_dir:
        os.environ["SEMI_PERSISTENT_DIRECTORY"] = given.semi_persist_dir

    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def environment(info: Any, worker: str) -> dict[str, str]:
    """What Beam's worker reads from its environment.

    Args:
        info: ProvisionInfo.
        worker: its id.
    """
    from google.protobuf import json_format, text_format

    options = _whole_numbers(json_format.MessageToDict(info.pipeline_options))
    found = {
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json.dumps(options),
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.control_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    if info.logging_endpoint.url:
        found["LOGGING_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(info.logging_endpoint)
    if info.status_endpoint.url:
        found["STATUS_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(info.status_endpoint)
    return found


def not_installed(info: Any) -> list[str]:
    """Names of the files that the launcher staged for workers, which this program passes over."""
    from apache_beam.portability.api import beam_runner_api_pb2 as api

    names = []
    for one in info.dependencies:
        role = api.ArtifactStagingToRolePayload.FromString(one.role_payload)
        names.append(role.staged_name or one.role_urn)
    return [name for name in names if name != _HARMLESS]


def _provision_info(endpoint: str, worker: str) -> Any:
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2 as api
    from apache_beam.portability.api import beam_provision_api_pb2_grpc as service

    with grpc.insecure_channel(endpoint) as channel:
        answer = service.ProvisionServiceStub(channel).GetProvisionInfo(
            api.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker)],
            timeout=_SECONDS_TO_ANSWER,
            wait_for_ready=True,
        )
    for name in not_installed(answer.info):
        print(f"boot: {name} is staged but not installed; install it here.", file=sys.stderr)
    return answer.info


def _whole_numbers(value: Any) -> Any:
    """Turns 100.0 into 100: a protobuf Struct has no integers, and Beam's options need them."""
    if isinstance(value, dict):
        return {key: _whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _log_to_file(worker: str) -> None:
    """Flink throws away what a worker prints; a file keeps it."""
    folder = os.environ.get(LOG_FOLDER)
    if folder:
        os.makedirs(folder, exist_ok=True)
        name = f"worker-{worker.replace('/', '_')}-of-{os.getppid()}-{os.getpid()}.log"
        file = os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)


def _end_with(parent: int) -> None:
    """Ends this process once its parent has ended.

    The kernel's own signal for that is sent when the *thread* that started the process ends, and
    threads of a TaskManager come and go.
    """

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, name="ends-with-parent", daemon=True).start()


if __name__ == "__main__":
    main()
