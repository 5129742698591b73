"""The sentences about what was guessed of an input, for the terminal and for reports."""

import sys
from collections.abc import Callable, Sequence

from facemill.pipelines.common.flags import flag
from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.guesses import Guess, GuessCode

# Guesses that are no use: a run that goes on would reject everything.
_FATAL = {GuessCode.PATHS_OUTSIDE}
_FATAL_WITHOUT_IDENTITIES = {GuessCode.NO_IDENTITY_FOLDERS}
# Guesses about identities, which say nothing to a run that asks for none.
_OF_IDENTITIES = {
    GuessCode.LABEL_COLUMN,
    GuessCode.LABEL_NAMES_FILES,
    GuessCode.NO_LABEL_COLUMN,
    GuessCode.SPLIT_FOLDERS,
    GuessCode.ONE_FOLDER,
    GuessCode.FOLDERS_OF_FOLDERS,
    GuessCode.LOOSE_FILES,
    GuessCode.NO_IDENTITY_FOLDERS,
    GuessCode.IDENTITY_FROM_FOLDER,
    GuessCode.LIST_BESIDE,
}


def report(guesses: Sequence[Guess], root: str, identities: str) -> list[Guess]:
    """Prints what was guessed, before the work begins, and refuses an input that cannot be right.

    Args:
        guesses: of the source.
        root: the input, or the folder that its paths are relative to, for the messages.
        identities: `needed` by the job, `used` where there are some, or `ignored`.

    Returns:
        The guesses that count for such a job.

    Raises:
        UsageError: the input cannot be what it was taken for.
    """
    fatal = _FATAL | (_FATAL_WITHOUT_IDENTITIES if identities == "needed" else set())
    found = []
    for guess in guesses:
        if guess.code in fatal:
            raise UsageError(_refusals[guess.code](guess, root))
        if guess.code == GuessCode.NO_IDENTITY_FOLDERS:
            continue
        if identities == "ignored" and guess.code in _OF_IDENTITIES:
            continue
        found.append(guess)
        print(f"note: {sentence(guess)}", file=sys.stderr, flush=True)
    return found


def sentence(guess: Guess) -> str:
    """What was taken, what was passed over, and how to choose, in one sentence."""
    return _SENTENCES[guess.code](guess)


def _in(guess: Guess) -> str:
    return f"{guess.where}: " if guess.where else ""


def _names(names: Sequence[str], count: int = 0) -> str:
    more = [f"... ({count:,} in all)"] if count > len(names) else []
    return ", ".join([*names, *more])


def _passed(guess: Guess) -> str:
    return _names(guess.passed_over, guess.count)


def _image_column(guess: Guess) -> str:
    others = f" and {_passed(guess)} passed over" if guess.passed_over else ""
    return (
        f"{_in(guess)}the images are taken from {_names(guess.taken)}{others}; "
        f"{flag('image_column')} names another"
    )


def _label_column(guess: Guess) -> str:
    others = f" and {_passed(guess)} passed over" if guess.passed_over else ""
    return (
        f"{_in(guess)}the identities are taken from {_names(guess.taken)}{others}; "
        f"{flag('label_column')} names another"
    )


def _label_names_files(guess: Guess) -> str:
    taken = _names(guess.taken)
    then = f"the identities are taken from {taken}" if taken else "no identity is taken from it"
    return (
        f"{_in(guess)}{_passed(guess)} holds names of files and is passed over, {then}; "
        f"{flag('label_column')} names another"
    )


def _no_label_column(guess: Guess) -> str:
    among = f" among {_passed(guess)}" if guess.passed_over else ""
    return (
        f"{_in(guess)}no column is known to hold identities{among}, so the images have none; name "
        f"it by {flag('label_column')}"
    )


def _paths_for_bytes(guess: Guess) -> str:
    return (
        f"{_in(guess)}{_names(guess.taken)} holds paths and no bytes ({guess.passed_over[0]}), "
        f"which are read under {flag('root')}, the folder of the tables if not given"
    )


def _images_of_a_key(guess: Guess) -> str:
    return (
        f"{_in(guess)}keys have several images, of which {_names(guess.taken)} is taken and "
        f"{_passed(guess)} passed over; {flag('image_column')} names another kind"
    )


def _dots_in_keys(guess: Guess) -> str:
    return (
        f"{_in(guess)}keys are taken to end at the first dot of a name ({_names(guess.taken)}), "
        f"but names have several, so labels may be missed; {flag('key')} last-dot takes "
        f"{_passed(guess)}"
    )


