"""Files beside photos that were never meant as images, told by their names before they are read.

The listing gives each a row with the outcome `ignored`: it is counted and shown, but is no
rejected image. What has the extension of an image, or none, is read, and its content decides.
"""

import posixpath

from facemill.transforms.core.reasons import Reason, ReasonCode

SYSTEM_FILE = Reason(ReasonCode.SYSTEM_FILE, "a system keeps it beside other files, never a photo")
HIDDEN_FILE = Reason(
    ReasonCode.HIDDEN_FILE, "is hidden or in a hidden folder, without the extension of an image"
)
README_FILE = Reason(ReasonCode.SIDECAR_FILE, "describes the collection, never a photo")

# What macOS puts into archives: the attributes of each file, under the file's own name.
_APPLE_DOUBLE, _APPLE_FOLDER = "._", "__macosx"
_SYSTEM = frozenset(
    {
        *(".ds_store", ".localized", ".apdisk", "icon\r"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        *(".directory", ".picasa.ini", "picasa.ini"),
    }
)
_READMES = frozenset({"readme", "license", "licence", "copying", "notice", "changelog", "authors"})
_IMAGES = frozenset(
    {
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("pgm", "ppm", "pbm", "pnm", "heic", "heif", "avif", "jp2", "jxl"),
    }
)
# Extensions of files that are never images. Archives are not among them: one may hold the photos.
_SIDECARS = frozenset(
    {
        *("txt", "md", "rst", "rtf", "log", "nfo", "csv", "tsv", "json", "jsonl", "xml", "lst"),
        *("html", "htm", "yaml", "yml", "toml", "ini", "cfg", "url", "xmp", "aae"),
        *("npy", "npz", "mat", "pts", "pkl", "pickle", "h5", "hdf5"),
        *("pdf", "doc", "docx", "xls", "xlsx", "py", "ipynb", "sh", "db", "sqlite"),
        *("md5", "sha1", "sha256", "mp4", "mov", "avi", "mkv", "mp3", "wav"),
    }
)


def why_ignored(path: str) -> Reason | None:
    """Why a file was never meant as an image, or None if it must be read.

    Args:
        path: relative to the input, or in its archive, '/'-separated.
    """
    *folders, name = path.split("/")
    if is_system_file(path):
        return SYSTEM_FILE
    stem, extension = posixpath.splitext(name.lower())
    kind = extension.removeprefix(".")
    if kind in _IMAGES:
        return None
    if any(part.startswith(".") and part.strip(".") for part in (*folders, name)):
        return HIDDEN_FILE
    if not kind and stem in _READMES:
        return README_FILE
    if is_sidecar(kind):
        text = f"has an extension of files that are never images: .{kind}"
        return Reason(ReasonCode.SIDECAR_FILE, text)
    return None


def is_system_file(path: str) -> bool:
    """Whether a system or a file manager made a file, beside those of a person or a program.

    Args:
        path: '/'-separated; that of a folder ends in "/".
    """
    *folders, name = path.lower().split("/")
    return name.startswith(_APPLE_DOUBLE) or name in _SYSTEM or _APPLE_FOLDER in folders


def has_image_extension(path: str) -> bool:
    """Whether a name has an extension of images, in any case."""
    return posixpath.splitext(path.strip().lower())[1].removeprefix(".") in _IMAGES


def is_sidecar(extension: str) -> bool:
    """Whether files of an extension are never images.

    Args:
        extension: in lower case, without the point.
    """
    return extension in _SIDECARS
