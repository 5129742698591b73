"""MegaFace: distractors of FlickrFinal2 without identities, and FaceScrub's probes with theirs."""

import json
import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset.ignored_files import is_system_file, why_ignored
from facemill.transforms.sources.base import Ref, Source, Unreadable
from facemill.transforms.sources.folders import decode_name, encode_name, names_in
from facemill.transforms.sources.reading import read_images

DISTRACTORS = "FlickrFinal2"
PROBES = "facescrub*"
NO_IMAGE = Reason(ReasonCode.ANNOTATION_WITHOUT_IMAGE, "annotates an image that is not there")
OUTSIDE_LAYOUT = Reason(
    ReasonCode.OUTSIDE_LAYOUT, "lies in neither FlickrFinal2 nor a folder of facescrub"
)
NO_PERSON = Reason(ReasonCode.NO_IDENTITY_FOLDER, "lies in no person's folder")

_ANNOTATION = ".json"
# 68 points are 4 KB of text.
_MAX_JSON_BYTES = 1 << 20
_POINTS = 68
# Indices among the 68 points of the iBUG markup; the viewer's left comes first.
_EYES = (range(36, 42), range(42, 48))
_NOSE, _LEFT_CORNER, _RIGHT_CORNER = 30, 48, 54


class MegaFace(Source):
    """`FlickrFinal2/NNN/USER@N/ID_N.jpg` and `facescrub*/NAME/NAME_N.png`, each with `.json`.

    The JSON file of an image is its annotation and is not listed: its 68 points, in pixels of the
    image file, are reduced to five landmarks. The attribute `annotation` of the image is
    `landmarks`, `none` (JSON without points), `missing` or `damaged`. A JSON file without its
    image, and a file in neither of the two folders, is listed with a reason, and so is what was
    never meant as an image.
    """

    format: ClassVar[str] = "megaface"

    def tasks(self) -> list[str]:
        """Folders of the second level, and other names directly under the input."""
        tasks = []
        found = False
        for name in names_in(self.root):
            if _is_distractors(name) or _is_probes(name):
                found = True
                below = names_in(storage.join(self.root, name.rstrip("/")))
                tasks += [encode_name(name + child) for child in below]
            else:
                tasks.append(encode_name(name))
        if not found:
            raise ParameterError(
                "input",
                self.root,
                must=f"hold the folder {DISTRACTORS} or one of {PROBES}",
                do="give the folder above them or another `format`",
            )
        return tasks

    def refs(self, task: str) -> Iterator[Ref]:
        """Images of one folder, and files with a reason."""
        entries = storage.list_files(self.root, decode_name(task))
        # A photo's name sorts before its annotation's, but other names may lie between the two.
        names = {entry.name: entry.reason for entry in entries}
        for name, reason in names.items():
            image = name.removesuffix(_ANNOTATION)
            if image != name and image in names and not is_system_file(name):
                continue
            identity, outside = _identity(name)
            # Any other JSON file in either set annotates an image that is not there.
            annotates = image != name and outside is None and not is_system_file(name)
            if not reason and not annotates and (why := why_ignored(name)):
                yield Ref(name, None, name, reason=why)
                continue
            if annotates:
                yield Ref(name, identity, name, reason=reason or NO_IMAGE)
                continue
            if reason or outside:
                yield Ref(name, identity, name, reason=reason or outside)
                continue
            annotation = name + _ANNOTATION
            if annotation not in names:
                state, landmarks = "missing", None
            elif names[annotation]:
                state, landmarks = "damaged", None
            else:
                state, landmarks = self._annotation(annotation)
            yield Ref(
                name, identity, name, landmarks=landmarks, attributes=(("annotation", state),)
            )

    def attributes(self) -> Sequence[str]:
        """The state of the annotation."""
        return ("annotation",)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Each file's bytes."""
        return read_images(self.root, [ref.path for ref in refs])

    def _annotation(self, path: str) -> tuple[str, tuple[float, ...] | None]:
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                data = stream.read(_MAX_JSON_BYTES + 1)
            if len(data) > _MAX_JSON_BYTES:
                return "damaged", None
            value = json.loads(data)
            if not isinstance(value, dict):
                return "damaged", None
            points = value.get("landmarks")
            return ("landmarks", _five(points)) if points else ("none", None)
        # Deep nesting, missing points and values that are no numbers all count as damage.
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return "damaged", None


def _is_distractors(name: str) -> bool:
    return name == f"{DISTRACTORS}/"


def _is_probes(name: str) -> bool:
    return name.endswith("/") and fnmatchcase(name.lower(), f"{PROBES}/")


def _identity(name: str) -> tuple[str | None, Reason | None]:
    """The identity of a file, and the reason why it belongs to neither set, or None."""
    top, _, rest = name.partition("/")
    if _is_distractors(f"{top}/"):
        return None, None
    if not (rest and _is_probes(f"{top}/")):
        return None, OUTSIDE_LAYOUT
    person, _, inside = rest.partition("/")
    return (person, None) if inside else (None, NO_PERSON)


def _five(points: Any) -> tuple[float, ...]:
    """x and y of eyes, nose and corners of the mouth, computed from the 68 points.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: the value is not 68 points.
    """
    if len(points) != _POINTS:
        raise ValueError(f"{len(points)} points")
    xy = [(float(points[str(i)]["x"]), float(points[str(i)]["y"])) for i in range(_POINTS)]
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in xy):
        raise ValueError("a point that is no number")
    eyes = [tuple(sum(xy[i][axis] for i in eye) / len(eye) for axis in range(2)) for eye in _EYES]
    return (*eyes[0], *eyes[1], *xy[_NOSE], *xy[_LEFT_CORNER], *xy[_RIGHT_CORNER])
