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

# The number of the job follows.
JOB = "2026-11-25_02_00_00-1"
_REPLAY = str(Path(__file__).with_name("replay.py"))


@dataclass
class FakeDataflow:
    """The fake service.

    Attributes:
        url: where it listens.
        jobs: as they were submitted.
        states: of each.
        output: what their processes printed.
    """

    url: str = ""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    output: str = ""

    def submit(self, job: dict[str, Any]) -> threading.Thread:
        """Takes a job and runs its graph, which ends with the thread that is returned."""
        number = len(self.jobs)
        self.jobs.append(job)
        self.states.append("JOB_STATE_RUNNING")
        thread = threading.Thread(target=self._run, args=(number, job), daemon=True)
        thread.start()
        return thread

    def _run(self, number: int, job: dict[str, Any]) -> None:
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
        self.output += done.stdout + done.stderr
        self.states[number] = "JOB_STATE_FAILED" if done.returncode else "JOB_STATE_DONE"

    def answer(self, path: str) -> dict[str, Any]:
        """What the service says of a job."""
        if path.endswith(("/messages", "/metrics")):
            return {}
        name = path.rpartition("/")[2]
        number = int(name.removeprefix(JOB)) if name.startswith(JOB) else len(self.jobs) - 1
        return {
            "id": f"{JOB}{number}",
            "name": self.jobs[number]["name"],
            "currentState": self.states[number],
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
