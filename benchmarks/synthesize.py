"""How fast faces are drawn, against JPEG encoding alone, on one core.

The claim: drawing and encoding an image of 112 x 112 takes less than one millisecond. Only the
ratio to encoding alone, measured in the same run, carries over to other machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from facemill.pipelines.synthesize.faces.faces import encode_jpeg, render

IDENTITIES, IMAGES, SIZE, ROUNDS = 50, 20, 112, 3


def _best(work: Callable[[], object]) -> float:
    """The shortest CPU time of some rounds, in seconds, which is the least disturbed one."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    cv2.setNumThreads(1)
    keys = [(identity, image) for identity in range(IDENTITIES) for image in range(IMAGES)]
    images = [render(0, *key, SIZE) for key in keys]
    both = _best(lambda: [encode_jpeg(render(0, *key, SIZE)) for key in keys])
    encoding = _best(lambda: [encode_jpeg(image) for image in images])
    size = np.mean([len(encode_jpeg(image)) for image in images])
    print(f"{len(keys)} images of {SIZE} x {SIZE}, {size:.0f} bytes each")
    print(f"draw and encode  {len(keys) / both:8.0f} images/s of CPU")
    print(f"encode alone     {len(keys) / encoding:8.0f} images/s of CPU")
    print(f"ratio            {both / encoding:8.1f} times the cost of encoding alone")


if __name__ == "__main__":
    main()
