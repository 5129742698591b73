"""Options of the commands that search in embeddings."""

import dataclasses
import re

from facemill.pipelines.common.job_options import workers_option
from facemill.pipelines.common.options import CheckedOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_LEAST = 64 * 10**6


def parse_bytes(text: str) -> int:
    """A number of bytes, such as 1000000000, 500MB or 1GiB.

    Raises:
        UsageError: it is no such number, or too small.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _UNITS or float(found[1]) * _UNITS[found[2]] < _LEAST:
        raise UsageError(
            f"--memory must be 64MB or more, as bytes or with a unit, got {text!r}; write 1GB, say."
        )
    return int(float(found[1]) * _UNITS[found[2]])


@dataclasses.dataclass(frozen=True)
class SearchOptions(CheckedOptions):
    """How embeddings are compared. Each field has a default, see `SourceOptions`."""

    threshold: float | None = option(
        None,
        least=-1,
        most=1,
        help="least cosine similarity of two faces of one person",
    )
    fmr: float | None = option(
        None,
        above=0,
        most=1,
        instead_of="threshold",
        help="take the threshold at this false match rate from the model's manifest",
    )
    model: str | None = option(
        None, help="model whose thresholds --fmr takes; by default where scoring found it"
    )
    memory: int = option(
        parse=parse_bytes,
        written="1GB",
        metavar="BYTES",
        help="memory of a worker process, in bytes or as 500MB or 2GB; the gallery is divided into "
        "shards that fit; never changes a byte of the result",
    )
    workers: int = workers_option("threads that search")
