"""Who a synthetic face is: traits drawn from a key, and the colors that follow from them.

All lengths are in face units: the face is about 2 high, x points right, y down, z to the viewer.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from facemill.pipelines.synthesize.faces import keyed

_RANGES: dict[str, tuple[float, float]] = {
    "face_width": (0.66, 0.86),
    "forehead_width": (0.78, 1.0),
    "jaw_width": (0.62, 0.98),
    "chin_width": (0.22, 0.56),
    "chin_drop": (0.9, 1.12),
    "ear_size": (0.12, 0.24),
    "ear_place": (-0.12, 0.12),
    "skin_tone": (0.0, 1.0),
    "skin_hue": (-1.0, 1.0),
    "blush": (0.0, 1.0),
    "hair_tone": (0.0, 1.0),
    "hair_light": (0.75, 1.25),
    "hair_volume": (0.05, 0.3),
    "hair_length": (-0.9, 1.35),
    "hair_spread": (0.85, 1.25),
    "sideburn": (-0.3, 0.25),
    "hairline": (-0.78, -0.5),
    "fringe_left": (0.0, 0.3),
    "fringe_middle": (0.0, 0.3),
    "fringe_right": (0.0, 0.3),
    "bald": (0.0, 1.0),
    "eye_spacing": (0.28, 0.42),
    "eye_place": (-0.2, 0.02),
    "eye_width": (0.12, 0.2),
    "eye_height": (0.06, 0.125),
    "eye_tilt": (-0.28, 0.28),
    "iris_size": (0.06, 0.095),
    "iris_tone": (0.0, 1.0),
    "socket": (0.0, 1.0),
    "brow_gap": (0.1, 0.22),
    "brow_size": (0.02, 0.07),
    "brow_length": (0.15, 0.26),
    "brow_tilt": (-0.32, 0.32),
    "brow_arch": (0.0, 0.09),
    "nose_drop": (0.2, 0.42),
    "nose_width": (0.08, 0.2),
    "nose_bridge": (0.02, 0.07),
    "mouth_drop": (0.16, 0.26),
    "mouth_width": (0.18, 0.36),
    "lip_upper": (0.02, 0.075),
    "lip_lower": (0.025, 0.1),
    "lip_hue": (0.0, 1.0),
    "beard": (0.0, 1.0),
    "beard_size": (0.1, 0.6),
    "mustache": (0.0, 1.0),
    "mustache_size": (0.03, 0.08),
    "freckles": (0.0, 1.0),
    "mole": (0.0, 1.0),
    "mole_x": (-0.5, 0.5),
    "mole_y": (0.1, 0.75),
}
"""Each trait's lowest and highest value; all are uniform between them and independent."""

_SKIN = (
    (255, 226, 200),
    (243, 200, 160),
    (226, 174, 128),
    (196, 134, 84),
    (140, 86, 52),
    (90, 56, 38),
)
_HAIR = (
    (24, 22, 24),
    (58, 38, 28),
    (104, 66, 38),
    (160, 104, 54),
    (224, 188, 112),
    (186, 78, 36),
    (96, 30, 26),
    (150, 150, 156),
    (226, 222, 214),
)
_IRIS = (
    (48, 30, 20),
    (104, 66, 34),
    (126, 124, 52),
    (66, 120, 76),
    (70, 124, 170),
    (120, 138, 150),
)
_LIPS = ((176, 98, 86), (202, 84, 92), (150, 62, 64))


@dataclasses.dataclass(frozen=True)
class Identity:
    """A synthetic identity.

    Attributes:
        traits: Value of every trait, in face units, radians or shares.
        colors: RGB, 0 to 255, of skin, shade, blush, hair, brow, iris, lips, beard, spot.
    """

    traits: dict[str, float]
    colors: dict[str, tuple[float, ...]]

    @property
    def has_hair(self) -> bool:
        """One in twelve has none."""
        return self.traits["bald"] > 0.08

    @property
    def has_long_hair(self) -> bool:
        """Whether the hair falls behind the neck."""
        return self.has_hair and self.traits["hair_length"] > 0.0

    @property
    def has_beard(self) -> bool:
        """One in four."""
        return self.traits["beard"] > 0.75

    @property
    def has_mustache(self) -> bool:
        """One in four or five, with a beard or without."""
        return self.traits["mustache"] > 0.78

    @property
    def has_freckles(self) -> bool:
        """One in five."""
        return self.traits["freckles"] > 0.8

    @property
    def has_mole(self) -> bool:
        """One in three, each at a position of its own."""
        return self.traits["mole"] > 0.65


def _along(stops: tuple[tuple[int, ...], ...], position: float) -> np.ndarray:
    """Returns the RGB color at `position` (0 to 1) of a row of stops."""
    table = np.array(stops, np.float64)
    at = position * (len(table) - 1)
    low = min(int(at), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * (at - low)


def _color(rgb: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.clip(rgb, 0, 255))


def draw_identity(seed: int, identity_index: int) -> Identity:
    """Returns the identity with this index (0 or more) of the population that `seed` stands for."""
    numbers = keyed.uniforms(seed, keyed.IDENTITY, identity_index, 0, len(_RANGES))
    traits = {
        name: low + (high - low) * float(number)
        for (name, (low, high)), number in zip(_RANGES.items(), numbers, strict=True)
    }
    skin = _along(_SKIN, traits["skin_tone"]) + traits["skin_hue"] * np.array([2.0, -7.0, -9.0])
    hair = _along(_HAIR, traits["hair_tone"]) * traits["hair_light"]
    blush = skin * (1.0, 0.86, 0.84)
    colors = {
        "skin": skin,
        "shade": skin * (0.82, 0.75, 0.73),
        "blush": skin + (blush - skin) * traits["blush"],
        "socket": skin * (1 - 0.16 * traits["socket"]),
        "line": skin * (0.6, 0.52, 0.5),
        "hair": hair,
        "hair_back": hair * 0.8,
        "brow": hair * 0.7 + skin * 0.08,
        "beard": hair * 0.78 + skin * 0.12,
        "iris": _along(_IRIS, traits["iris_tone"]),
        "lips": _along(_LIPS, traits["lip_hue"]) * (0.5 + 0.5 * skin.mean() / 200),
        "spot": skin * (0.66, 0.56, 0.5),
    }
    return Identity(traits, {name: _color(rgb) for name, rgb in colors.items()})
