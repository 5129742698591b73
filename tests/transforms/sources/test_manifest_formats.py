import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.dataset.identity_names import normal_form
from facemill.transforms.sources.manifest import Manifest
from tests.transforms.sources.manifest_files import listed_in, write_manifest

# A row of CSV must end on its line.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=6)


# A name with a point at its begin is hidden.
_PART = _TEXT.filter(lambda part: part and not part.startswith(".")).map(
    lambda part: part.replace("/", "-")
)


_ROW = st.fixed_dictionaries(
    {
        "path": st.lists(_PART, min_size=1, max_size=3).map("/".join),
        "identity": st.none() | _TEXT,
        "split": st.sampled_from([None, "train", "val", "test"]),
        "landmarks": st.none()
        | st.lists(st.floats(-1e9, 1e9), min_size=10, max_size=10).map(json.dumps),
        "note, of one": st.none() | _TEXT,
    }
)


@pytest.mark.moderate
@settings(deadline=None, max_examples=60)
@given(rows=st.lists(_ROW, min_size=1, max_size=8))
def test_csv_jsonl_and_parquet_give_the_same_rows(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("manifests")
    listed = {}
    for suffix in (".csv", ".jsonl", ".parquet"):
        refs = listed_in(write_manifest(folder / f"m{suffix}", rows))
        assert len({ref.image_id for ref in refs}) == len(rows)
        listed[suffix] = [
            (ref.path, ref.identity, ref.split, ref.landmarks, ref.attributes, ref.reason)
            for ref in refs
        ]
    assert listed[".csv"] == listed[".jsonl"] == listed[".parquet"]
    seen = set()
    for row, found in zip(rows, listed[".csv"], strict=True):
        landmarks = None if row["landmarks"] is None else tuple(json.loads(row["landmarks"]))
        note = row["note, of one"]
        assert found == (
            row["path"],
            None if normal_form(row["identity"] or "") is None else row["identity"],
            row["split"],
            landmarks,
            (("note, of one", note),) if note else (),
            f"its path comes on an earlier row already: {row['path']}"
            if row["path"] in seen
            else None,
        )
        seen.add(row["path"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_attributes_names_the_columns_without_another_meaning(tmp_path, suffix):
    row = {"path": "a.jpg", "file": "a", "name": "Ada", "label": "Ada", "split": "train"}
    row |= {"landmarks": "", "nose_x": "", "age": "30", "skin tone": "light"}
    source = Manifest(write_manifest(tmp_path / f"m{suffix}", [row]))
    assert source.attributes() == ["age", "file", "name", "skin tone"]
    (ref,) = source.refs(*source.tasks())
    assert {name for name, _ in ref.attributes} <= set(source.attributes())


def test_attributes_is_none_for_jsonl_whose_rows_may_differ(tmp_path):
    rows = [{"path": "a.jpg"}, {"path": "b.jpg", "age": "30"}]
    assert Manifest(write_manifest(tmp_path / "m.jsonl", rows)).attributes() is None
