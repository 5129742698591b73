"""Servers that stand in for job servers, worker pools and Flink's REST API."""

import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_job_api_pb2,
    beam_job_api_pb2_grpc,
)


class FakeJobServer(beam_job_api_pb2_grpc.JobServiceServicer):
    """Offers options, as a job server does; it runs nothing."""

    def __init__(self, options: Sequence[str]) -> None:
        self._options = [beam_job_api_pb2.PipelineOptionDescriptor(name=one) for one in options]

    def DescribePipelineOptions(self, request, context):  # noqa: N802 - gRPC's name
        return beam_job_api_pb2.DescribePipelineOptionsResponse(options=self._options)


class FakePool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Stops workers that it has not, as a worker pool does; it starts none."""

    def StopWorker(self, request, context):  # noqa: N802 - gRPC's name
        return beam_fn_api_pb2.StopWorkerResponse()


@contextmanager
def job_server(options: Sequence[str] = ()) -> Iterator[str]:
    """Serves a FakeJobServer; yields its address."""
    with _grpc_server() as (server, address):
        beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(FakeJobServer(options), server)
        server.start()
        yield address


@contextmanager
def pool() -> Iterator[str]:
    """Serves a FakePool; yields its address."""
    with _grpc_server() as (server, address):
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(FakePool(), server)
        server.start()
        yield address


@contextmanager
def _grpc_server() -> Iterator[tuple[grpc.Server, str]]:
    server = grpc.server(ThreadPoolExecutor(4))
    try:
        yield server, f"localhost:{server.add_insecure_port('localhost:0')}"
    finally:
        server.stop(None).wait()


class FakeFlinkRest:
    """Flink's REST API as far as jobs are listed and canceled.

    Attributes:
        jobs: state of each job by its id and name.
        cancels: whether a job that is canceled ends.
        requests: method and path of each request.
    """

    def __init__(self) -> None:
        self.jobs: dict[tuple[str, str], str] = {}
        self.cancels = True
        self.requests: list[str] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serves it; yields `host:port`."""
        with http_server(self._answer) as address:
            yield address

    def _answer(self, method: str, path: str) -> bytes | None:
        self.requests.append(f"{method} {path}")
        if (method, path) == ("GET", "/jobs/overview"):
            listed = [
                {"jid": job_id, "name": name, "state": state}
                for (job_id, name), state in self.jobs.items()
            ]
            return json.dumps({"jobs": listed}).encode()
        for job_id, name in self.jobs:
            if (method, path) == ("PATCH", f"/jobs/{job_id}?mode=cancel"):
                if self.cancels:
                    self.jobs[job_id, name] = "CANCELED"
                return b"{}"
        return None


@contextmanager
def http_server(answer=lambda method, path: b"<html></html>") -> Iterator[str]:
    """Serves what `answer` gives for a method and a path, None for "not found"."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            content = answer(self.command, self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        do_GET = do_PATCH = do_HEAD = handle_any  # noqa: N815 - names of http.server

        def log_message(self, *arguments) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]
