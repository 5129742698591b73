"""Builds the source of a format, and guesses the format of an input."""

import importlib
import re
from collections.abc import Sequence

import pyarrow as pa

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, UsageError
from facemill.transforms.core.text import one_line
from facemill.transforms.dataset.ignored_files import has_image_extension, is_system_file
from facemill.transforms.sources.arrow import ARROW_ERRORS, is_binary, is_text, open_table
from facemill.transforms.sources.base import Source
from facemill.transforms.sources.columns import PATHS, present
from facemill.transforms.sources.folders import names_in
from facemill.transforms.sources.layout import folders_in
from facemill.transforms.sources.names import FORMATS, TABLE

MANIFEST = "manifest"

_LISTS = re.compile(r"\.(csv|tsv|jsonl|txt)$", re.IGNORECASE)
# A name directly under the input that reveals the format; names of folders end in "/".
_SIGNS = {
    "casia-rec": re.compile(r".+\.rec$", re.IGNORECASE),
    "megaface": re.compile(r"FlickrFinal2/$"),
    # The source lists a compressed tar with a reason that says what to do.
    "webdataset": re.compile(r".+\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2|txz|tzst)$", re.IGNORECASE),
    "parquet": re.compile(r".+\.parquet$", re.IGNORECASE),
    "tfrecord": re.compile(r".+\.(tfrecords?|tfrec|records?)([-_.][^/]*)?$", re.IGNORECASE),
}
# The parameters of `build` that a format accepts, in the order of its arguments.
_ACCEPTED = {
    MANIFEST: ("images_root", "image_column", "label_column", "key"),
    "parquet": ("image_column", "label_column", "key", "images_root"),
    "webdataset": ("image_column", "label_column", "key"),
    "tfrecord": ("image_column", "label_column", "key"),
}
# Formats whose shards may lie beside unrelated folders, or be unrelated files among `folders`.
_SHARDS = ("webdataset", "parquet", "tfrecord")
# Folders whose contents are listed to give advice.
_LOOKED_AT = 8
# The folder in which a download from Hugging Face has its shards, beside a README.
_DATA = "data/"


def build(
    format: str,
    input: str,
    images_root: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    key: str | None = None,
) -> Source:
    """The source of a format.

    Args:
        format: one of FORMATS.
        input: an absolute path or a URL; for `manifest` that of the file.
        images_root: for `manifest` and for `parquet` whose rows have paths in place of bytes: the
            folder that paths are relative to, or None for the folder of the tables.
        image_column: for tables and archives: the column or feature that holds the images, of
            `manifest` their paths, of `webdataset` the kind of file; or None to guess it.
        label_column: for the same: the column or feature that holds the identities, of `webdataset`
            the kind of file; or None to guess it.
        key: for the same: the column or feature that names each image, of `webdataset` where the
            key of a member ends; or None for the usual one.

    Raises:
        UsageError: there is no such format, or it does not accept an option.
    """
    if format not in TABLE:
        raise ParameterError(
            "format", format, must=f"be one of {', '.join(FORMATS)}", do="choose one"
        )
    given = {
        "images_root": images_root,
        "image_column": image_column,
        "label_column": label_column,
        "key": key,
    }
    accepted = _ACCEPTED.get(format, ())
    for parameter, value in given.items():
        if value is not None and parameter not in accepted:
            fitting = " or ".join(name for name, names in _ACCEPTED.items() if parameter in names)
            raise ParameterError(
                parameter,
                value,
                must=f"go with `format` {fitting}",
                got=f"it with {format}",
                do="leave it out",
            )
    module, _, name = TABLE[format].target.partition(":")
    source = getattr(importlib.import_module(module), name)
    return source(input, *(given[parameter] for parameter in accepted))


