"""The page of a clustering: how many people, how large they are, and the largest with pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from facemill.pipelines.common.photos import Photos
from facemill.pipelines.common.report import figures, images, page, tables
from facemill.transforms.scoring.embeddings import EmbeddingSet

# People that the page shows, and faces of each.
_PEOPLE, _FACES = 24, 8
_SIZES = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 50), (51, 100), (101, None))


def render(
    given: EmbeddingSet,
    ids: Sequence[str],
    names: Sequence[str],
    counts: Mapping[str, int],
    metrics: Mapping[str, Any] | None,
) -> str:
    """The HTML page.

    Args:
        given: the embeddings.
        ids: [N] image_ids, sorted.
        names: [N] name of each face's person.
        counts: of the manifest.
        metrics: of the manifest.
    """
    sizes = Counter(names)
    shown = sorted(sizes, key=lambda name: (-sizes[name], name))[:_PEOPLE]
    faces: dict[str, list[str]] = {name: [] for name in shown}
    for one, name in zip(ids, names, strict=True):
        if name in faces and len(faces[name]) < _FACES:
            faces[name].append(one)
    pictures = Photos(given).faces(one for some in faces.values() for one in some)
    cards = [
        figures.Card("Faces", counts["images"]),
        figures.Card("People", counts["clusters"], f"{counts['alone']:,} of them with one face"),
        figures.Card("Largest", counts["largest"], "faces of one person"),
    ]
    sections = [page.Section("Result", [figures.cards(cards)])]
    if metrics is not None:
        note = f"Of {metrics['images']:,} images of {metrics['identities']:,} known identities."
        sections.append(page.Section("Agreement with known identities", [_scores(metrics)], note))
    sections += [
        page.Section("Sizes", [_sizes(sizes)]),
        page.Section("Largest people", [_people(shown, sizes, faces, pictures)]),
    ]
    return page.render("People", sections, f"model {given.model_id[:12]}")


def _scores(metrics: Mapping[str, Any]) -> images.Markup:
    titles = ("precision", "recall", "f1")
    columns = [tables.Column("agreement of"), *(tables.Column(title, True) for title in titles)]
    rows = [
        (label, *(f"{metrics[name][title]:.4f}" for title in titles))
        for label, name in (("pairs of images", "pairwise"), ("images (BCubed)", "bcubed"))
    ]
    return tables.table(columns, rows)


def _sizes(sizes: Mapping[str, int]) -> images.Markup:
    rows: list[Sequence[tables.Cell]] = []
    for least, most in _SIZES:
        inside = [size for size in sizes.values() if least <= size <= (most or size)]
        label = (
            f"{least}" if least == most else f"{least} to {most}" if most else f"{least} or more"
        )
        if inside:
            rows.append((label, len(inside), sum(inside)))
    number = (tables.Column("people", True), tables.Column("faces in all", True))
    return tables.table(["faces of a person", *number], rows)


def _people(
    shown: Sequence[str],
    sizes: Mapping[str, int],
    faces: Mapping[str, Sequence[str]],
    pictures: Mapping[str, bytes],
) -> images.Markup:
    if not pictures:
        rows = [(name, sizes[name], faces[name][0]) for name in shown]
        return tables.table(["person", tables.Column("faces", True), "first face"], rows)
    return images.sheet(
        [
            images.Group(
                name,
                [
                    images.Thumbnail(pictures[one], images.short_name(one), "", one)
                    for one in faces[name]
                    if one in pictures
                ],
                f"{sizes[name]:,} faces",
            )
            for name in shown
        ]
    )
