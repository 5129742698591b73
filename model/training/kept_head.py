"""What a head holds of each identity, kept beside the checkpoints for a later fine-tuning.

The file is no part of the exported model: centers of identities are as personal as embeddings.
Identities are in it by a hash of their names.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facemill.model.heads.base import Head
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.keyed import keyed_hash

# In the folder of the checkpoints.
FILE = "head.npy"
_KEY, _ROW = "key", "row"


@dataclass(frozen=True)
class Centers:
    """What a head holds of each identity.

    Attributes:
        keys: uint64 [C], hashes of the names of the identities.
        rows: float32 [C, R], see `Head.identity_rows`.
    """

    keys: np.ndarray
    rows: np.ndarray


def write(path: str, head: Head, identities: Sequence[str]) -> None:
    """Writes what a head holds of each identity, or nothing for a head that holds nothing.

    Args:
        path: of the file, on this machine.
        head: after training.
        identities: names, in the order of their labels.
    """
    rows = head.identity_rows()
    if rows is None:
        return
    table = np.zeros(len(rows), np.dtype([(_KEY, "<u8"), (_ROW, "<f4", rows.shape[1:])]))
    table[_KEY], table[_ROW] = _keys(identities), rows
    with storage.new_file(path, sync=False) as sink:
        np.lib.format.write_array(sink, table, version=(1, 0), allow_pickle=False)


def read(path: str) -> Centers:
    """Reads the file of a model.

    Args:
        path: of the file, or its URL.

    Raises:
        ParameterError: it is absent or damaged.
    """
    try:
        with storage.open_file(path) as stream:
            table = np.lib.format.read_array(stream, allow_pickle=False)
        keys, rows = table[_KEY], table[_ROW]
        if rows.ndim != 2 or rows.dtype != np.float32 or not np.isfinite(rows).all():
            raise ValueError("its rows are no finite numbers")
    except (FileNotFoundError, NotADirectoryError):
        raise _unusable(f"there is no {path}, which only heads of identities leave") from None
    except (ValueError, IndexError, EOFError) as error:
        raise _unusable(f"{path} is damaged ({str(error).splitlines()[0][:100]})") from None
    return Centers(keys, rows)


def carry(head: Head, identities: Sequence[str], there: Centers) -> None:
    """Gives a new head what another one holds of each identity; that of others stays random.

    Args:
        head: built, for `identities`.
        identities: names, in the order of their labels.
        there: what the other head holds, of these identities or some of them.

    Raises:
        ParameterError: the heads differ, or an identity of the other one is missing here.
    """
    rows = head.identity_rows()
    if rows is None:
        raise _unusable("the head of this run has no centers of identities")
    if rows.shape[1] != there.rows.shape[1]:
        raise _unusable(
            f"that head has {there.rows.shape[1]:,} numbers for each identity, and this one "
            f"{rows.shape[1]:,}",
            "take the `head` of that model and its `sub_centers`, or leave it out",
        )
    keys = _keys(identities)
    missing = int((~np.isin(there.keys, keys)).sum())
    if missing:
        raise _unusable(
            f"{missing:,} of the {len(there.keys):,} identities of that head are not in the train "
            "split",
            "add them to the dataset, or leave it out",
        )
    order = np.argsort(keys, kind="stable")
    rows[order[np.searchsorted(keys[order], there.keys)]] = there.rows
    head.set_identity_rows(rows)
    print(
        f"the head keeps its {len(there.keys):,} identities and has {len(keys) - len(there.keys):,}"
        " new ones",
        file=sys.stderr,
    )


def _unusable(but: str, do: str = "leave it out") -> ParameterError:
    return ParameterError(
        "init_head",
        True,
        must="go with a model whose head has centers of identities, all of them in the dataset",
        but=but,
        do=do,
    )


def _keys(identities: Sequence[str]) -> np.ndarray:
    """uint64 [N]; names count as they are, not folded, since each has a center of its own."""
    return np.array([keyed_hash(0, "head", name) for name in identities], "<u8")
