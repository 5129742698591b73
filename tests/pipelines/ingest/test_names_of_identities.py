"""`facemill ingest`: one person is one identity, however sources and lists spell the name."""

import contextlib
import io
import unicodedata
from pathlib import Path

import pytest

from tests.pipelines.ingest.ingesting import (
    check,
    draw,
    ingest,
    manifest_of,
    rows_of,
    splits,
    write_manifest,
    write_names,
)

pytestmark = pytest.mark.slow

ZOE = "Zoë Saldaña"
RENE = "René"
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, ZOE) for form in ("NFC", "NFD"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Folders whose names are spellings of the same people, and of nobody."""
    photos = tmp_path_factory.mktemp("names") / "photos"
    for number, name in enumerate((COMPOSED, DECOMPOSED, f" {ZOE} ", "Zoë  Saldaña")):
        draw(photos, 1, number, f"{name}/{number}.jpg")
    for number, name in enumerate(("45", "45.0")):
        draw(photos, 2, number, f"{name}/{number}.jpg")
    for number, name in enumerate(("-1", "nan", "None")):
        draw(photos, 3 + number, number, f"{name}/{number}.jpg")
    # Those that a list excludes, one that it only seems to, and one of the held-out set.
    for number, name in enumerate((unicodedata.normalize("NFC", RENE), "46", "bob")):
        draw(photos, 6 + number, 0, f"{name}/0.jpg")
    draw(photos, 9, 1, "ada lovelace/1.jpg")
    return photos


def _held_out(root: Path) -> Path:
    draw(root / "held", 9, 0, "Ada_Lovelace/0.jpg")
    return root / "held"


@pytest.fixture(scope="module")
def exact(photos, tmp_path_factory) -> tuple[Path, str]:
    """The dataset by the default of `--match-names`, and what the run printed."""
    root = tmp_path_factory.mktemp("exact")
    listed = (unicodedata.normalize("NFD", RENE), " 46.0", "nobody", "BOB")
    names = write_names(root / "out.txt", *listed)
    flags = ("--split", "train=0.5,val=0.5", "--exclude-identities", names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ingest(photos, root / "out", *flags, "--exclude-dataset", _held_out(root))
    return root / "out", printed.getvalue()


def test_folders_of_one_person_are_one_identity_and_keep_their_spelling(exact):
    rows = check(exact[0])
    kept = {row["identity"] for row in rows.values() if row["outcome"] == "kept"}
    assert kept == {COMPOSED, "45", "bob", "ada lovelace", None}
    assert all(len(one) == 1 for one in splits(rows).values())
    of = (COMPOSED, "45", None)
    spelled = {
        name.split("/")[0]: row["identity_source"]
        for name, row in rows.items()
        if row["identity"] in of
    }
    assert spelled == {
        **{COMPOSED: None, "45": None, "-1": None, "nan": None, "None": None},
        **{name: name for name in (DECOMPOSED, f" {ZOE} ", "Zoë  Saldaña", "45.0")},
    }
    unlabeled = {name for name, row in rows.items() if row["split"] == "unlabeled"}
    assert unlabeled == {"-1/0.jpg", "nan/1.jpg", "None/2.jpg"}


def test_a_list_matches_names_in_another_form_and_says_which_match_nobody(exact):
    output, printed = exact
    rows = rows_of(output)
    left_out = {row["identity"] for row in rows.values() if row["outcome"] == "dropped"}
    assert left_out == {unicodedata.normalize("NFC", RENE), "46"}
    line = (
        "2 of 4 names of --exclude-identities match nobody (BOB, nobody); 1 of them differ from "
        "identities of the input only by case, accents or _ (BOB and bob): if they are the same "
        "people, ingest with --match-names folded"
    )
    assert line in printed
    assert line in (output / "report.html").read_text("utf-8")
    (found,) = manifest_of(output)["names"]["lists"]
    assert (found["names"], found["unmatched"], found["alike"]["count"]) == (4, 2, 1)


def test_a_held_out_set_with_names_in_another_case_is_reported(exact):
    output, printed = exact
    assert rows_of(output)["ada lovelace/1.jpg"]["outcome"] == "kept"
    assert (
        "1 identities of the input differ from ones of the held-out set only by case, accents or _ "
        "(ada lovelace and Ada_Lovelace)"
    ) in printed


@pytest.mark.parametrize("held_out", [pytest.param("dataset", marks=pytest.mark.long), "folder"])
def test_a_held_out_set_with_names_in_another_case_is_matched_when_folded(
    tmp_path, capsys, held_out
):
    photos, held = tmp_path / "photos", _held_out(tmp_path)
    draw(photos, 9, 1, "ada lovelace/1.jpg")
    draw(photos, 2, 0, "bob/0.jpg")
    flags = ["--split", "train=1"]
    if held_out == "dataset":
        ingest(held, tmp_path / "held-dataset", *flags)
        held = tmp_path / "held-dataset"
        ingest(photos, tmp_path / "exact", *flags, "--exclude-dataset", held)
        assert {row["outcome"] for row in check(tmp_path / "exact").values()} == {"kept"}
        assert "(ada lovelace and Ada_Lovelace)" in capsys.readouterr().out
    flags += ["--exclude-dataset", held, "--match-names", "folded"]
    ingest(photos, tmp_path / "folded", *flags)
    rows = check(tmp_path / "folded")
    assert rows["ada lovelace/1.jpg"]["reason"] == "identity is in the held-out set"
    assert "only by case" not in capsys.readouterr().out
    assert manifest_of(tmp_path / "folded")["names"]["held_out"]["count"] == 0


@pytest.mark.long
def test_a_table_of_numbers_with_a_point_names_whole_numbers(tmp_path):
    photos = tmp_path / "photos"
    names = ("45.0", "45", " 45 ", "46.0", "-1.0", "nan", "")
    files = [draw(photos, n, n, f"{n}.jpg") for n in range(len(names))]
    rows = [(file, name, "") for file, name in zip(files, names, strict=True)]
    ingest(write_manifest(photos, "age", rows), tmp_path / "out", "--split", "train=1")
    found = {name: row["identity"] for name, row in check(tmp_path / "out").items()}
    expected = ("45", "45", "45", "46", None, None, None)
    assert found == {f"{n}.jpg": name for n, name in enumerate(expected)}
