"""Where the outlines of an identity's face lie, at rest and for each expression.

Lengths are in face units (see `identity`). The result is linear in the expression, so an image
costs one small matrix product and no geometry is built again.
"""

from __future__ import annotations

import numpy as np

from facemill.pipelines.synthesize.faces.features import EXPRESSIONS, RING, features
from facemill.pipelines.synthesize.faces.identity import Identity
from facemill.pipelines.synthesize.faces.outlines import stack


def expressive_controls(identity: Identity) -> np.ndarray:
    """Returns the face at rest and what one unit of each expression adds: [6, controls, 3]."""
    traits = identity.traits
    rest = _head(traits) | features(traits) | _coverings(traits)
    shapes = [rest]
    for expression in EXPRESSIONS:
        moved = rest | features(traits, **{expression: 1.0})
        shapes.append({name: moved[name] - rest[name] for name in rest})
    return np.stack([stack(_with_depth(rest, traits))] + [stack(_flat(s)) for s in shapes[1:]])


def _flat(shapes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.pad(xy, ((0, 0), (0, 1))) for name, xy in shapes.items()}


def _with_depth(shapes: dict[str, np.ndarray], traits: dict[str, float]) -> dict[str, np.ndarray]:
    """Adds z: what lies on the face follows an ellipsoid, the rest has a depth of its own."""
    own = {
        "shoulders": -0.3,
        "neck": -0.25,
        "hair_back": -0.3,
        "ear_left": -0.25,
        "ear_right": -0.25,
    }
    extra = {"nose": 0.12, "nostrils": 0.16, "lens_left": 0.1, "lens_right": 0.1, "bridge": 0.14}
    placed = {}
    for name, xy in shapes.items():
        if name in own:
            z = np.full(len(xy), own[name])
        elif name.startswith("temple"):
            z = np.array([0.45, -0.1])
        else:
            square = (xy[:, 0] / traits["face_width"]) ** 2 + (xy[:, 1] / 1.1) ** 2
            z = 0.62 * np.sqrt(np.clip(1 - square, 0, 1)) + extra.get(name, 0.0)
        placed[name] = np.column_stack([xy, z])
    return placed


def _mirrored(right: list[tuple[float, float]]) -> np.ndarray:
    """Closes a right half that starts and ends on the middle line."""
    left = [(-x, y) for x, y in right[-2:0:-1]]
    return np.array(right + left)


def _head(t: dict[str, float]) -> dict[str, np.ndarray]:
    w, volume = t["face_width"], t["hair_volume"]
    face = _mirrored(
        [
            (0, -1.0),
            (0.58 * w, -0.92),
            (0.97 * w * t["forehead_width"], -0.5),
            (w, 0.0),
            (w * t["jaw_width"], 0.52),
            (t["chin_width"] * w + 0.04, 0.9 * t["chin_drop"]),
            (0, t["chin_drop"]),
        ]
    )
    length = t["hair_length"] if t["hair_length"] > 0 else -0.1
    wide = (w + volume * 0.8) * (t["hair_spread"] if t["hair_length"] > 0 else 1.0)
    hair_back = _mirrored(
        [
            (0, -1.02 - volume),
            (0.6 * w + volume * 0.5, -0.95 - volume * 0.7),
            (w + volume * 0.9, -0.5),
            (w + volume * 0.8, -0.1),
            (wide, length * 0.6),
            (wide * 0.85, length),
            (0, length),
        ]
    )
    ear_y, size = t["ear_place"], t["ear_size"]
    ear = np.array(
        [
            (w - 0.08, ear_y - size),
            (w + 0.3 * size, ear_y - 1.1 * size),
            (w + 0.72 * size, ear_y - 0.5 * size),
            (w + 0.4 * size, ear_y + 0.5 * size),
            (w, ear_y + 1.2 * size),
            (w - 0.1, ear_y + 0.8 * size),
        ]
    )
    neck = 0.16 + 0.32 * w * t["jaw_width"]
    return {
        "face": face,
        "face_lit": face * (0.9, 0.93),
        "hair_back": hair_back,
        "hair_front": _hair_front(t),
        "ear_right": ear,
        "ear_left": ear * (-1, 1),
        "neck": np.array([(-neck, 0.4), (neck, 0.4), (neck * 1.05, 1.7), (-neck * 1.05, 1.7)]),
        "shoulders": np.array(
            [
                *((0, 1.45), (0.55, 1.32), (1.25, 1.6), (1.7, 2.6)),
                *((0.6, 3.2), (-0.6, 3.2), (-1.7, 2.6), (-1.25, 1.6)),
            ]
        ),
        "spots": np.array(
            [
                (s * (0.3 + 0.1 * k), 0.2 + 0.09 * (k % 2) + 0.02 * k)
                for s in (-1, 1)
                for k in range(4)
            ]
            + [(t["mole_x"], t["mole_y"])]
        ),
        "cheek_right": np.array([(0.62, 0.3), (0.45, 0.45), (0.28, 0.3), (0.45, 0.17)])
        * (w / 0.76, 1),
        "cheek_left": np.array([(-0.62, 0.3), (-0.45, 0.45), (-0.28, 0.3), (-0.45, 0.17)])
        * (w / 0.76, 1),
    }