def _split_folders(guess: Guess) -> str:
    inside = f", though they hold folders ({_passed(guess)})" if guess.passed_over else ""
    return (
        f"the folders {_names(guess.taken)} are taken for people{inside}: if they are splits, give "
        f"one of them as {flag('input')}, or a list with the columns path, identity and split"
    )


def _one_folder(guess: Guess) -> str:
    (name,) = guess.taken
    if guess.passed_over:
        return (
            f"the only folder {name} is taken for one person, though it holds folders "
            f"({_passed(guess)}): if these are the people, give {name} as {flag('input')}"
        )
    return (
        f"the only folder {name} is taken for one person; if it holds many people, give a list "
        f"with the columns path and identity as {flag('input')}"
    )


def _folders_of_folders(guess: Guess) -> str:
    return (
        f"the folders {_names(guess.taken)} are taken for one person each, though they hold "
        f"folders only ({_passed(guess)}): if those are the people, give one of the upper ones as "
        f"{flag('input')}, or a list with the columns path and identity"
    )


def _loose_files(guess: Guess) -> str:
    count = f"{guess.count:,} image files lie" if guess.count > 1 else "one image file lies"
    return f"{count} in no identity's folder ({_passed(guess)}) and will be rejected"


def _list_beside(guess: Guess) -> str:
    return (
        f"{_passed(guess)} is not read; if it lists the identities, give it as {flag('input')} "
        f"with the folder of the images as {flag('root')}"
    )


def _identity_from_folder(guess: Guess) -> str:
    return (
        f"{_in(guess)}the list has paths alone, so the folder that an image lies in is taken for "
        "its identity"
    )


def _path_form(guess: Guess) -> str:
    pairs = zip(guess.passed_over, guess.taken, strict=False)
    before, after = next(pairs)
    return f"{_in(guess)}paths such as {before!r} are read as {after!r}, since no file is called so"


def _file_not_used(guess: Guess) -> str:
    return f"{guess.where} is not used: {_passed(guess)}"


def _paths_outside(guess: Guess) -> str:
    return f"{_in(guess)}paths lead outside the folder ({_passed(guess)})"


def _no_identity_folders(guess: Guess) -> str:
    return f"the input holds images and no folder for each identity ({_passed(guess)})"


_SENTENCES: dict[GuessCode, Callable[[Guess], str]] = {
    GuessCode.IMAGE_COLUMN: _image_column,
    GuessCode.LABEL_COLUMN: _label_column,
    GuessCode.LABEL_NAMES_FILES: _label_names_files,
    GuessCode.NO_LABEL_COLUMN: _no_label_column,
    GuessCode.PATHS_FOR_BYTES: _paths_for_bytes,
    GuessCode.IMAGES_OF_A_KEY: _images_of_a_key,
    GuessCode.DOTS_IN_KEYS: _dots_in_keys,
    GuessCode.SPLIT_FOLDERS: _split_folders,
    GuessCode.ONE_FOLDER: _one_folder,
    GuessCode.FOLDERS_OF_FOLDERS: _folders_of_folders,
    GuessCode.LOOSE_FILES: _loose_files,
    GuessCode.NO_IDENTITY_FOLDERS: _no_identity_folders,
    GuessCode.LIST_BESIDE: _list_beside,
    GuessCode.IDENTITY_FROM_FOLDER: _identity_from_folder,
    GuessCode.PATH_FORM: _path_form,
    GuessCode.PATHS_OUTSIDE: _paths_outside,
    GuessCode.FILE_NOT_USED: _file_not_used,
}


def _refuse_outside(guess: Guess, root: str) -> str:
    return (
        f"{flag('input')} must list images under {flag('root')}, which is {root}, but "
        f"{guess.where} has {guess.passed_over[0]}; give the folder that its paths begin with as "
        f"{flag('root')}, or write them relative to it with /."
    )


def _refuse_no_folders(guess: Guess, root: str) -> str:
    beside = f" ({_names(guess.taken)} may be one)" if guess.taken else ""
    return (
        f"{flag('input')} must hold a folder for each identity, but {root} holds "
        f"{guess.count:,} images ({guess.passed_over[0]}, ...) and no folder; give a list with the "
        f"columns path and identity{beside}, or --no-identities."
    )


_refusals: dict[GuessCode, Callable[[Guess, str], str]] = {
    GuessCode.PATHS_OUTSIDE: _refuse_outside,
    GuessCode.NO_IDENTITY_FOLDERS: _refuse_no_folders,
}
