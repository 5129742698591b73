"""insightface's `.bin` benchmarks: lfw.bin, cfp_fp.bin, agedb_30.bin, calfw.bin, cplfw.bin."""

import io
from typing import Any

import numpy as np

from facemill.model.protocols import insightface
from facemill.pipelines.evaluate import pairs
from facemill.pipelines.evaluate.evaluated import Evaluated, Given
from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.pair_bin import image_in
from facemill.transforms.sources.pair_pickle import RefusedError, read_pair_file


def evaluate(given: Given) -> Evaluated:
    """The figures of a file's pairs, whose images were scored from that file.

    Raises:
        UsageError: the file is none of insightface's, or images have no embedding.
        RunError: the embeddings are not what their manifest says.
    """
    data, digest = given.read_bytes("pairs", "--pairs", given.options.pairs or "")
    path = given.inputs["pairs"]
    try:
        found = read_pair_file(io.BytesIO(data))
    except RefusedError as error:
        raise UsageError(
            f"--pairs must be a benchmark of insightface, such as lfw.bin, but {path} {error}; "
            "give another file."
        ) from None
    name = path.rpartition("/")[2]
    images = [image_in(name, number) for number in range(len(found.images))]
    listed = insightface.pair_list(images, list(found.labels), path)

    def more(scores: np.ndarray) -> dict[str, Any]:
        mean, deviation = insightface.accuracy(scores, listed.genuine, listed.fold)
        figures = {"mean": mean, "standard_deviation": deviation}
        return {"protocol": "bin", "insightface": figures}

    return pairs.of_list(given, listed, digest, lambda image: "", more)
