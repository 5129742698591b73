"""Conflicts of many identities: found over parts of an index in any order, and told in words."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.pipelines.ingest.wide_conflicts import COLUMNS, ConflictWidths, WideConflicts
from facemill.transforms.core.reasons import HELD_OUT_IMAGE
from facemill.transforms.duplicates.choices import DROP, KEEP_MAJORITY
from facemill.transforms.duplicates.verdicts import Member, verdicts


def rows_of(names: list[tuple[str, str | None]], same: bool = False, policy: str = DROP):
    """Rows of one component, as the verdicts make them, from image_ids and identities."""
    component = [
        Member(number, name, identity, "p" if same else str(number), 100, 1.0)
        for number, (name, identity) in enumerate(names)
    ]
    found = verdicts(component, policy)
    return [
        (
            one.image_id,
            one.identity,
            verdict.outcome,
            verdict.reason.code.value,
            verdict.duplicate_of,
        )
        for one in component
        if (verdict := found.get(one.row_id)) is not None
    ] + [("kept", "x", "kept", None, None)]


def widest(rows, parts: int = 1) -> WideConflicts | None:
    widths = ConflictWidths()
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    for part in range(parts):
        columns = list(zip(*rows[part::parts], strict=True)) or [()] * len(COLUMNS)
        widths.add(pa.table(dict(zip(COLUMNS, map(list, columns), strict=True)), schema))
    return widths.widest()


@pytest.mark.moderate
@given(st.integers(1, 9), st.integers(0, 12), st.integers(1, 4), st.data())
def test_images_and_identities_are_those_of_the_component(identities, more, parts, data):
    names = [(f"{n}/0", f"p{n}") for n in range(identities)]
    names += [(f"{n % identities}/{n}x", f"p{n % identities}") for n in range(more)]
    rows = rows_of(data.draw(st.permutations(names)))
    rows += rows_of([("u/1", "one"), ("u/2", "two")])
    found = widest(data.draw(st.permutations(rows)), parts)
    if identities < 5:
        assert found is None
        return
    assert found == WideConflicts(1, len(names), identities, 0, "0/0")


def test_the_identity_that_keeps_its_image_counts():
    names = [("a/1", "a"), ("a/2", "a"), *((f"{n}/1", f"p{n}") for n in range(4))]
    found = widest(rows_of(names, policy=KEEP_MAJORITY))
    assert (found.images, found.identities) == (4, 5)


def test_images_without_identity_are_no_identity():
    names = [(f"{n}/1", f"p{n}" if n < 4 else None) for n in range(9)]
    assert widest(rows_of(names)) is None


def test_the_widest_of_several_is_told():
    rows = rows_of([(f"{n}/1", f"p{n}") for n in range(6)])
    rows += rows_of([(f"z{n}/1", f"p{n}") for n in range(8)], same=True)
    assert widest(rows, 3) == WideConflicts(2, 8, 8, 8, "z0/1")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (WideConflicts(1, 7, 6, 0, "a/1"), "one conflict spans 6 identities, with 7 images (a/1"),
        (WideConflicts(1, 7, 6, 0, "a/1"), "same background, or one photo under many names? If"),
        (WideConflicts(1, 7, 6, 0, "a/1"), "a lower --copy-difference keeps them"),
        (WideConflicts(3, 1_000, 900, 999, "a/1"), "3 conflicts span 5 identities or more, the"),
        (WideConflicts(3, 1_000, 900, 999, "a/1"), "widest one 900 with 1,000 images (a/1 among"),
        (WideConflicts(3, 1_000, 900, 999, "a/1"), "such as a placeholder? --on-conflict quaran"),
    ],
)
def test_the_words_name_the_cause_and_the_option(found, said):
    assert said in found.words


def test_without_conflicts_there_is_nothing_to_tell():
    dropped = [("a/1", "a", "dropped", HELD_OUT_IMAGE[0].value, "h/1")] * 6
    assert widest(dropped) is None
    assert ConflictWidths().widest() is None
