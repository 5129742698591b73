"""Who is in the gallery and who searches it: by a list, or drawn from images with identities."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from facemill.model.protocols.pair_lists import identity_of
from facemill.transforms.core.errors import ParameterError, UsageError
from facemill.transforms.core.keyed import keyed_hash

GALLERY, PROBE = "gallery", "probe"
_DELIMITERS = ",;\t"
_COLUMNS = ("image_id", "role")


@dataclass(frozen=True)
class Entry:
    """An image and its identity; None for a probe of nobody that is known."""

    image: str
    identity: str | None


@dataclass(frozen=True)
class Roles:
    """Images of the gallery and probes, each sorted by image."""

    gallery: tuple[Entry, ...]
    probes: tuple[Entry, ...]

    @property
    def images(self) -> list[str]:
        """Every image of either, once, sorted."""
        return sorted({entry.image for entry in (*self.gallery, *self.probes)})

    @property
    def identities(self) -> set[str]:
        """Of the gallery."""
        return {entry.identity for entry in self.gallery if entry.identity is not None}


def parse_roles(text: str, name: str) -> Roles:
    """Reads a table with the columns `image_id`, `role` and, if folders do not name the identities,
    `identity`, divided by commas, semicolons or tabs; the first line names the columns.

    A role is `gallery` or `probe`. The order of the rows makes no difference.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        UsageError: a row is malformed or repeats an image, a gallery image has no identity, or one
            of the roles has no image.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    header = lines[0][1] if lines else ""
    delimiter = next((mark for mark in _DELIMITERS if mark in header), ",")
    columns = [word.strip().lower() for word in next(csv.reader([header], delimiter=delimiter), [])]
    if not set(_COLUMNS) <= set(columns):
        raise UsageError(
            f"{name} must begin with the names of its columns, image_id and role among them, got "
            f"{header[:80]!r}; add them."
        )
    found: dict[str, list[Entry]] = {GALLERY: [], PROBE: []}
    seen: dict[str, int] = {}
    for number, line in lines[1:]:
        words = [word.strip() for word in next(csv.reader([line], delimiter=delimiter))]
        cells = dict(zip(columns, words, strict=False))
        where = f"{name}, line {number}"
        image = cells.get("image_id", "").replace("\\", "/").removeprefix("./")
        role = cells.get("role", "").lower()
        if not image or role not in found:
            raise UsageError(
                f"{where} must have an image_id, and gallery or probe as its role, got "
                f"{line.strip()[:80]!r}; correct the file."
            )
        if image in seen:
            raise UsageError(
                f"{where} must not repeat the image {image} of line {seen[image]}; correct the "
                "file."
            )
        seen[image] = number
        who = cells.get("identity") if "identity" in columns else identity_of(image)
        if role == GALLERY and not who:
            raise UsageError(
                f"{where} must say whose image {image} of the gallery is; add a column identity."
            )
        found[role].append(Entry(image, who or None))
    for role, entries in found.items():
        if not entries:
            raise UsageError(
                f"{name} must have images of both roles, got none of the role {role}; add some."
            )
    return _roles(found[GALLERY], found[PROBE])


def draw_closed(ids: Sequence[str], identities: Sequence[str | None], seed: int) -> Roles:
    """One image of each identity with two or more as gallery, its other images as probes.

    The draw follows from the names of the images and the seed, not from those of the identities.

    Args:
        ids: [N] names of images.
        identities: [N], None for an image that names none, which is left out.
        seed: 0 or more.

    Raises:
        UsageError: no two identities have two images.
    """
    people = [images for images in _people(ids, identities, seed).values() if len(images) > 1]
    _check(len(people), 2, "two identities or more with two images or more each", len(people))
    return _roles([images[0] for images in people], [one for some in people for one in some[1:]])


def draw_open(ids: Sequence[str], identities: Sequence[str | None], seed: int) -> Roles:
    """Half of the identities with two or more images are enrolled, each with one image.

    Their other images are mated probes. All images of the other half, and of identities with one
    image, are probes of people whom the gallery lacks.

    Args:
        ids: as in `draw_closed`.
        identities: as in `draw_closed`.
        seed: 0 or more.

    Raises:
        UsageError: nobody can be enrolled, or nobody would be absent.
    """
    people = list(_people(ids, identities, seed).values())
    several = [images for images in people if len(images) > 1]
    several.sort(key=lambda images: keyed_hash(seed, "enrolled", images[0].image))
    enrolled = several[: (len(several) + 1) // 2]
    chosen = {images[0].image for images in enrolled}
    absent = [one for images in people if images[0].image not in chosen for one in images]
    _check(
        min(len(enrolled), len(absent)), 1,
        "an identity with two images or more and images of another", len(people),
    )  # fmt: skip
    return _roles(
        [images[0] for images in enrolled],
        [one for images in enrolled for one in images[1:]] + absent,
    )


def _people(
    ids: Sequence[str], identities: Sequence[str | None], seed: int
) -> dict[str, list[Entry]]:
    """The images of each identity in the order of their hashes."""
    people: dict[str, list[tuple[int, str, Entry]]] = {}
    for image, who in zip(ids, identities, strict=True):
        if who is not None:
            place = keyed_hash(seed, "gallery", image)
            people.setdefault(who, []).append((place, image, Entry(image, who)))
    return {who: [entry for _, _, entry in sorted(rows)] for who, rows in people.items()}


def _check(count: int, least: int, must: str, got: int) -> None:
    if count < least:
        raise ParameterError(
            "embeddings",
            count,
            must=f"have {must} where gallery and probes are drawn",
            got=f"{got:,} such identities" if least == 2 else f"{got:,} identities",
            do="score images that name their identities, or give `list_file`",
        )


def _roles(gallery: Sequence[Entry], probes: Sequence[Entry]) -> Roles:
    return Roles(
        *(tuple(sorted(some, key=lambda entry: entry.image)) for some in (gallery, probes))
    )
