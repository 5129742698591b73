"""What `facemill ingest` costs if its output is on an object store: time, requests and bytes.

    python -m benchmarks.object_store --images 20000 --latency 0.02 --folder /tmp/stores

One run ingests the same photos onto a disk, onto the store with its scratch on a disk of this
machine (what a local runner does), and onto the store with its scratch there too (what workers on
other machines do). The claim: with 20 ms of latency each keeps at least half of the disk's rate at
20,000 images and 2 workers.

The store is moto, an emulator of S3, in a process of its own behind `benchmarks.store_proxy`; both
take CPU time from the same machine, which a real store does not. Photos are drawn once, before the
clock starts, and lie on a disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from benchmarks.scale import collection
from benchmarks.store_proxy import Counts, Proxy
from benchmarks.usage import Usage, run

_BUCKET = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds for each request")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1, help="the fastest run of each counts")
    parser.add_argument("--folder", help="where photos are kept; a temporary one if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, _store(given.latency) as store:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        photos = collection(folder, given.images)
        print("output, scratch       |   s  images/s  ratio | requests/image  kB sent  kB received")
        best: dict[str, float] = {}
        for turn in range(given.repeat):
            for name, scratch in (("disk", "auto"), ("store, disk", "disk"), ("store", "store")):
                output = os.path.join(temporary, f"out-{turn}")
                if name != "disk":
                    output = f"s3://{_BUCKET}/{scratch}-{turn}"
                usage, counts = _ingest(photos, output, scratch, given.workers, store)
                best[name] = min(usage.wall, best.get(name, usage.wall))
                print(
                    f"{name:<21} | {usage.wall:>5.1f} {given.images / usage.wall:>6,.0f} "
                    f"{best['disk'] / usage.wall:>7.2f} | {counts.total / given.images:>14.4f} "
                    f"{counts.sent / given.images / 1e3:>8.2f} "
                    f"{counts.received / given.images / 1e3:>11.2f}",
                    flush=True,
                )
        for name in ("store, disk", "store"):
            print(f"{name}: {best['disk'] / best[name]:.2f} of the rate of a disk")


def _ingest(
    photos: str, output: str, scratch: str, workers: int, store: Connection
) -> tuple[Usage, Counts]:
    store.send("reset")
    store.recv()
    flags = ["--image-size", "112", "--workers", str(workers), "--scratch", scratch]
    command = [sys.executable, "-m", "facemill.pipelines.cli", "ingest", "--input", photos]
    usage = run([*command, "--output", output, *flags])
    store.send("counts")
    return usage, store.recv()


@contextmanager
def _store(latency: float) -> Iterator[Connection]:
    """Runs the emulator behind its proxy; the connection answers "reset" and "counts"."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(there, latency), daemon=True
    )
    process.start()
    os.environ |= {
        "AWS_ENDPOINT_URL": here.recv(),
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        yield here
    finally:
        process.terminate()


def _serve(connection: Connection, latency: float) -> None:
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    proxy = Proxy(f"http://{host}:{port}")
    proxy.behavior.latency = latency
    keys = {"aws_access_key_id": "benchmark", "aws_secret_access_key": "benchmark"}
    client = boto3.client("s3", endpoint_url=proxy.url, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=_BUCKET)
    connection.send(proxy.url)
    while True:
        if connection.recv() == "reset":
            with proxy.lock:
                proxy.counts = Counts()
            connection.send(None)
        else:
            connection.send(proxy.counts)


if __name__ == "__main__":
    main()
