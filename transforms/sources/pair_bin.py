"""insightface's `.bin`: the images of a verification benchmark, two for each pair."""

import dataclasses
from collections.abc import Iterator, Sequence

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.containers import ContainerSource, read_ranges
from facemill.transforms.sources.pair_pickle import RefusedError, bytes_of, read_pair_file
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
            # Nothing begins at 0, so the sign says whether a text stands for the bytes.
            offset = -span.offset if span.is_text else span.offset
            yield Ref(image_in(path, number), None, path, offset, span.length)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """The bytes at each reference's offset, of a text those that it stands for."""
        places = [dataclasses.replace(ref, offset=abs(ref.offset)) for ref in refs]
        for ref, content in zip(refs, read_ranges(self.root, places), strict=True):
            if ref.offset >= 0 or isinstance(content, Unreadable):
                yield content
                continue
            try:
                yield bytes_of(content)
            except ValueError:
                text = "its bytes are no longer written as the text that they were"
                yield Unreadable(Reason(ReasonCode.DAMAGED_RECORD, text))


def image_in(path: str, number: int) -> str:
    """The image_id of an image: `lfw.bin/000001` is the second one of the first pair."""
    return f"{path}/{number:06d}"
