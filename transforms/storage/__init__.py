"""Where files lie: every path that a job reads or writes goes through here.

Callers write `storage.open_file(path)` and need not know whether the path is on a disk or on an
object store.
"""

from facemill.transforms.storage.entry import (
    DEAD_LINK,
    LINK_OUT,
    LINK_TO_FOLDER,
    NOT_A_FILE,
    NOT_UTF8,
    Entry,
)
from facemill.transforms.storage.local import (
    absolute,
    check_apart,
    claim,
    is_file,
    is_remote,
    join,
    list_files,
    make_folder,
    new_file,
    not_seen,
    open_file,
    read_bytes,
    read_range,
    remove,
    sha256,
    sync,
    sync_to_disk,
    top_level,
    walk_files,
    write_atomically,
)

__all__ = [
    "DEAD_LINK",
    "LINK_OUT",
    "LINK_TO_FOLDER",
    "NOT_A_FILE",
    "NOT_UTF8",
    "Entry",
    "absolute",
    "check_apart",
    "claim",
    "is_file",
    "is_remote",
    "join",
    "list_files",
    "make_folder",
    "new_file",
    "not_seen",
    "open_file",
    "read_bytes",
    "read_range",
    "remove",
    "sha256",
    "sync",
    "sync_to_disk",
    "top_level",
    "walk_files",
    "write_atomically",
]
