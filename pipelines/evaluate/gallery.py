"""Gallery and probes of an identification, with their embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from facemill.model.metrics.identification import NOBODY, Search, search
from facemill.model.protocols.identification import (
    Roles,
    draw_closed,
    draw_open,
    parse_roles,
)
from facemill.pipelines.evaluate.evaluated import Given, refuse_missing
from facemill.pipelines.evaluate.faces import read_faces
from facemill.pipelines.evaluate.inputs import read_embeddings
from facemill.pipelines.evaluate.options import ERROR
from facemill.transforms.core.errors import UsageError
from facemill.transforms.scoring.embeddings import unit

SCORES = "scores.parquet"


@dataclass(frozen=True)
class Sides:
    """What is compared.

    Attributes:
        roles: gallery and probes.
        seed: of the draw; None for a list.
        digest: hex SHA-256 of the list; None for a draw.
        image_ids: name of an image to its id in the embeddings; absent without an embedding.
        gallery: float32 [G, D], of the gallery's images that have an embedding.
        gallery_rows: int64 [G], their places in the gallery.
        probes: float32 [P, D], of the probes that have an embedding.
        probe_rows: int64 [P], their places among the probes.
    """

    roles: Roles
    seed: int | None
    digest: str | None
    image_ids: Mapping[str, str]
    gallery: np.ndarray
    gallery_rows: np.ndarray
    probes: np.ndarray
    probe_rows: np.ndarray

    @property
    def failures(self) -> dict[str, float]:
        """Number and share of the images without an embedding: the failure to acquire."""
        images = self.roles.images
        failed = sum(image not in self.image_ids for image in images)
        return {"images": len(images), "failed": failed, "rate": failed / len(images)}

    @property
    def labels(self) -> np.ndarray:
        """The number of each probe's identity, NOBODY for one that the gallery's list lacks."""
        numbers = self._numbers
        return np.array(
            [numbers.get(entry.identity, NOBODY) for entry in self.roles.probes], np.int64
        )

    @property
    def _numbers(self) -> dict[str | None, int]:
        return {who: number for number, who in enumerate(sorted(self.roles.identities))}

    def search(self) -> Search:
        """What is found of every probe; one without an embedding finds nobody."""
        numbers = self._numbers
        labels = [numbers[self.roles.gallery[row].identity] for row in self.gallery_rows]
        found = search(
            self.probes, self.labels[self.probe_rows], self.gallery, np.array(labels, np.int64)
        )
        count = len(self.roles.probes)
        whole = Search(
            np.full(count, -np.inf),
            np.full(count, len(numbers)),
            np.full(count, NOBODY),
            np.full(count, -np.inf),
            np.full(count, NOBODY),
        )
        rows = self.probe_rows
        whole.mate[rows], whole.other[rows] = found.mate, found.other
        whole.ahead[rows] = found.ahead
        for there, here in (
            (whole.mate_row, found.mate_row),
            (whole.other_row, found.other_row),
        ):
            there[rows] = np.where(here == NOBODY, NOBODY, self.gallery_rows[here])
        return whole

    def table(self, found: Search) -> pa.Table:
        """A row for each probe in the order of its name."""
        entries, gallery = self.roles.probes, self.roles.gallery

        def names(rows: np.ndarray) -> pa.Array:
            return pa.array(
                [None if row == NOBODY else self.image_ids[gallery[row].image] for row in rows],
                pa.string(),
            )

        def scores(values: np.ndarray) -> pa.Array:
            return pa.array(values, pa.float64(), mask=np.isneginf(values))

        ids = [self.image_ids.get(entry.image) for entry in entries]
        return pa.table(
            {
                "probe": pa.array([entry.image for entry in entries], pa.string()),
                "probe_image_id": pa.array(ids, pa.string()),
                "identity": pa.array([entry.identity for entry in entries], pa.string()),
                "rank": pa.array(found.rank, pa.int64(), mask=found.rank == 0),
                "mate_image_id": names(found.mate_row),
                "mate_score": scores(found.mate),
                "other_image_id": names(found.other_row),
                "other_score": scores(found.other),
            }
        )


def read_sides(given: Given, is_open: bool) -> Sides:
    """Gallery and probes by the list that the options give, or drawn.

    Args:
        given: the embeddings and the options.
        is_open: whether probes of nobody in the gallery are drawn too.

    Raises:
        UsageError: the list or the embeddings do not suffice.
        RunError: the embeddings are not what their manifest says.
    """
    options = given.options
    if options.list_file is None:
        seed = options.seed or 0
        faces = read_faces(given.path, given.manifest)
        draw = draw_open if is_open else draw_closed
        roles = draw(faces.ids, faces.identities, seed)
        rows = {name: row for row, name in enumerate(faces.ids)}
        ids = {image: image for image in roles.images}
        return _sides(roles, seed, None, rows, ids, faces.vectors)
    text, digest = given.read_text("list_file", "--list", options.list_file)
    roles = parse_roles(text, given.inputs["list_file"])
    images = roles.images
    embeddings = read_embeddings(given.path, given.manifest, images)
    if options.missing == ERROR:
        refuse_missing(images, embeddings.rows, given.path, "list")
    present = sorted(embeddings.rows.values())
    vectors = embeddings.vectors
    vectors[present] = unit(vectors[present], given.path)
    return _sides(roles, None, digest, embeddings.rows, embeddings.image_ids, vectors)


def _sides(
    roles: Roles,
    seed: int | None,
    digest: str | None,
    rows: Mapping[str, int],
    image_ids: Mapping[str, str],
    vectors: np.ndarray,
) -> Sides:
    found = []
    for what, entries in (("gallery", roles.gallery), ("probes", roles.probes)):
        there = [place for place, entry in enumerate(entries) if entry.image in rows]
        if not there:
            raise UsageError(
                f"The {what} must have an image with an embedding, but none of {len(entries):,} "
                "has one; score them."
            )
        found.append((vectors[[rows[entries[place].image] for place in there]], np.array(there)))
    (gallery, gallery_rows), (probes, probe_rows) = found
    return Sides(roles, seed, digest, image_ids, gallery, gallery_rows, probes, probe_rows)
