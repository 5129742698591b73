"""insightface's `.bin`: the images of a verification benchmark, two for each pair."""

from collections.abc import Iterator, Sequence

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.containers import ContainerSource, read_ranges
from facemill.transforms.sources.pair_pickle import RefusedError, read_pair_file
from facemill.transforms.sources.reading import cannot_read

SUFFIX = ".bin"


class PairBin(ContainerSource):
    """Files `*.bin`, anywhere under the input; the images name no identities.

    image_id is `<file>/<number>`, see `image_in`. The pickle is followed, never loaded.
    """

    format = "bin"
    identities = "nothing: a benchmark's pairs have labels, not names"
    what = "*.bin files"

    @staticmethod
    def holds_images(name: str) -> bool:
        """By the suffix; what else has it is listed with a reason."""
        return name.endswith(SUFFIX)

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The images of one file in order."""
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                images = read_pair_file(stream).images
        except OSError as error:
            yield Ref(path, None, path, reason=cannot_read(error))
            return
        except RefusedError as error:
            text = f"is no benchmark of insightface: it {error}"
            yield Ref(path, None, path, reason=Reason(ReasonCode.DAMAGED_CONTAINER, text))
            return
        for number, span in enumerate(images):
            yield Ref(image_in(path, number), None, path, span.offset, span.length)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The bytes at each reference's offset."""
        return read_ranges(self.root, refs)


def image_in(path: str, number: int) -> str:
    """The image_id of an image: `lfw.bin/000001` is the second one of the first pair."""
    return f"{path}/{number:06d}"
