"""What an ingest run reports of names: listed ones that match nobody, and ones that are alike."""

import heapq
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from facemill.pipelines.ingest.selection import NameLists, flag_of
from facemill.transforms.dataset.identity_names import folded

# Names that a line shows, and pairs of names that are alike.
_SHOWN, _PAIRS = 5, 3


@dataclass(frozen=True)
class Alike:
    """Names that would match if case, accents and `_` for a space did not count.

    Attributes:
        count: how many of the compared names have such a counterpart.
        examples: the first few, each with its counterpart.
    """

    count: int = 0
    examples: tuple[tuple[str, str], ...] = ()

    def to_manifest(self) -> dict[str, Any]:
        """The figures as the manifest has them."""
        return {"count": self.count, "examples": [list(pair) for pair in self.examples]}

    @property
    def shown(self) -> str:
        """The examples in words."""
        pairs = [f"{one} and {other}" for one, other in self.examples]
        return ", ".join([*pairs, *(["..."] if self.count > len(pairs) else [])])


@dataclass(frozen=True)
class ListMatches:
    """How one list of identities matches the input.

    Attributes:
        option: that gave the list.
        names: how many names the list has.
        unmatched: how many of them no image of the input has.
        examples: the first few of these.
        alike: of these, the ones that differ from an identity of the input by case, accents or `_`.
    """

    option: str
    names: int
    unmatched: int
    examples: tuple[str, ...]
    alike: Alike

    def to_manifest(self) -> dict[str, Any]:
        """The figures as the manifest has them."""
        return {
            "option": self.option,
            "names": self.names,
            "unmatched": self.unmatched,
            "examples": list(self.examples),
            "alike": self.alike.to_manifest(),
        }

    @property
    def words(self) -> Iterator[str]:
        """The figures in a line, where a name is unmatched."""
        if not self.unmatched:
            return
        more = ["..."] if self.unmatched > len(self.examples) else []
        line = (
            f"{self.unmatched:,} of {self.names:,} names of {flag_of(self.option)} match nobody "
            f"({', '.join([*self.examples, *more])})"
        )
        if self.alike.count:
            line += (
                f"; {self.alike.count:,} of them differ from identities of the input only by case, "
                f"accents or _ ({self.alike.shown}): if they are the same people, ingest with "
                "--match-names folded"
            )
        yield line


@dataclass(frozen=True)
class NameMatches:
    """How the lists and the held-out set match the identities of the input.

    Attributes:
        lists: of each list.
        held_out: identities of the input that differ from ones of the held-out set only by case,
            accents or `_`, and were not dropped for it; None without a held-out set.
    """

    lists: tuple[ListMatches, ...] = ()
    held_out: Alike | None = None

    def to_manifest(self) -> dict[str, Any]:
        """The figures as the manifest has them."""
        return {
            "lists": [one.to_manifest() for one in self.lists],
            "held_out": self.held_out and self.held_out.to_manifest(),
        }

    @property
    def words(self) -> list[str]:
        """What a person should look at, a line each."""
        lines = [line for one in self.lists for line in one.words]
        if self.held_out is not None and self.held_out.count:
            lines.append(
                f"{self.held_out.count:,} identities of the input differ from ones of the held-out "
                f"set only by case, accents or _ ({self.held_out.shown}) and were not dropped for "
                "their names: if they are the same people, ingest with --match-names folded"
            )
        return lines


def match_names(
    identities: AbstractSet[str], lists: NameLists, held_out: AbstractSet[str] | None
) -> NameMatches:
    """Compares the names of lists and of a held-out set with the identities of the input.

    Args:
        identities: of all images of the input, in the form that the run compares.
        lists: of the run.
        held_out: identities of the held-out set, or None without one.
    """
    named = list(lists.named)
    by_folded = _by_folded(identities) if named or held_out else {}
    return NameMatches(
        tuple(_list_matches(option, names, identities, by_folded) for option, names in named),
        None if held_out is None else _alike(identities - held_out, _by_folded(held_out)),
    )


def _list_matches(
    option: str,
    names: Collection[str],
    identities: AbstractSet[str],
    by_folded: dict[str, str],
) -> ListMatches:
    unmatched = sorted(name for name in names if name not in identities)
    alike = _alike(unmatched, by_folded)
    return ListMatches(option, len(names), len(unmatched), tuple(unmatched[:_SHOWN]), alike)


def _by_folded(names: Iterable[str]) -> dict[str, str]:
    """The alphabetically first name of each folded form."""
    found: dict[str, str] = {}
    for name in names:
        form = folded(name)
        if form is not None:
            found[form] = min(name, found.get(form, name))
    return found


def _alike(names: Iterable[str], by_folded: dict[str, str]) -> Alike:
    pairs = [
        (name, by_folded[form]) for name in names if (form := folded(name)) and form in by_folded
    ]
    return Alike(len(pairs), tuple(heapq.nsmallest(_PAIRS, pairs)))
