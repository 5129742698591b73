import json
from pathlib import Path

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.ignored_files import README_FILE, SYSTEM_FILE, why_ignored
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.megaface import NO_IMAGE, NO_PERSON, OUTSIDE_LAYOUT, MegaFace


def points(count: int = 68) -> dict[str, dict[str, float]]:
    return {str(i): {"x": float(i), "y": 100.0 + i * i} for i in range(count)}


def annotation(landmarks: dict | None) -> bytes:
    box = {"x": 10, "y": 20, "width": 80, "height": 90}
    value: dict = {"bounding_box": box, "exp_bb": box, "full_img_url": "a/b"}
    if landmarks is not None:
        value["landmarks"] = landmarks
    return json.dumps(value).encode()


def write(root: Path, files: dict[str, bytes]) -> MegaFace:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return MegaFace(str(root))


def listed(source: MegaFace) -> dict[str, Ref]:
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    found = {ref.image_id: ref for ref in refs}
    assert len(found) == len(refs)
    return found


FLICKR = "FlickrFinal2/100/10002063@N07/"


def test_distractors_have_no_identity_and_probes_that_of_their_folder(tmp_path):
    files = {
        FLICKR + "1_0.jpg": b"one",
        FLICKR + "1_0.jpg.json": annotation(points()),
        "FlickrFinal2/734/99@N01/22_3.jpg": b"two",
        "FlickrFinal2/734/99@N01/22_3.jpg.json": annotation(None),
        "facescrub_images/Adam Brody/Adam Brody_260.png": b"three",
    }
    source = write(tmp_path, files)
    found = listed(source)
    images = {name: data for name, data in files.items() if not name.endswith(".json")}
    assert {name: ref.identity for name, ref in found.items()} == {
        FLICKR + "1_0.jpg": None,
        "FlickrFinal2/734/99@N01/22_3.jpg": None,
        "facescrub_images/Adam Brody/Adam Brody_260.png": "Adam Brody",
    }
    assert not any(ref.reason for ref in found.values())
    assert {name for ref in found.values() for name, _ in ref.attributes} == {*source.attributes()}
    assert dict(zip(found, source.read(list(found.values())), strict=True)) == images


def test_five_landmarks_are_computed_from_the_68_points(tmp_path):
    source = write(tmp_path, {FLICKR + "1.jpg": b"", FLICKR + "1.jpg.json": annotation(points())})
    ref = listed(source)[FLICKR + "1.jpg"]
    left = sum(i * i for i in range(36, 42)) / 6
    right = sum(i * i for i in range(42, 48)) / 6
    expected = (38.5, 100 + left, 44.5, 100 + right, 30, 1000, 48, 2404, 54, 3016)
    assert ref.landmarks == pytest.approx(expected)
    assert ref.attributes == (("annotation", "landmarks"),)


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (annotation(None), "none"),
        (annotation({}), "none"),
        (annotation(points(67)), "damaged"),
        (annotation({**points(), "30": {"x": 1}}), "damaged"),
        (annotation({**points(), "30": {"x": 1, "y": float("nan")}}), "damaged"),
        (annotation({**points(), "30": {"x": 1, "y": "left"}}), "damaged"),
        (annotation({**points(), "30": {"x": 1, "y": 10**400}}), "damaged"),
        (annotation({**points(), "30": None}), "damaged"),
        (annotation(points())[:-7], "damaged"),
        (b"", "damaged"),
        (b"[1, 2]", "damaged"),
        (b'{"landmarks": 7}', "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b" " * (1 << 20) + b"{}", "damaged"),
        (None, "missing"),
    ],
)
def test_an_image_without_a_sound_annotation_is_listed_without_landmarks(tmp_path, data, state):
    files = {FLICKR + "1.jpg": b"x"}
    if data is not None:
        files[FLICKR + "1.jpg.json"] = data
    assert listed(write(tmp_path, files)) == {
        FLICKR + "1.jpg": Ref(
            FLICKR + "1.jpg", None, FLICKR + "1.jpg", attributes=(("annotation", state),)
        )
    }


def test_a_file_in_neither_set_is_listed_with_a_reason(tmp_path):
    files = {
        FLICKR + "1.jpg": b"x",
        FLICKR + "gone.jpg.json": annotation(None),
        "FlickrFinal2/readme.txt": b"x",
        "FlickrFinal2/bare": b"x",
        "facescrub/loose.png": b"x",
        "facescrub/Ada/Ada_1.png.json": b"{}",
        "devkit/list.json": b"{}",
        "devkit/bare": b"",
        FLICKR + "._1.jpg": b"",
        FLICKR + "._1.jpg.json": b"",
        "LICENSE": b"x",
    }
    found = listed(write(tmp_path, files))
    assert {name: (ref.identity, ref.reason) for name, ref in found.items()} == {
        FLICKR + "1.jpg": (None, None),
        FLICKR + "gone.jpg.json": (None, NO_IMAGE),
        "FlickrFinal2/readme.txt": (None, why_ignored("readme.txt")),
        # Its content decides whether it is an image.
        "FlickrFinal2/bare": (None, None),
        "facescrub/loose.png": (None, NO_PERSON),
        "facescrub/Ada/Ada_1.png.json": ("Ada", NO_IMAGE),
        "devkit/list.json": (None, why_ignored("list.json")),
        "devkit/bare": (None, OUTSIDE_LAYOUT),
        "LICENSE": (None, README_FILE),
        FLICKR + "._1.jpg": (None, SYSTEM_FILE),
        FLICKR + "._1.jpg.json": (None, SYSTEM_FILE),
    }


def test_an_annotation_that_links_outside_the_input_is_not_read(tmp_path):
    (tmp_path / "secret.json").write_bytes(annotation(points()))
    source = write(tmp_path / "in", {FLICKR + "1.jpg": b"x", FLICKR + "2.jpg": b"x"})
    (tmp_path / "in" / (FLICKR + "1.jpg.json")).symlink_to(tmp_path / "secret.json")
    (tmp_path / "in" / (FLICKR + "3.jpg")).symlink_to(tmp_path / "secret.json")
    found = listed(source)
    assert found[FLICKR + "1.jpg"].attributes == (("annotation", "damaged"),)
    assert found[FLICKR + "1.jpg"].landmarks is None
    assert found[FLICKR + "3.jpg"].reason == storage.LINK_OUT


def test_an_input_with_neither_set_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="FlickrFinal2"):
        write(tmp_path, {"Ada/1.jpg": b"x"}).tasks()