def _hair_front(t: dict[str, float]) -> np.ndarray:
    w, volume, line, side = t["face_width"], t["hair_volume"], t["hairline"], t["sideburn"]
    out = w + volume * 0.55
    over = [
        (-out, side - 0.05),
        (-out - volume * 0.2, -0.45),
        (-0.62 * w - volume * 0.4, -0.92 - volume * 0.6),
        (0, -1.02 - volume),
        (0.62 * w + volume * 0.4, -0.92 - volume * 0.6),
        (out + volume * 0.2, -0.45),
        (out, side - 0.05),
    ]
    under = [
        (w * 0.96, side),
        (w * 0.88, -0.3),
        (w * 0.74, line + 0.12 + t["fringe_right"] * 0.5),
        (w * 0.36, line + t["fringe_right"]),
        (0, line + t["fringe_middle"]),
        (-w * 0.36, line + t["fringe_left"]),
        (-w * 0.74, line + 0.12 + t["fringe_left"] * 0.5),
        (-w * 0.88, -0.3),
        (-w * 0.96, side),
    ]
    return np.array(over + under)


def _coverings(t: dict[str, float]) -> dict[str, np.ndarray]:
    """Returns the beard, which belongs to the identity, and what covers the face in some images."""
    w = t["face_width"]
    top = 0.62 - 0.4 * t["beard_size"]
    side = top - 0.14
    edge = w * (1 + (t["jaw_width"] - 1) * side / 0.52)  # where the face ends at that height
    jaw = w * (0.35 + 0.65 * t["jaw_width"])
    drop = t["chin_drop"] + 0.02 + 0.22 * t["beard_size"]
    beard = _mirrored(
        [
            (0, t["nose_drop"] + t["mouth_drop"] + t["lip_lower"] + 0.02),
            (0.3 * w, 0.5 * (top + 0.72)),
            (edge * 0.97, side),
            (w * t["jaw_width"] + 0.01, 0.54),
            (jaw * 0.72, 0.86),
            (t["chin_width"] * w + 0.06, 0.9 * drop),
            (0, drop),
        ]
    )
    scarf = _mirrored(
        [(0, 0.22), (0.5 * w, 0.3), (w + 0.08, 0.24), (w + 0.1, 0.75), (0.5 * w, 1.25), (0, 1.35)]
    )
    return {"beard": beard, "scarf": scarf} | _glasses(t)


def _glasses(t: dict[str, float]) -> dict[str, np.ndarray]:
    x, y = t["eye_spacing"], t["eye_place"] + 0.03
    lens = (x, y) + np.sign(RING) * np.abs(RING) ** 0.6 * (0.25, 0.2)
    temple = np.array([(x + 0.25, y - 0.03), (t["face_width"] - 0.03, y - 0.06)])
    gap = max(x - 0.25, 0.02)
    return {
        "lens_right": lens,
        "lens_left": lens * (-1, 1),
        "temple_right": temple,
        "temple_left": temple * (-1, 1),
        "bridge": np.array([(-gap, y - 0.01), (0, y - 0.05), (gap, y - 0.01)]),
    }
