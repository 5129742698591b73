import pickle
import re
from pathlib import Path

import pytest

from facemill.transforms.core.reasons import (
    Reason,
    ReasonCode,
    ReasonError,
    from_columns,
    reason_columns,
)

PAGE = Path(__file__).parents[3] / "docs" / "reasons.md"


# Scripts select rows by these: a code may be added here, and none may change or go.
CODES = (
    *("name_not_utf8", "link_out_of_input", "link_to_folder", "link_in_archive", "dead_link"),
    *("not_a_file", "folder_not_listable", "unreadable", "changed_during_run", "outside_root"),
    *("system_file", "hidden_file", "sidecar_file", "passed_over_image"),
    *("empty_file", "file_too_large", "compressed_container", "damaged_container"),
    *("damaged_record", "no_image_in_record", "unsupported_table", "no_identity_folder"),
    *("outside_layout", "annotation_without_image", "bad_label", "bad_row", "repeated_key"),
    *("not_an_image", "damaged_image", "too_many_pixels", "too_small", "unsupported_samples"),
    *("out_of_memory", "no_face", "no_landmarks", "bad_landmarks", "low_sharpness"),
    *("low_contrast", "too_dark", "too_bright", "same_pixels", "near_duplicate"),
    *("held_out_same_pixels", "held_out_near_duplicate", "held_out_identity"),
    *("excluded_same_pixels", "excluded_near_duplicate", "excluded_identity"),
    *("identity_not_included", "two_splits", "identity_too_small", "identity_too_large"),
    *("attribute_too_small", "attribute_too_large", "model_failed", "not_finite"),
    *("unsupported_format", "transparent_image", "no_embedding"),
)


def test_the_page_has_a_row_for_each_code_and_no_other():
    rows = re.findall(r"^\| `([a-z_0-9]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(code.value for code in ReasonCode)


def test_codes_are_those_of_earlier_versions():
    assert sorted(code.value for code in ReasonCode) == sorted(CODES)


def test_a_reason_is_its_sentence_and_keeps_its_code_in_another_process():
    reason = Reason(ReasonCode.EMPTY_FILE, "empty file")
    assert reason == "empty file"
    again = pickle.loads(pickle.dumps(reason))
    assert (again, again.code) == ("empty file", ReasonCode.EMPTY_FILE)
    longer = reason.with_text("an empty file, from row 3 on")
    assert (longer, longer.code) == ("an empty file, from row 3 on", ReasonCode.EMPTY_FILE)


@pytest.mark.parametrize("reason", [None, Reason(ReasonCode.NO_FACE, "no face was found")])
def test_the_columns_of_a_reason_give_it_back(reason):
    columns = reason_columns(reason)
    found = from_columns(columns["reason"], columns["reason_code"])
    assert found == reason
    assert getattr(found, "code", None) == getattr(reason, "code", None)


def test_an_error_of_an_image_says_its_reason():
    error = ReasonError(ReasonCode.TOO_SMALL, "image of 4x4 has a side below 16 pixels")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "image of 4x4 has a side below 16 pixels"
    assert again.reason.code is ReasonCode.TOO_SMALL
