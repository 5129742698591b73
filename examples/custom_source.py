"""Writes a source of your own: facemill's Beam transforms read photos from a zip archive.

A `Source` names the parts of an input, lists the images of a part, and reads their bytes. Here a
member `ada/1.jpg` of the archive is a photo of the identity `ada`.

    python examples/custom_source.py photos.zip

Without an argument the example first packs the photos of `facemill demo` into an archive.
"""

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence

import apache_beam as beam

import facemill
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.sources.base import Ref, Source, Unreadable


class ZipArchive(Source):
    """A zip archive with one folder of photos per identity; `root` is its path."""

    format = "zip"

    def tasks(self) -> list[str]:
        """One part: called where the pipeline is built, so it does not open the archive."""
        return [self.root]

    def refs(self, task: str) -> Iterator[Ref]:
        """A reference for every member, in the order of the names."""
        with zipfile.ZipFile(task) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith("/"):
                    yield Ref(image_id=name, identity=name.partition("/")[0], path=name)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The bytes of each member, or the reason why they cannot be read."""
        with zipfile.ZipFile(self.root) as archive:
            for ref in refs:
                try:
                    yield archive.read(ref.path)
                except zipfile.BadZipFile as error:
                    text = f"the archive is damaged: {error}"
                    yield Unreadable(Reason(ReasonCode.DAMAGED_CONTAINER, text))


def main(arguments: Sequence[str]) -> None:
    """Prints how many photos each identity has in the archive."""
    with tempfile.TemporaryDirectory() as folder:
        path = arguments[0] if arguments else _packed("demo/photos/images", folder)
        with beam.Pipeline() as pipeline:
            photos = pipeline | facemill.beam.ReadImages(ZipArchive(path))
            _ = (
                photos
                | "Readable" >> beam.Filter(lambda photo: photo.reason is None)
                | "Identity" >> beam.Map(lambda photo: str(photo.identity))
                | "Count" >> beam.combiners.Count.PerElement()
                | "Print" >> beam.MapTuple(lambda name, count: print(f"{name}: {count} photos"))
            )


def _packed(photos: str, folder: str) -> str:
    return shutil.make_archive(f"{folder}/photos", "zip", photos)


if __name__ == "__main__":
    main(sys.argv[1:])
