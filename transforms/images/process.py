"""Process-wide settings for reading many photos.

They also affect other code in the process, so no import applies them: the jobs, their worker
processes and their Beam transforms call `prepare_process`.
"""

import ctypes
import functools
from contextlib import suppress

import cv2
from PIL import Image, ImageFile, _imaging

from facemill.transforms.images.limits import MAX_JPEG_PIXELS


@functools.cache
def prepare_process() -> None:
    """Prepares this process for reading many photos; a second call does nothing.

    - OpenCV uses one thread for each call: its thread pool would compete with our threads and
      processes for the cores.
    - Pillow refuses images above twice `MAX_JPEG_PIXELS` and truncated files.
    - libtiff writes nothing to standard error: the row's reason describes the damage.
    """
    cv2.setNumThreads(1)
    # `decode` checks the limit first; Pillow only warns between one and two times its value.
    Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    _silence_libtiff()


def _silence_libtiff() -> None:
    # Pillow's extension module is linked with its own libtiff, so the symbols are looked up there.
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            setter = getattr(library, name)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
