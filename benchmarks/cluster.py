"""How well `facemill cluster` finds the people of photos, beside scikit-learn's DBSCAN.

    python -m benchmarks.cluster --folder /tmp/cluster
    python -m benchmarks.cluster --embeddings EMBEDDINGS

It prints the BCubed F1 of both methods of `facemill cluster` and of DBSCAN (`min_samples=1`, `eps`
1 minus the threshold) over the same cosines, at each threshold, and of each at its own best one.
Then the command itself clusters at the best threshold of its default method, and must reach the
same figure.

EMBEDDINGS have identities. Without them, those of LFW (13,233 photos of 5,749 people) and of ORL
(400 of 40) are made, with one fixed crop for all photos of a set, from $FACEMILL_DATA, which holds
the folders `lfw/images` and `orl`, and from the network --network, or `MobileFaceNet.tflite` in the
folder `models` beside $FACEMILL_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable

import numpy as np

from benchmarks.usage import run
from facemill.model.metrics.clustering import bcubed
from facemill.transforms.scoring.embeddings import ID, read_set, unit
from facemill.transforms.search.exact import nearest
from facemill.transforms.search.graph import EDGE, Graph
from facemill.transforms.search.methods import COMPONENTS, METHODS
from facemill.transforms.search.names import numbered, photo_of
from facemill.transforms.search.people import NOBODY, Faces, bounded_people

_FACEMILL = [sys.executable, "-m", "facemill.pipelines.cli"]
_DBSCAN = "DBSCAN"
# Folder of a set's photos, and the square that is cut from each of them.
_SETS = {
    "lfw": ("lfw/images", ("--crop-fraction", "0.544", "--crop-raised", "0.04")),
    "orl": ("orl", ("--crop-fraction", "1")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embeddings", nargs="*", help="with identities; made if not given")
    parser.add_argument("--sets", default=",".join(_SETS), help="that are made")
    parser.add_argument("--network", help="TFLite file for the preset mobilefacenet")
    parser.add_argument("--folder", help="where embeddings are kept; a temporary one if not given")
    parser.add_argument("--neighbors", type=int, default=32)
    parser.add_argument("--thresholds", default="0.45,0.5,0.55,0.6,0.65,0.7,0.75")
    given = parser.parse_args()
    thresholds = [float(text) for text in given.thresholds.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(given.folder or temporary)
        os.makedirs(folder, exist_ok=True)
        for path in given.embeddings or [
            _embeddings(name, folder, given.network) for name in given.sets.split(",")
        ]:
            _compare(path, thresholds, given.neighbors, os.path.join(temporary, "clusters"))


def _compare(path: str, thresholds: list[float], neighbors: int, output: str) -> None:
    """Prints the figures of one set."""
    ids, truth, vectors = _read(path)
    ways = _ways(ids, vectors, neighbors, min(thresholds))
    print(f"{path}: {len(ids):,} photos of {len(set(truth)):,} people")
    print(" | ".join(["threshold", *(f"{name:>10}" for name in ways)]))
    found: dict[str, list[float]] = {name: [] for name in ways}
    for threshold in thresholds:
        for name, way in ways.items():
            found[name].append(bcubed(truth, way(threshold).tolist()).f1)
        cells = (f"{figures[-1]:10.4f}" for figures in found.values())
        print(" | ".join([f"{threshold:9.3f}", *cells]), flush=True)
    print(" | ".join(["     best", *(f"{max(figures):10.4f}" for figures in found.values())]))
    best = int(np.argmax(found[COMPONENTS]))
    flags = ("--threshold", str(thresholds[best]), "--neighbors", str(neighbors))
    run([*_FACEMILL, "cluster", "--embeddings", path, "--output", output, *flags])
    with open(os.path.join(output, "manifest.json")) as stream:
        reached = json.load(stream)["metrics"]["bcubed"]["f1"]
    os.rename(output, tempfile.mkdtemp(dir=os.path.dirname(output)))
    print(f"facemill cluster --threshold {thresholds[best]:g}: {reached:.4f}")
    if abs(reached - found[COMPONENTS][best]) > 1e-9:
        raise SystemExit("The command and the functions that it is made of must agree.")


def _ways(
    ids: list[str], vectors: np.ndarray, neighbors: int, least: float
) -> dict[str, Callable[[float], np.ndarray]]:
    """From a threshold to the person of each face, int64 [N], by each way.

    Args:
        ids: [N] image_ids, sorted.
        vectors: float32 [N, D], of length 1.
        neighbors: of each face that are looked at.
        least: threshold.
    """
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    count = len(ids)
    near = nearest(vectors, vectors, np.arange(count), neighbors, own=np.arange(count))
    kept = near.scores >= least
    edges = np.empty(int(kept.sum()), EDGE)
    edges["one"] = np.nonzero(kept)[0]
    edges["other"], edges["score"] = near.rows[kept], near.scores[kept]
    photos = numbered(map(photo_of, ids))
    faces = Faces(vectors, photos, np.full(count, NOBODY))
    # DBSCAN reads a sparse matrix of distances, so the search for neighbors is done once.
    search = NearestNeighbors(radius=1 - least, metric="cosine", algorithm="brute").fit(vectors)
    distances = search.radius_neighbors_graph(mode="distance")

    def ours(method: str, threshold: float) -> np.ndarray:
        graph = Graph.of(count, edges[edges["score"] >= threshold], photos)
        return bounded_people(graph, faces, threshold, method)

    def dbscan(threshold: float) -> np.ndarray:
        found = DBSCAN(eps=1 - threshold, min_samples=1, metric="precomputed").fit(distances)
        return np.asarray(found.labels_)

    ways: dict[str, Callable[[float], np.ndarray]] = {
        method: lambda threshold, method=method: ours(method, threshold)  # type: ignore[misc]
        for method in METHODS
    }
    return {**ways, _DBSCAN: dbscan}


def _read(path: str) -> tuple[list[str], list[str], np.ndarray]:
    """image_ids, identities and vectors of length 1, in the order of the image_ids."""
    given, _ = read_set(path, "embeddings")
    blocks = list(given.blocks(given.all_slices(), (ID, "identity")))
    ids = [name for block in blocks for name in block.ids]
    truth = [name for block in blocks for name in block.table["identity"].to_pylist()]
    if None in truth:
        raise SystemExit(f"Each photo of {path} must have an identity; score folders of people.")
    vectors = unit(np.concatenate([block.vectors for block in blocks]), path)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return [ids[row] for row in order], [truth[row] for row in order], vectors[order]


def _embeddings(name: str, folder: str, network: str | None) -> str:
    """Embeddings of a set, made once."""
    data = os.environ.get("FACEMILL_DATA")
    if not data:
        raise SystemExit("FACEMILL_DATA must name the folder of lfw and orl; set it.")
    file = network or os.path.join(os.path.dirname(data), "models", "MobileFaceNet.tflite")
    photos, crop = _SETS[name]
    model, output = (os.path.join(folder, f"{name}-{what}") for what in ("model", "embeddings"))
    flags = ("--preset", "mobilefacenet", "--align", "center", *crop)
    if not os.path.exists(os.path.join(model, "manifest.json")):
        run([*_FACEMILL, "import-model", "--file", file, "--output", model, *flags])
    if not os.path.exists(os.path.join(output, "manifest.json")):
        words = ("--input", os.path.join(data, photos), "--model", model, "--output", output)
        run([*_FACEMILL, "score", *words])
    return output


if __name__ == "__main__":
    main()
