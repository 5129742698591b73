"""`facemill ingest --exclude-dataset`: the dataset shares nothing with a held-out set."""

import re

import pytest

from tests.pipelines.ingest.ingesting import check, draw, ingest, manifest_of, refused

pytestmark = pytest.mark.slow


def test_images_that_share_an_identity_or_a_photo_with_the_held_out_set_are_dropped(tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(held, 30, image)
        draw(held, 31, image)
    for image in range(5, 9):
        draw(photos, 30, image)
        draw(photos, 32, image)
        draw(photos, 33, image)
    # Photos of the held-out set under other identities.
    draw(photos, 31, 0, "stranger/leak.jpg", quality=85)
    (photos / "id32" / "same.jpg").write_bytes((held / "id31/001.jpg").read_bytes())
    # Another image of the input has the image_id of the photo in the held-out set.
    draw(photos, 34, 0, "id31/000.jpg")
    ingest(photos, tmp_path / "out", "--split", "train=1", "--exclude-dataset", held)
    rows = check(tmp_path / "out")
    dropped = {key: row for key, row in rows.items() if row["outcome"] == "dropped"}
    assert {row["identity"] for row in dropped.values()} == {"id30", "id31", "id32", "stranger"}
    assert {row["reason"] for row in dropped.values() if row["identity"] in ("id30", "id31")} == {
        "identity is in the held-out set"
    }
    leak, same = dropped["stranger/leak.jpg"], dropped["id32/same.jpg"]
    assert (leak["reason"], leak["duplicate_of"]) == (
        *("near duplicate in the held-out set", "id31/000.jpg"),
    )
    assert (same["reason"], same["duplicate_of"]) == (
        *("same pixels in the held-out set", "id31/001.jpg"),
    )
    assert manifest_of(tmp_path / "out")["counts"]["dropped"] == len(dropped) == 7
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    (leakage,) = re.findall(r"<h2[^>]*>Leakage</h2>(.*?)</section>", page, re.DOTALL)
    for text in ("near duplicate in", "same pixels in", "identity is in", "stranger/leak.jpg"):
        assert text in leakage
    # The held-out photo is shown beside each dropped copy of it.
    assert leakage.count("data:image/") == 4
    assert leakage.index("id31/000.jpg") < leakage.rindex("stranger/leak.jpg")


def test_photos_of_a_held_out_set_without_identities_are_dropped(base, tmp_path, capsys):
    held = tmp_path / "held"
    for image in range(3):
        draw(held, 40, image, f"{image}.jpg")
        draw(tmp_path / "photos", 40, image, f"ada/{image}.jpg", quality=85)
        draw(tmp_path / "photos", 41, image, f"bob/{image}.jpg")
    (held / "torn.jpg").write_bytes((held / "0.jpg").read_bytes()[:300])
    ingest(tmp_path / "photos", tmp_path / "out", "--split", "train=1", "--exclude-dataset", held)
    printed = capsys.readouterr().out
    assert "3 of 4 images of the held-out set were compared (1 damaged image" in printed
    assert "that were dropped by identity: 0, by photo: 3" in printed
    # The held-out photos are framed like those of the input.
    assert "another shape or size" not in printed
    rows = check(tmp_path / "out")
    found = {key: (row["outcome"], row["duplicate_of"]) for key, row in rows.items()}
    assert found == {
        **{f"ada/{image}.jpg": ("dropped", f"{image}.jpg") for image in range(3)},
        **{f"bob/{image}.jpg": ("kept", None) for image in range(3)},
    }
    counts = manifest_of(tmp_path / "out")["held_out"]
    (reason,) = counts.pop("reasons")
    assert reason.startswith("damaged image")
    assert len(counts.pop("fingerprint")) == 64
    assert counts == {
        **{"listed": 4, "ignored": 0, "usable": 3, "unusable": 1, "by_pixels": 0, "identities": 0},
        "dropped": {"identity": 0, "picture": 3},
    }
    assert manifest_of(base / "dataset")["held_out"] is None
    assert reason in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_held_out_set_without_a_usable_image_is_refused_in_one_sentence(base, tmp_path):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "a.jpg").write_bytes(b"no image")
    (tmp_path / "held" / "a.txt").write_bytes(b"no image")
    given = ("--exclude-dataset", tmp_path / "held")
    message = refused(base / "photos", tmp_path / "out", *given, code=1)
    assert "none of its 1 can be used (1 not an image of a known format)" in message


