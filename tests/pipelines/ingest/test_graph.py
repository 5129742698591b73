import os
import subprocess
import sys

import apache_beam as beam
import pytest

from facemill.pipelines.ingest.config import IngestJob
from facemill.pipelines.ingest.graph import build_graph
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.references import Base, ReferenceSet
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.writing import Work
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.selection.rules import Rule, in_order
from facemill.transforms.selection.selection import Selection
from facemill.transforms.sources.folders import Folders
from tests.pipelines.graphs import Graph, check

RULES = in_order(
    [Rule("cap", 9, "age"), Rule("oversample", 4), Rule("effective-number", 0.9, "age")]
)


def graph_of(folder, dedup: str, on_conflict: str, references: tuple[int, ...], rules=()) -> Graph:
    source, crop_config = Folders(str(folder)), CropConfig(32)
    (folder / "staging").mkdir()
    scratch = os.path.join(folder, "scratch")
    scan = ScanJob(source, str(folder / "staging"), crop_config, QualityThresholds(), 1)
    job = IngestJob(
        options=IngestOptions("photos", "dataset", dedup=dedup, on_conflict=on_conflict, workers=1),
        scan=scan,
        tasks=["ada", "bob"],
        rules=Selection((("train", 1.0),), rules=rules),
        reference_sets=[ReferenceSet(source, ["eve"], one, crop_config, "") for one in references],
        base=Base(str(folder), {}) if BASE in references else None,
        work=Work(*(str(folder), "dataset", {}, {}, scratch, OutputFiles(scratch), lambda: None)),
    )
    pipeline = beam.Pipeline(runner="FnApiRunner")
    build_graph(pipeline, job)
    return Graph(pipeline)


# Steps with pickled elements: the None that writers of files return, and a few values that occur
# once in a run or once for each chunk of a held-out set.
PICKLED = {
    "WriteBaseTrain",
    *("SelectImages/Balance1/Cut", "SelectImages/Balance3/Cut", "CountUsable/Tally"),
    *("Receipts/Write", "Listed"),
}


BUILD = """
import pathlib, sys
from tests.pipelines.ingest import test_graph as built
references = (built.BASE, built.HELD_OUT)
folder = pathlib.Path(sys.argv[1])
graph = built.graph_of(folder, "thorough", "quarantine", references, built.RULES)
print(len(graph.steps))
unwanted = ("tensorflow", "tensorflow_transform", "tfx_bsl")
print([name for name in unwanted if name in sys.modules])
"""


@pytest.mark.slow
def test_grouped_streams_have_deterministic_coders(tmp_path):
    assert check(graph_of(tmp_path, "off", "drop", ())) < PICKLED


@pytest.mark.slow
def test_grouped_streams_have_deterministic_coders_with_every_option(tmp_path):
    graph = graph_of(tmp_path, "thorough", "quarantine", (BASE, HELD_OUT), RULES)
    assert check(graph) == PICKLED
    tops = {step.split("/")[0] for step in graph.steps}
    assert {"ListBase", "ScanBase", "ListHeldOut", "ScanHeldOut", "WithReferences"} <= tops


@pytest.mark.slow
def test_the_graph_needs_no_tensorflow(tmp_path):
    """A step of tensorflow-transform would bring it to every worker of a remote runner."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    steps, found = done.stdout.splitlines()
    assert int(steps) > 100
    assert found == "[]"
