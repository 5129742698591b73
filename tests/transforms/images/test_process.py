import subprocess
import sys

import pytest

CODE = """
import cv2
from PIL import Image, ImageFile
before = cv2.getNumThreads(), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
ImageFile.LOAD_TRUNCATED_IMAGES = True
from facemill.transforms.images import decode, jpeg, process, resize
from facemill.transforms.scan import scan_chunk
from facemill.transforms.scoring import read
assert (cv2.getNumThreads(), Image.MAX_IMAGE_PIXELS) == before[:2], "an import changed it"
assert ImageFile.LOAD_TRUNCATED_IMAGES
process.prepare_process()
print(cv2.getNumThreads(), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
"""


@pytest.mark.moderate
def test_prepare_process_changes_settings_and_imports_do_not():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "256000000", "False"]