def test_an_identity_that_the_held_out_set_has_by_a_broken_image_is_dropped(tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(photos, 40, image, f"ada/{image}.jpg")
        draw(photos, 41, image, f"bob/{image}.jpg")
    draw(held, 42, 0, "eve/0.jpg")
    (held / "bob").mkdir()
    (held / "bob" / "torn.jpg").write_bytes(b"no image")
    ingest(photos, tmp_path / "out", "--split", "train=1", "--exclude-dataset", held)
    rows = check(tmp_path / "out")
    assert {row["identity"] for row in rows.values() if row["outcome"] == "kept"} == {"ada"}
    assert rows["bob/0.jpg"]["reason"] == "identity is in the held-out set"
    counts = manifest_of(tmp_path / "out")["held_out"]
    assert (counts["identities"], counts["dropped"]) == (2, {"identity": 3, "picture": 0})


@pytest.mark.long
def test_another_held_out_set_of_the_same_folder_name_has_another_fingerprint(tmp_path):
    manifests = []
    for image in range(2):
        root = tmp_path / str(image)
        draw(root / "held", 42, image, "eve/0.jpg")
        draw(root / "photos", 40, 0, "ada/0.jpg")
        flags = ("--split", "train=1", "--exclude-dataset", root / "held")
        ingest(root / "photos", root / "out", *flags)
        manifests.append(manifest_of(root / "out"))
    one, other = manifests
    assert one["options"] == other["options"]
    assert one["held_out"]["fingerprint"] != other["held_out"]["fingerprint"]


def test_images_that_a_held_out_dataset_did_not_keep_are_compared_too(tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        for number, name in enumerate(("ada", "bob", "joe")):
            draw(photos, 40 + number, image, f"{name}/{image}.jpg")
        draw(held, 50, image, f"eve/{image}.jpg")
    # One photo of two identities: neither row is kept, so no shard has the photo and no record ada.
    draw(held, 60, 0, "ada/x.png")
    draw(held, 60, 0, "max/x.png")
    draw(photos, 60, 0, "joe/x.png")
    draw(photos, 50, 0, "joe/near.jpg", quality=85)
    (held / "bob").mkdir()
    (held / "bob" / "torn.jpg").write_bytes(b"no image")
    ingest(held, tmp_path / "held-dataset", "--split", "train=1")
    assert manifest_of(tmp_path / "held-dataset")["counts"]["kept"] == 3
    given = ("--split", "train=1", "--exclude-dataset", tmp_path / "held-dataset")
    ingest(photos, tmp_path / "out", *given)
    rows = check(tmp_path / "out")
    kept = {key for key, row in rows.items() if row["outcome"] == "kept"}
    assert kept == {f"joe/{image}.jpg" for image in range(3)}
    leak = rows["joe/x.png"]
    assert (leak["reason"], leak["duplicate_of"]) == (
        "same pixels in the held-out set",
        "ada/x.png",
    )
    near = rows["joe/near.jpg"]
    assert (near["reason"], near["duplicate_of"]) == (
        "near duplicate in the held-out set",
        "eve/0.jpg",
    )
    counts = manifest_of(tmp_path / "out")["held_out"]
    assert (counts["listed"], counts["usable"], counts["by_pixels"]) == (6, 3, 2)
    assert counts["identities"] == 4
    assert counts["reasons"] == {
        "set aside in its dataset as conflict": 2,
        "set aside in its dataset as rejected": 1,
    }


def test_a_base_that_shares_something_with_the_held_out_set_is_refused(base, tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(photos, 50, image)
        draw(held, 60, image)
    given = ("--append-to", base / "dataset", "--exclude-dataset", held)
    ingest(photos, tmp_path / "two", *given)
    assert manifest_of(tmp_path / "two")["counts"]["kept"] == 43
    again = ("--append-to", tmp_path / "two")
    draw(tmp_path / "more", 51, 0)
    message = refused(tmp_path / "more", tmp_path / "three", *again)
    assert "made with --exclude-dataset, but that is not given here" in message
    # A photo of the base under another identity, and an identity of the base.
    draw(held, 4, 1, "stranger/x.jpg", quality=85)
    (held / "id07").mkdir()
    (held / "id07" / "torn.jpg").write_bytes(b"no image")
    message = refused(photos, tmp_path / "out", *given, code=1)
    assert "4 of its records show an identity of the held-out set and 1 a photo of it" in message
    assert "id04/001.jpg among them; ingest the whole collection anew" in message


def test_a_missing_held_out_set_is_refused_by_its_own_option(base, tmp_path):
    given = ("--exclude-dataset", tmp_path / "nowhere")
    message = refused(base / "photos", tmp_path / "out", *given)
    assert message.startswith("facemill: --exclude-dataset must be an existing directory")
    assert not (tmp_path / "out").exists()
