"""A fake of the Dataflow service, which runs the staged graph itself, in another process.

What is real: Beam's DataflowRunner builds and stages the graph, submits it by the service's REST
interface and asks for its state. What is not: the service, its workers, its container.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from facemill.transforms import storage

JOB = "2026-11-25_02_00_00-1"
_REPLAY = str(Path(__file__).with_name("replay.py"))


@dataclass
class FakeDataflow:
    """The fake service.

    Attributes:
        url: where it listens.
        jobs: as they were submitted.
        state: of the last one.
        output: what its process printed.
    """

    url: str = ""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    state: str = "JOB_STATE_PENDING"
    output: str = ""

    def submit(self, job: dict[str, Any]) -> None:
        """Takes a job and runs its graph."""
        self.jobs.append(job)
        self.state = "JOB_STATE_RUNNING"
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: dict[str, Any]) -> None:
        options = job["environment"]["sdkPipelineOptions"]["options"]
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "pipeline.pb"
            graph.write_bytes(storage.read_bytes(options["pipelineUrl"]))
            done = subprocess.run(
                [sys.executable, _REPLAY, str(graph)],
                capture_output=True,
                text=True,
                timeout=500,
                check=False,
                # Workers have neither the launcher's folder nor its files.
                cwd=folder,
            )
        self.output = done.stdout + done.stderr
        self.state = "JOB_STATE_FAILED" if done.returncode else "JOB_STATE_DONE"

    def answer(self, path: str) -> dict[str, Any]:
        """What the service says of a job."""
        if path.endswith(("/messages", "/metrics")):
            return {}
        return {
            "id": JOB,
            "name": self.jobs[-1]["name"],
            "currentState": self.state,
            "type": "JOB_TYPE_BATCH",
        }


@contextmanager
def fake_dataflow() -> Iterator[FakeDataflow]:
    """The fake service, listening on this machine."""
    fake = FakeDataflow()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            fake.submit(json.loads(self.rfile.read(size)))
            self._answer()

        def _answer(self) -> None:
            body = json.dumps(fake.answer(self.path.split("?")[0])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://localhost:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
