"""The margin that each head has unless another is given; light, as `choices` is."""

# Of the papers: ArcFace in radians, CosFace in cosine, AdaFace's m, m2 of the combined margin, and
# alpha of the triplet loss in squared distance. Sub-centers have ArcFace's margin.
MARGINS = {
    "arcface": 0.5,
    "cosface": 0.35,
    "adaface": 0.4,
    "subcenter": 0.5,
    "combined": 0.3,
    "triplet": 0.2,
}


def margin_of(head: str, given: float | None) -> float:
    """The margin of a head, 0 of one without.

    Args:
        head: one of `model.recipes.choices.HEADS`.
        given: the one that was asked for, or None.
    """
    return MARGINS.get(head, 0.0) if given is None else given
