"""What an ingest run reports of the held-out set, with which the dataset shares nothing."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from facemill.pipelines.ingest.framings import Framings
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import HELD_OUT_IMAGE, ReasonCode
from facemill.transforms.core.text import first_counted
from facemill.transforms.dataset import write_results
from facemill.transforms.dataset.writing import Work

# Receipts that the graph writes of it.
HELD_OUT_COUNTS = "held_out.json"
NAMED = "named.json"
OVERLAP = "overlap.json"

# At most so many reasons are in a manifest.
_REASONS = 20


@dataclass(frozen=True)
class HeldOut:
    """How the input was compared with the held-out set, and what they share.

    Attributes:
        listed: images of the set.
        usable: of these, how many could be compared with the input by their pixels.
        by_pixels: of the others, how many were compared by equal pixels alone.
        reasons: the most frequent reasons why others are not usable, to their number.
        identities: how many identities the set has, by images usable or not.
        dropped_identity: images of the input that were dropped because the set has their identity.
        dropped_photo: images of the input that were dropped because the set has the same photo.
        fingerprint: hex; the same for the same set of (image_id, SHA-256 of file).
        ignored: files of the set that were never meant as images, which `listed` does not count.
        framings: how its photos are framed, and those of the input, where both are known.
    """

    listed: int
    usable: int
    by_pixels: int
    reasons: dict[str, int]
    identities: int
    dropped_identity: int
    dropped_photo: int
    fingerprint: str
    ignored: int = 0
    framings: Framings | None = None

    @property
    def unusable(self) -> int:
        """How many images of the set are not usable."""
        return self.listed - self.usable

    def to_manifest(self) -> dict[str, Any]:
        """The figures as the manifest has them."""
        return {
            "listed": self.listed,
            "ignored": self.ignored,
            "usable": self.usable,
            "unusable": self.unusable,
            "by_pixels": self.by_pixels,
            "reasons": self.reasons,
            "identities": self.identities,
            "dropped": {"identity": self.dropped_identity, "picture": self.dropped_photo},
            "fingerprint": self.fingerprint,
        }

    @property
    def words(self) -> list[str]:
        """The figures in a few lines of text."""
        compared = f"{self.usable:,} of {self.listed:,} images of the held-out set were compared"
        if self.unusable:
            exact = f"{self.by_pixels:,} of the others by equal pixels alone" * bool(self.by_pixels)
            compared = (
                ", ".join(filter(None, [compared, exact])) + f" ({first_counted(self.reasons)})"
            )
        if self.ignored:
            compared += f"; {self.ignored:,} files in it were ignored"
        found = (
            f"identities that it names: {self.identities:,}; images that were dropped by "
            f"identity: {self.dropped_identity:,}, by photo: {self.dropped_photo:,}"
        )
        differs = self.framings and self.framings.words
        return [compared, found, *([differs] if differs else [])]


def read_held_out(work: Work, dropped: Counter[str]) -> HeldOut:
    """Reads the figures of the held-out set.

    Args:
        work: the run.
        dropped: reason codes of the input's images to their number.

    Raises:
        RunError: no image of the set is usable.
    """
    (counts,) = write_results.read(work.path(HELD_OUT_COUNTS))
    (named,) = write_results.read(work.path(NAMED))
    reasons = sorted(counts["reasons"].items(), key=lambda entry: (-entry[1], entry[0]))
    found = HeldOut(
        listed=counts["listed"],
        usable=counts["usable"],
        by_pixels=counts["by_pixels"],
        reasons=dict(reasons[:_REASONS]),
        identities=named["identities"],
        dropped_identity=dropped[ReasonCode.HELD_OUT_IDENTITY.value],
        dropped_photo=sum(dropped[code.value] for code in HELD_OUT_IMAGE),
        fingerprint=counts["fingerprint"],
        ignored=counts.get("ignored", 0),
    )
    if found.usable == 0:
        files = {"files that were never meant as images": found.ignored} if found.ignored else {}
        causes = first_counted(found.reasons or files)
        why = f" ({causes})" if causes else ""
        raise RunError(
            "--exclude-dataset must hold images that the input can be compared with, but none of "
            f"its {found.listed:,} can be used{why}; check its path and what it holds."
        )
    return found


def check_base_apart(work: Work) -> None:
    """Refuses a held-out set with which records of the base share a photo or an identity.

    A new version keeps all records of its base, so they cannot be dropped.

    Raises:
        RunError: they share something.
    """
    (named,), (overlap,) = (write_results.read(work.path(name)) for name in (NAMED, OVERLAP))
    if named["records"] or overlap["records"]:
        names = ", ".join(overlap["examples"])
        example = f", {names} among them" if names else ""
        raise RunError(
            "--append-to must share nothing with --exclude-dataset, since a version keeps all "
            f"records of the one before, but {named['records']:,} of its records show an identity "
            f"of the held-out set and {overlap['records']:,} a photo of it{example}; ingest the "
            "whole collection anew."
        )
