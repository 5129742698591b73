"""Validation pairs in the report of a training run: charts, and what went wrong as pictures."""

from facemill.model.data.validation_pairs import Pairs, Scores, hardest
from facemill.model.metrics import verification
from facemill.model.metrics.confused import most_confused
from facemill.pipelines.common.report import charts, images, page
from facemill.transforms.images.decode import decode

# Pairs shown of each kind; identities shown, and images of each.
_HARDEST, _CONFUSED, _IMAGES = 12, 12, 2
_CONFUSED_NOTE = (
    "Pairs of different identities of the val split whose images have the highest mean cosine, "
    "each with its images that are most like the other. One person under two names shows here."
)


def sections(scores: Scores, pairs: Pairs | None) -> list[page.Section]:
    """What the page says of the validation.

    Args:
        scores: of the pairs.
        pairs: with their images, or None for the charts alone.
    """
    note = (
        f"{len(scores.genuine):,} genuine and {len(scores.impostor):,} impostor pairs of "
        "identities that were not trained on; the accuracy's threshold is chosen on them, which "
        "makes it optimistic."
    )
    found = [page.Section("Validation pairs", [charts.beside(_pairs(scores))], note)]
    if pairs is not None:
        found += [*_hardest(scores, pairs), *_confused(scores, pairs)]
    return found


def _confused(scores: Scores, pairs: Pairs) -> list[page.Section]:
    """The identities that the model tells apart least."""
    if scores.vectors is None or not pairs.identities:
        return []
    found = most_confused(scores.vectors, pairs.identities, _CONFUSED, _IMAGES)
    groups = [
        images.Group(
            f"mean cosine {one.cosine:.3f}",
            [_side(pairs, row) for row in (*one.first, *one.second)],
            f"{pairs.identities[one.first[0]]} and {pairs.identities[one.second[0]]}",
        )
        for one in found
    ]
    return [page.Section("Most confused identities", [images.sheet(groups)], _CONFUSED_NOTE)]


def _pairs(scores: Scores) -> list[charts.Markup]:
    curve = verification.roc(scores.genuine, scores.impostor)
    return [
        charts.line(
            "Receiver operating characteristic",
            "false accept rate (FMR)",
            "true accept rate (1 - FNMR)",
            [charts.Series("val pairs", curve.fmr, 1 - curve.fnmr)],
            "True accept rate over false accept rate.",
        ),
        charts.histogram(
            "Cosines",
            "cosine of a pair",
            "share of the pairs",
            [charts.Sample("genuine", scores.genuine), charts.Sample("impostor", scores.impostor)],
            "Cosines of genuine and of impostor pairs.",
            share=True,
        ),
    ]


def _hardest(scores: Scores, pairs: Pairs) -> list[page.Section]:
    """The pairs that the model got most wrong, as crops."""
    _, threshold = verification.best_accuracy(scores.genuine, scores.impostor)
    genuine, impostor = hardest(scores, _HARDEST)
    kinds = (
        ("Hardest genuine pairs", genuine, scores.genuine, pairs.genuine),
        ("Hardest impostor pairs", impostor, scores.impostor, pairs.impostor),
    )
    notes = (
        f"One identity, and the lowest cosines. Pairs below {threshold:.3f} were taken for two.",
        f"Two identities, and the highest cosines. Pairs from {threshold:.3f} on were taken for "
        "one.",
    )
    sections = []
    for (title, rows, values, sides), note in zip(kinds, notes, strict=True):
        wrong = (values < threshold) if sides is pairs.genuine else (values >= threshold)
        groups = [
            images.Group(
                f"cosine {values[row]:.3f}",
                [_side(pairs, index) for index in sides[row].tolist()],
                "wrong" if wrong[row] else "right",
            )
            for row in rows.tolist()
        ]
        counted = f" {int(wrong.sum()):,} of {len(values):,} are wrong."
        if len(groups) < len(values):
            counted += f" The {len(groups)} hardest are shown."
        sections.append(page.Section(title, [images.sheet(groups)], note + counted))
    return sections


def _side(pairs: Pairs, index: int) -> images.Thumbnail:
    pixels = decode(pairs.encoded[index]).pixels
    name, identity = pairs.image_ids[index], pairs.identities[index]
    note = "" if identity in name.split("/")[:-1] else identity
    return images.Thumbnail(images.encode(pixels), images.short_name(name), note, name)
