"""`facemill ingest`: one person is one identity, however sources and lists spell the name."""

import unicodedata

import pytest

from tests.pipelines.ingest.ingesting import (
    check,
    draw,
    ingest,
    manifest_of,
    splits,
    write_manifest,
    write_names,
)

pytestmark = pytest.mark.slow

ZOE = "Zoë Saldaña"
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, ZOE) for form in ("NFC", "NFD"))


def test_folders_of_one_person_are_one_identity_and_keep_their_spelling(tmp_path):
    photos = tmp_path / "photos"
    for number, name in enumerate((COMPOSED, DECOMPOSED, f" {ZOE} ", "Zoë  Saldaña")):
        draw(photos, 1, number, f"{name}/{number}.jpg")
    for number, name in enumerate(("45", "45.0")):
        draw(photos, 2, number, f"{name}/{number}.jpg")
    for number, name in enumerate(("-1", "nan", "None")):
        draw(photos, 3 + number, number, f"{name}/{number}.jpg")
    ingest(photos, tmp_path / "out", "--split", "train=0.5,val=0.5")
    rows = check(tmp_path / "out")
    assert {row["identity"] for row in rows.values()} == {COMPOSED, "45", None}
    assert all(len(one) == 1 for one in splits(rows).values())
    spelled = {name.split("/")[0]: row["identity_source"] for name, row in rows.items()}
    assert spelled == {
        **{COMPOSED: None, "45": None, "-1": None, "nan": None, "None": None},
        **{name: name for name in (DECOMPOSED, f" {ZOE} ", "Zoë  Saldaña", "45.0")},
    }
    unlabeled = {name for name, row in rows.items() if row["split"] == "unlabeled"}
    assert unlabeled == {"-1/0.jpg", "nan/1.jpg", "None/2.jpg"}


def test_a_list_matches_names_in_another_form_and_says_which_match_nobody(tmp_path, capsys):
    photos = tmp_path / "photos"
    for who, name in enumerate((COMPOSED, "45", "bob")):
        draw(photos, who, 0, f"{name}/0.jpg")
    names = write_names(tmp_path / "out.txt", DECOMPOSED, " 45.0", "nobody", "BOB")
    flags = ("--split", "train=1", "--exclude-identities", names)
    ingest(photos, tmp_path / "out", *flags)
    rows = check(tmp_path / "out")
    assert {row["identity"] for row in rows.values() if row["outcome"] == "kept"} == {"bob"}
    line = (
        "2 of 4 names of --exclude-identities match nobody (BOB, nobody); 1 of them differ from "
        "identities of the input only by case, accents or _ (BOB and bob): if they are the same "
        "people, ingest with --match-names folded"
    )
    assert line in capsys.readouterr().out
    assert line in (tmp_path / "out" / "report.html").read_text("utf-8")
    (found,) = manifest_of(tmp_path / "out")["names"]["lists"]
    assert (found["names"], found["unmatched"], found["alike"]["count"]) == (4, 2, 1)


@pytest.mark.parametrize("held_out", [pytest.param("dataset", marks=pytest.mark.long), "folder"])
def test_a_held_out_set_with_names_in_another_case_is_reported_and_matched_when_folded(
    tmp_path, capsys, held_out
):
    photos, held = tmp_path / "photos", tmp_path / "held"
    draw(held, 1, 0, "Ada_Lovelace/0.jpg")
    draw(photos, 1, 1, "ada lovelace/1.jpg")
    draw(photos, 2, 0, "bob/0.jpg")
    if held_out == "dataset":
        ingest(held, tmp_path / "held-dataset", "--split", "train=1")
        held = tmp_path / "held-dataset"
    flags = ("--split", "train=1", "--exclude-dataset", held)
    ingest(photos, tmp_path / "exact", *flags)
    rows = check(tmp_path / "exact")
    assert {row["outcome"] for row in rows.values()} == {"kept"}
    assert (
        "1 identities of the input differ from ones of the held-out set only by case, accents or _ "
        "(ada lovelace and Ada_Lovelace)"
    ) in capsys.readouterr().out
    ingest(photos, tmp_path / "folded", *flags, "--match-names", "folded")
    rows = check(tmp_path / "folded")
    assert rows["ada lovelace/1.jpg"]["reason"] == "identity is in the held-out set"
    assert "only by case" not in capsys.readouterr().out
    assert manifest_of(tmp_path / "folded")["names"]["held_out"]["count"] == 0


def test_a_table_of_numbers_with_a_point_names_whole_numbers(tmp_path):
    photos = tmp_path / "photos"
    names = ("45.0", "45", " 45 ", "46.0", "-1.0", "nan", "")
    files = [draw(photos, n, n, f"{n}.jpg") for n in range(len(names))]
    rows = [(file, name, "") for file, name in zip(files, names, strict=True)]
    ingest(write_manifest(photos, "age", rows), tmp_path / "out", "--split", "train=1")
    found = {name: row["identity"] for name, row in check(tmp_path / "out").items()}
    expected = ("45", "45", "45", "46", None, None, None)
    assert found == {f"{n}.jpg": name for n, name in enumerate(expected)}
