"""Why an image is not kept: a code that programs read, and the sentence that people read.

The codes are stable: scripts select rows of the index by `reason_code`. A sentence is made where
the cause is known and may be reworded in any version; no code reads it.
"""

from enum import Enum
from typing import Any


class ReasonCode(str, Enum):
    """Every value of the column `reason_code`; docs/reasons.md says what each means."""

    # The file, as the listing or the disk gives it.
    NAME_NOT_UTF8 = "name_not_utf8"
    LINK_OUT_OF_INPUT = "link_out_of_input"
    LINK_TO_FOLDER = "link_to_folder"
    LINK_IN_ARCHIVE = "link_in_archive"
    DEAD_LINK = "dead_link"
    NOT_A_FILE = "not_a_file"
    FOLDER_NOT_LISTABLE = "folder_not_listable"
    UNREADABLE = "unreadable"
    CHANGED_DURING_RUN = "changed_during_run"
    OUTSIDE_ROOT = "outside_root"
    EMPTY_FILE = "empty_file"
    FILE_TOO_LARGE = "file_too_large"

    # Files that were never meant as images, by their names.
    SYSTEM_FILE = "system_file"
    HIDDEN_FILE = "hidden_file"
    SIDECAR_FILE = "sidecar_file"
    PASSED_OVER_IMAGE = "passed_over_image"

    # Files that hold many images.
    COMPRESSED_CONTAINER = "compressed_container"
    DAMAGED_CONTAINER = "damaged_container"
    DAMAGED_RECORD = "damaged_record"
    NO_IMAGE_IN_RECORD = "no_image_in_record"
    UNSUPPORTED_TABLE = "unsupported_table"

    # The source's metadata of an image.
    NO_IDENTITY_FOLDER = "no_identity_folder"
    OUTSIDE_LAYOUT = "outside_layout"
    ANNOTATION_WITHOUT_IMAGE = "annotation_without_image"
    BAD_LABEL = "bad_label"
    BAD_ROW = "bad_row"
    REPEATED_KEY = "repeated_key"

    # The image.
    NOT_AN_IMAGE = "not_an_image"
    DAMAGED_IMAGE = "damaged_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    UNSUPPORTED_SAMPLES = "unsupported_samples"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRANSPARENT_IMAGE = "transparent_image"
    OUT_OF_MEMORY = "out_of_memory"

    # The face and the crop.
    NO_FACE = "no_face"
    NO_LANDMARKS = "no_landmarks"
    BAD_LANDMARKS = "bad_landmarks"
    LOW_SHARPNESS = "low_sharpness"
    LOW_CONTRAST = "low_contrast"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"

    # Duplicates and conflicts: how the two images match; `outcome` says which of both it is.
    SAME_PIXELS = "same_pixels"
    NEAR_DUPLICATE = "near_duplicate"

    # Dropped because of a held-out set or a list of identities.
    HELD_OUT_SAME_PIXELS = "held_out_same_pixels"
    HELD_OUT_NEAR_DUPLICATE = "held_out_near_duplicate"
    HELD_OUT_IDENTITY = "held_out_identity"
    EXCLUDED_SAME_PIXELS = "excluded_same_pixels"
    EXCLUDED_NEAR_DUPLICATE = "excluded_near_duplicate"
    EXCLUDED_IDENTITY = "excluded_identity"
    IDENTITY_NOT_INCLUDED = "identity_not_included"

    # Dropped by balance or split.
    TWO_SPLITS = "two_splits"
    IDENTITY_TOO_SMALL = "identity_too_small"
    IDENTITY_TOO_LARGE = "identity_too_large"
    ATTRIBUTE_TOO_SMALL = "attribute_too_small"
    ATTRIBUTE_TOO_LARGE = "attribute_too_large"

    # Scoring only.
    MODEL_FAILED = "model_failed"
    NOT_FINITE = "not_finite"
    WRONG_SHAPE = "wrong_shape"

    # Pairs of match only.
    NO_EMBEDDING = "no_embedding"


# Dropped because a held-out set has the image, or (HELD_OUT) its identity.
HELD_OUT_IMAGE = (ReasonCode.HELD_OUT_SAME_PIXELS, ReasonCode.HELD_OUT_NEAR_DUPLICATE)
HELD_OUT = (*HELD_OUT_IMAGE, ReasonCode.HELD_OUT_IDENTITY)
# Dropped because of its identity, by a list or a held-out set.
BY_NAME = (
    ReasonCode.HELD_OUT_IDENTITY,
    ReasonCode.EXCLUDED_IDENTITY,
    ReasonCode.IDENTITY_NOT_INCLUDED,
)
# Dropped because its class has too few or too many images.
BY_CLASS_SIZE = (
    ReasonCode.IDENTITY_TOO_SMALL,
    ReasonCode.IDENTITY_TOO_LARGE,
    ReasonCode.ATTRIBUTE_TOO_SMALL,
    ReasonCode.ATTRIBUTE_TOO_LARGE,
)
# Ignored: no image by its name, or not the one of its record.
IGNORED_FILE = (
    ReasonCode.SYSTEM_FILE,
    ReasonCode.HIDDEN_FILE,
    ReasonCode.SIDECAR_FILE,
    ReasonCode.PASSED_OVER_IMAGE,
)
# The source gives no identity for the image, which only ingest rejects.
WITHOUT_IDENTITY = (ReasonCode.NO_IDENTITY_FOLDER,)


class Reason(str):
    """A sentence that carries its code.

    Args:
        code: what programs read.
        text: what people read: one phrase.

    Attributes:
        code: what programs read.
    """

    __slots__ = ("code",)
    code: ReasonCode

    def __new__(cls, code: ReasonCode, text: str) -> "Reason":
        """A reason with a text that is not empty."""
        made = super().__new__(cls, text)
        made.code = code
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Reason, (self.code, str(self))

    def with_text(self, text: str) -> "Reason":
        """The same code with another text."""
        return Reason(self.code, text)


def reason_columns(reason: Reason | None) -> dict[str, str | None]:
    """The columns `reason` and `reason_code` of one row; "" and null where there is no reason."""
    if reason is None:
        return {"reason": "", "reason_code": None}
    return {"reason": str(reason), "reason_code": reason.code.value}


def from_columns(reason: str | None, code: str | None) -> Reason | None:
    """The reason that `reason_columns` wrote, or None if there was none."""
    return Reason(ReasonCode(code), reason or code) if code else None


class ReasonError(ValueError):
    """An image, or a part of its metadata, cannot be used.

    Args:
        code: see `Reason`.
        text: see `Reason`; also the message.

    Attributes:
        reason: for the image's row.
    """

    def __init__(self, code: ReasonCode, text: str) -> None:
        super().__init__(code, text)
        self.reason = Reason(code, text)

    def __str__(self) -> str:
        return self.reason