def guess(input: str) -> str:
    """The format of an input, guessed from the name of the file or the names in the folder.

    A file is a manifest if it ends in .csv, .tsv, .txt or .jsonl, or in .parquet and has a column
    of paths and no column of images; other files are judged like names in a folder. In a folder,
    one of the names `*.rec`, `FlickrFinal2`, `*.tar`, `*.parquet`, `*.tfrecord*`, `*.tfrec` and
    `*.record` decides, or the names of shards in its only folder `data`; without any the format is
    `folders`. Names that begin with a dot and files of a system, such as `__MACOSX/`, are ignored.

    Raises:
        UsageError: there is no such input, nothing in it, more than one format is possible, or the
            files of another format lie in a folder below.
    """
    if storage.is_file(input):
        return _of_file(input)
    names = _names(input)
    found = _formats_of(names)
    if not found and [name for name in names if name.endswith("/")] == [_DATA]:
        names = _names(storage.join(input, _DATA.rstrip("/")))
        found = [format for format in _formats_of(names) if format in _SHARDS]
    folders = [name.rstrip("/") for name in names if name.endswith("/")]
    if len(found) == 1 and found[0] in _SHARDS and folders:
        found.append("folders")
    if len(found) > 1:
        raise ParameterError(
            "input",
            input,
            must="be of one format",
            got=f"{input}, which could be {' or '.join(found)}",
            do=_advice(input, folders),
        )
    if not found:
        _refuse_files_below(input, names, folders)
    return found[0] if found else "folders"


def _advice(input: str, folders: Sequence[str]) -> str:
    """What to do about an input of two formats, one of them perhaps that of folders below it."""
    below = [name for name in folders[:_LOOKED_AT] if folders_in(input, name)]
    if len(below) != 1:
        return "choose one by `format`"
    return (
        f"give {storage.join(input, below[0])}, whose folders may be the people, or choose one by "
        "`format`"
    )


def _refuse_files_below(input: str, names: Sequence[str], folders: Sequence[str]) -> None:
    """Refuses a folder whose only content is the folder of a format's files.

    Raises:
        UsageError: see above.
    """
    if len(folders) != 1 or any(has_image_extension(name) for name in names):
        return
    try:
        inside = _names(storage.join(input, folders[0]))
    except UsageError:
        return
    found = _formats_of(inside)
    if not found or any(has_image_extension(name) for name in inside):
        return
    sign = next(name for name in inside if any(_SIGNS[one].match(name) for one in found))
    raise ParameterError(
        "input",
        input,
        must="hold a folder of images for each identity, or files of another format",
        but=f"its only folder holds {folders[0]}/{sign}",
        do=f"give {storage.join(input, folders[0])}, or `format` folders",
    )


def _names(root: str) -> list[str]:
    names = names_in(root)
    return [name for name in names if not name.startswith(".") and not is_system_file(name)]


def _formats_of(names: list[str]) -> list[str]:
    return [format for format, sign in _SIGNS.items() if any(sign.match(name) for name in names)]


def _of_file(path: str) -> str:
    if _LISTS.search(path):
        return MANIFEST
    if path.lower().endswith(".parquet"):
        return _of_parquet(path)
    # In a folder the suffix tells nothing: insightface's files lie beside a training set.
    if path.lower().endswith(".bin"):
        return "bin"
    found = _formats_of([path.rpartition("/")[2]])
    if found:
        return found[0]
    raise ParameterError(
        "input",
        path,
        must="be a folder, a manifest (.csv, .jsonl, .parquet) or a file of images (.tar, "
        ".parquet, .tfrecord, .rec, .bin)",
        got=f"the file {path}",
        do="give the folder that it lies in",
    )


def _of_parquet(path: str) -> str:
    try:
        with storage.open_file(path) as stream:
            schema = open_table(stream).schema_arrow
    except ARROW_ERRORS as error:
        raise ParameterError(
            "input",
            path,
            must="be a sound Parquet file",
            got=f"{path} ({one_line(error)})",
            do="check it",
        ) from None
    images = any(_holds_images(field.type) for field in schema)
    texts = [field.name for field in schema if is_text(field.type)]
    return MANIFEST if present(texts, PATHS) and not images else "parquet"


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_images(kind.field(i).type) for i in range(kind.num_fields))
    return is_binary(kind)
