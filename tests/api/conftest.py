"""A collection of drawn photos with duplicates, conflicts and files that are no images."""

import io

import pytest
from PIL import Image as Pillow

from facemill.pipelines.synthesize.faces import broken
from facemill.pipelines.synthesize.faces.faces import render

SIDE = 64


def photo(identity: int, image: int, side: int = SIDE, form: str = "PNG", **how) -> bytes:
    """A drawn face as the bytes of an image file."""
    drawn = Pillow.fromarray(render(7, identity, image, SIDE)).resize((side, side))
    stream = io.BytesIO()
    drawn.save(stream, form, **how)
    return stream.getvalue()


@pytest.fixture(scope="session")
def collection() -> dict[str, bytes]:
    """The content of each photo, by its path under the folder of its identity."""
    files = {
        f"id{identity}/{image}.png": photo(identity, image)
        for identity in range(6)
        for image in range(3)
    }
    return files | {
        "id0/0-copy.png": photo(0, 0),
        "id1/1-small.jpg": photo(1, 1, SIDE // 2, "JPEG", quality=80),
        "id1/1-large.png": photo(1, 1, 2 * SIDE),
        "id2/from-id3.jpg": photo(3, 2, form="JPEG", quality=85),
        "id4/same-as-id5.png": photo(5, 0),
        "id5/empty.jpg": b"",
        "id5/page.jpg": broken.not_an_image(),
    }


@pytest.fixture(scope="session")
def folder(collection, tmp_path_factory):
    """The collection as a folder on a disk."""
    root = tmp_path_factory.mktemp("api") / "photos"
    for name, content in collection.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root
