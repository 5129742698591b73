"""Eyes, brows, nose and mouth: the outlines that an expression moves. Lengths in face units."""

from __future__ import annotations

import numpy as np

EXPRESSIONS = ("smile", "open", "lids", "raise", "frown")
"""What `features` can be asked for; one unit of each is a strong, still natural movement."""

RING = np.array([(np.cos(a), np.sin(a)) for a in np.arange(8) * np.pi / 4])
"""Eight points of the unit circle, from the right, clockwise in the image."""


def features(t: dict[str, float], **expression: float) -> dict[str, np.ndarray]:
    """Returns the outlines of a face with these traits, float64 [controls, 2] each.

    Args:
        t: The traits (see `identity`).
        **expression: Weights of some of `EXPRESSIONS`; without any, the face is at rest.
    """
    smile, gape, lids, lift, frown = (expression.get(name, 0.0) for name in EXPRESSIONS)
    right = _eye(t, lids) | {"brow": _brow(t, lift, frown)}
    shapes = {f"{name}_right": shape for name, shape in right.items()}
    shapes |= {f"{name}_left": shape * (-1, 1) for name, shape in right.items()}
    shapes["pupils"] = np.array([(side * t["eye_spacing"], t["eye_place"]) for side in (-1, 1)])
    return shapes | _nose(t) | _mouth(t, smile, gape)


def _eye(t: dict[str, float], lids: float) -> dict[str, np.ndarray]:
    cos, sin = np.cos(t["eye_tilt"]), np.sin(t["eye_tilt"])
    tilt = np.array([[cos, -sin], [sin, cos]])
    eye = RING * (t["eye_width"], t["eye_height"] * (1 + lids))
    shapes = {
        "eye": eye,
        "lid": eye[[4, 5, 6, 7, 0]] * 1.12,
        "socket": RING[[0, 1, 3, 4, 5, 7]] * (t["eye_width"] * 1.3, 0.16),
    }
    middle = (t["eye_spacing"], t["eye_place"])
    return {name: middle + shape @ tilt for name, shape in shapes.items()}


def _brow(t: dict[str, float], lift: float, frown: float) -> np.ndarray:
    along = np.array([-1.0, -0.35, 0.35, 1.0])  # from the nose outward
    y = t["eye_place"] - t["brow_gap"] - 0.03 - t["brow_arch"] * (1 - along**2)
    y += 0.16 * t["brow_tilt"] * along - 0.09 * lift + 0.045 * frown * (1 - along)
    x = t["eye_spacing"] + 0.01 + along * t["brow_length"]
    half = t["brow_size"] * np.array([1.0, 1.1, 0.9, 0.25])
    return np.concatenate([np.column_stack([x, y - half]), np.column_stack([x, y + half])[::-1]])


def _nose(t: dict[str, float]) -> dict[str, np.ndarray]:
    tip, wide, bridge = t["nose_drop"], t["nose_width"], t["nose_bridge"]
    top = t["eye_place"] + 0.02
    nose = [(0, top - 0.04), (bridge, top + 0.05), (bridge * 1.2, tip - 0.14), (wide, tip - 0.02)]
    nose += [(0.4 * wide, tip + 0.02), (-0.3 * wide, tip + 0.02), (-0.2 * bridge, tip - 0.12)]
    under = [
        (-wide, tip - 0.05),
        (-0.8 * wide, tip + 0.03),
        (0, tip + 0.06),
        (0.8 * wide, tip + 0.03),
    ]
    return {"nose": np.array(nose), "nostrils": np.array([*under, (wide, tip - 0.05)])}


def _mouth(t: dict[str, float], smile: float, gape: float) -> dict[str, np.ndarray]:
    y = t["nose_drop"] + t["mouth_drop"]
    half = t["mouth_width"] * (1 + 0.16 * smile - 0.1 * gape)
    corner, drop = y - 0.07 * smile, 0.13 * gape
    upper, lower = t["lip_upper"], t["lip_lower"]
    bow = y + 0.02 * smile
    lips = [(-half, corner), (-half * 0.55, bow - upper * 0.85), (-half * 0.2, bow - upper)]
    lips += [(0, bow - upper * 0.75), (half * 0.2, bow - upper), (half * 0.55, bow - upper * 0.85)]
    low = bow + lower + drop
    lips += [(half, corner), (half * 0.5, low - 0.01), (0, low + 0.01), (-half * 0.5, low - 0.01)]
    inner = [(-half * 0.92, corner), (-half * 0.5, bow - 0.006), (-half * 0.2, bow - 0.008)]
    inner += [(0, bow), (half * 0.2, bow - 0.008), (half * 0.5, bow - 0.006), (half * 0.92, corner)]
    deep = bow + drop + 0.008
    inner += [(half * 0.5, deep), (0, deep + 0.004), (-half * 0.5, deep)]
    top = y - upper - 0.03
    size = t["mustache_size"]
    mustache = [(-half * 1.15, y + 0.03), (-half * 0.6, top - size * 0.6), (-0.02, top - size)]
    mustache += [(0.02, top - size), (half * 0.6, top - size * 0.6), (half * 1.15, y + 0.03)]
    mustache += [(half * 0.5, top + 0.02), (-half * 0.5, top + 0.02)]
    return {"lips": np.array(lips), "mouth": np.array(inner), "mustache": np.array(mustache)}
