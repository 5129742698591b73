"""Runs a model once on a few faces and tells what it finds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facemill.transforms.core.errors import UsageError
from facemill.transforms.scoring.refused import ImageRefusedError

_ROUNDING = 1e-4
# Drawn faces of different people are alike to most models, but hardly so much.
_NEARLY_EQUAL = 0.995


@dataclass(frozen=True)
class Findings:
    """What a trial found, of embeddings as they are stored.

    Attributes:
        embedding_size: D.
        again: largest difference between two runs of one batch.
        single: largest difference between images in a batch and alone.
        mirrored: least cosine between a face and its mirror image.
        others: mean cosine between faces of different people.
    """

    embedding_size: int
    again: float
    single: float
    mirrored: float
    others: float

    def sentences(self) -> list[str]:
        """What to tell a person."""
        same = "equal to the bit" if self.again == 0 else f"differ by up to {self.again:.1g}"
        alone = "equal to the bit" if self.single == 0 else f"differ by up to {self.single:.1g}"
        return [
            f"embeddings of {self.embedding_size} dimensions",
            f"two runs: {same}",
            f"images in a batch and alone: {alone}",
            f"a drawn face and its mirror image: cosine {self.mirrored:.2f} or more; two people: "
            f"{self.others:.2f} on average",
        ]

    def warnings(self) -> list[str]:
        """What is odd about the model."""
        found = []
        if self.again > _ROUNDING:
            found.append(
                "two runs of one batch differ, so embeddings cannot be made again; export the "
                "model for inference, without dropout"
            )
        if self.single > _ROUNDING:
            found.append(
                "an image's embedding depends on the others in its batch; export the model for "
                "inference, with the statistics of its normalization fixed"
            )
        if self.others > _NEARLY_EQUAL:
            found.append(
                f"embeddings of different people are nearly equal (cosine {self.others:.3f} on "
                "average); the output may be a classifier's and not the embedding, or mean and "
                "scale may be wrong"
            )
        if self.mirrored <= self.others:
            found.append(
                "a mirrored face is no closer to the face than another person's; mean, scale, "
                "color or layout may be wrong"
            )
        return found


def run(embed: Callable[[np.ndarray], np.ndarray], faces: np.ndarray) -> Findings:
    """Embeds faces in several ways.

    Args:
        embed: uint8 [N, S, S, 3] -> float32 [N, D].
        faces: uint8 [N, S, S, 3], of N people, 2 or more.

    Raises:
        UsageError: the model refuses the faces, or its embeddings are not finite, all equal, or of
            one dimension.
    """
    try:
        first = embed(faces)
        again = embed(faces)
        alone = np.concatenate([embed(faces[i : i + 1]) for i in range(len(faces))])
        mirrored = embed(faces[:, :, ::-1])
    except ImageRefusedError as error:
        raise UsageError(
            f"`file` must embed a drawn face, but failed ({error.reason}); check the layout, the "
            "size of the input and the name of the output."
        ) from None
    if not np.isfinite(first).all():
        raise UsageError(
            "`file` must give finite embeddings, but those of drawn faces are not; check `mean` "
            "and `scale`, or export the model anew."
        )
    if first.shape[1] < 2:
        raise UsageError(
            f"`file` must give embeddings of two or more dimensions, got {first.shape[1]}; give "
            "`output_name`, or another model."
        )
    if np.ptp(first, axis=0).max() < _ROUNDING * np.abs(first).max():
        raise UsageError(
            "`file` must give different embeddings for different faces, but those of "
            f"{len(first)} drawn faces are equal; check `mean` and `scale`, or export it anew."
        )
    cosines = _unit(first) @ _unit(first).T
    return Findings(
        embedding_size=first.shape[1],
        again=float(np.abs(first - again).max()),
        single=float(np.abs(first - alone).max()),
        mirrored=float((_unit(first) * _unit(mirrored)).sum(axis=1).min()),
        others=float(cosines[~np.eye(len(first), dtype=bool)].mean()),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
