"""`facemill demo`: all commands in order on synthetic faces, each in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from facemill.pipelines.common.report import figures, page, tables
from facemill.pipelines.demo.options import DemoOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError

# The two collections share no identity: the model is evaluated on identities that it never saw.
_TRAINING = {"--identities": "400", "--images-per-identity": "15", "--seed": "7"}
_PLANTS = ("copy=12", "reencode=12", "resize=12", "conflict=8", "truncated=4", "zero-bytes=2")
_UNSEEN = {
    "--start-identity": "10001",
    "--identities": "100",
    "--images-per-identity": "10",
    "--seed": "7",
    "--pairs": "10x60",
}
_SIZE = "64"


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes:
        name: of the command.
        arguments: its flags.
        summary: what it does, for a person.
    """

    name: str
    arguments: list[str]
    summary: str


def run(options: DemoOptions, beam_args: Sequence[str]) -> None:
    """Runs the steps, and links their reports on one page.

    Args:
        options: the output directory.
        beam_args: none; the steps use the local runner.

    Raises:
        RunError: a step failed; its own message stands above.
    """
    del beam_args
    root = storage.absolute(options.output, "output")
    durations = []
    for step in steps(root):
        print(f"\n== {step.summary}\n$ facemill {step.name} {' '.join(step.arguments)}", flush=True)
        started = time.monotonic()
        # Each step has its own process, since TensorFlow cannot be configured twice in one.
        done = subprocess.run(
            [sys.executable, "-m", "facemill.pipelines.cli", step.name, *step.arguments],
            check=False,
        )
        if done.returncode != 0:
            raise RunError(
                f"Every step of the demo must end well, but `facemill {step.name}` ended with "
                f"{done.returncode}; see its message above."
            )
        durations.append(time.monotonic() - started)
    text = render(root, durations)
    storage.write_atomically(os.path.join(root, "report.html"), text.encode("utf-8"))
    print(f"\nreport: {os.path.join(options.output, 'report.html')}")


def steps(root: str) -> list[Step]:
    """The commands, in order.

    Args:
        root: absolute path of the demo's directory.
    """

    def path(*names: str) -> str:
        return os.path.join(root, *names)

    def flags(options: dict[str, str]) -> list[str]:
        return [word for option in options.items() for word in option]

    planted = [word for plant in _PLANTS for word in ("--plant", plant)]
    return [
        Step(
            "synthesize",
            [*flags({"--output": path("photos"), "--image-size": _SIZE} | _TRAINING), *planted],
            "draw faces of nobody, with planted copies and broken files",
        ),
        Step(
            "synthesize",
            flags({"--output": path("unseen"), "--image-size": _SIZE} | _UNSEEN),
            "draw other identities, which the model will never be trained on",
        ),
        Step(
            "ingest",
            flags(
                {
                    "--input": path("photos", "images"),
                    "--output": path("dataset"),
                    "--image-size": _SIZE,
                    "--min-images": "2",
                    "--split": "train=0.95,val=0.05",
                }
            ),
            "clean, deduplicate, split and pack the photos",
        ),
        Step(
            "train",
            flags({"--dataset": path("dataset"), "--output": path("model"), "--recipe": "demo"}),
            "train a small embedding model",
        ),
        Step(
            "score",
            flags(
                {
                    "--input": path("unseen", "images"),
                    "--model": path("model"),
                    "--output": path("embeddings"),
                }
            ),
            "compute an embedding of every unseen face",
        ),
        Step(
            "match",
            flags(
                {
                    "--probes": path("embeddings"),
                    "--gallery": path("embeddings"),
                    "--top-k": "5",
                    "--fmr": "0.01",
                    "--output": path("matches"),
                }
            ),
            "ask who is in each photo: the most similar other photos",
        ),
        Step(
            "evaluate",
            flags(
                {
                    "--embeddings": path("embeddings"),
                    "--protocol": "lfw",
                    "--pairs": path("unseen", "pairs.txt"),
                    "--output": path("evaluation"),
                }
            ),
            "tell pairs of unseen identities apart",
        ),
    ]


def render(root: str, durations: Sequence[float]) -> str:
    """The page that links the reports of the steps."""
    dataset = _read(root, "dataset", "manifest.json")
    model = _read(root, "model", "manifest.json")
    embeddings = _read(root, "embeddings", "manifest.json")
    matches = _read(root, "matches", "manifest.json")
    results = _read(root, "evaluation", "results.json")
    accuracy = 100 * results["accuracy"]["mean"]
    counts = dataset["counts"]
    cards = [
        figures.Card("Pair accuracy", f"{accuracy:.2f} %", "on identities never trained on"),
        figures.Card(
            "Best match",
            f"{100 * matches['metrics']['right'] / max(1, matches['metrics']['named']):.1f} %",
            "is the same person, of all other photos",
        ),
        figures.Card("Photos", counts["listed"], f"{counts['kept']:,} kept"),
        figures.Card("Identities", model["counts"]["identities"], "trained on"),
        figures.Card("Embeddings", embeddings["counts"]["scored"], "of unseen identities"),
    ]
    links = [
        figures.Link("dataset/report.html", "Ingest", "what came in and what stayed"),
        figures.Link("model/report.html", "Training", "the curves"),
        figures.Link("matches/report.html", "Matching", "who is this? photos side by side"),
        figures.Link("evaluation/report.html", "Evaluation", "how well pairs are told apart"),
    ]
    rows = [
        [step.name, step.summary, f"{seconds:.1f}"]
        for step, seconds in zip(steps(root), durations, strict=True)
    ]
    columns: list[tables.Column | str] = ["command", "what it does", tables.Column("seconds", True)]
    sections = [
        page.Section("Result", [figures.cards(cards)]),
        page.Section("Reports", [figures.links(links)]),
        page.Section("Steps", [tables.table(columns, rows)]),
    ]
    return page.render("facemill demo", sections, "Synthetic faces: they show nobody.")


def _read(*names: str) -> dict:
    return json.loads(storage.read_bytes(os.path.join(*names)))
