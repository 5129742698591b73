"""Settings of a whole process that reading images needs, set where images are read in bulk.

They concern other code of the process too, so no import sets them: the jobs do, the processes that
they start, and their Beam transforms. docs/architecture.md lists them.
"""

import ctypes
import functools
from contextlib import suppress

import cv2
from PIL import Image, ImageFile, _imaging

from facemill.transforms.images.limits import MAX_PIXELS


@functools.cache
def prepare_process() -> None:
    """Prepares this process for reading many images; a second call does nothing.

    - OpenCV uses one thread for each call: the threads and processes are ours, and its own pool
      would fight with them for the cores.
    - Pillow refuses images above `MAX_PIXELS`, and what is cut off.
    - libtiff is silent: what it writes on standard error, the row's reason says.
    """
    cv2.setNumThreads(1)
    # Our own limit is checked first; Pillow's would only warn between one and two times its value.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    _silence_libtiff()


def _silence_libtiff() -> None:
    # The symbols are looked up in Pillow's own module, which is linked with its own libtiff.
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            setter = getattr(library, name)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
