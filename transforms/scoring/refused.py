"""How a model's runtime says that a call failed because of an image in it."""

from facemill.transforms.core.reasons import Reason


class ImageRefusedError(Exception):
    """A model gives no embedding for at least one image of a call; the others are not at fault.

    Faults of the machine, such as too little memory, are a RunError instead.

    Attributes:
        reason: for the row of the image, if it was alone in the call.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason
