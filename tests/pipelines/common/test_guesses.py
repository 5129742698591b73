import pytest

from facemill.pipelines.common import guesses
from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.guesses import Guess, GuessCode


@pytest.mark.parametrize("code", GuessCode)
def test_each_guess_has_a_sentence_that_names_what_was_taken_and_passed_over(code):
    guess = Guess.of(code, ["TAKEN"], ["OTHER", "FURTHER"], "FILE")
    text = guesses.sentence(guess)
    if code != GuessCode.IDENTITY_FROM_FOLDER:
        assert "TAKEN" in text or "OTHER" in text
    assert not text.endswith(".")
    assert text[0] != " "
    # With little to say, it still is a sentence.
    if code not in (GuessCode.ONE_FOLDER, GuessCode.PATHS_FOR_BYTES, GuessCode.PATH_FORM):
        assert guesses.sentence(Guess.of(code))


def test_of_many_names_the_first_are_shown_with_their_number():
    guess = Guess.of(GuessCode.LOOSE_FILES, (), [f"{n}.jpg" for n in range(1000)])
    assert "1,000 image files" in guesses.sentence(guess)
    assert "4.jpg, ... (1,000 in all)" in guesses.sentence(guess)
    assert guess.to_manifest() == {
        "code": "loose_files",
        "taken": [],
        "passed_over": ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"],
        "where": "",
        "count": 1000,
    }


def test_a_folder_without_identities_is_refused_with_the_way_out(capsys):
    given = [Guess.of(GuessCode.NO_IDENTITY_FOLDERS, (), ["1.jpg", "2.jpg"])]
    with pytest.raises(UsageError, match=r"/photos holds 2 images \(1\.jpg.*--no-identities"):
        guesses.report(given, "/photos", "needed")
    for identities in ("used", "ignored"):
        assert guesses.report(given, "/photos", identities) == []
    assert capsys.readouterr().err == ""


def test_paths_that_lead_outside_are_refused_with_one_of_them():
    given = [Guess.of(GuessCode.PATHS_OUTSIDE, (), ["D:\\faces\\1.jpg"], "list.csv")]
    for identities in ("needed", "used", "ignored"):
        with pytest.raises(UsageError, match=r"list\.csv has D:\\faces\\1\.jpg; give the folder"):
            guesses.report(given, "/photos", identities)


def test_guesses_are_printed_before_the_work(capsys):
    given = [
        Guess.of(GuessCode.IMAGE_COLUMN, ["image"], ["mask"], "a.parquet"),
        Guess.of(GuessCode.ONE_FOLDER, ["images"], ["Ada", "Bob"]),
    ]
    assert guesses.report(given, "/in", "needed") == given
    image, folder = capsys.readouterr().err.splitlines()
    assert image == (
        "note: a.parquet: the images are taken from image and mask passed over; --image-column "
        "names another"
    )
    assert folder.startswith("note: the only folder images is taken for one person, though it")
    assert guesses.report(given, "/in", "ignored") == given[:1]
