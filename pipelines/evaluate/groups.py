"""Error rates by group: how they are found for a list of pairs, and how they are shown."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from facemill.model.metrics.group_rates import group_rates
from facemill.model.metrics.verification import supports
from facemill.model.protocols.groups import Groups, parse_groups
from facemill.model.protocols.lfw import PairList
from facemill.pipelines.common.report import page, tables
from facemill.pipelines.common.report.markup import Markup
from facemill.pipelines.evaluate.evaluated import Given
from facemill.transforms.core.errors import UsageError


def read(given: Given) -> tuple[Groups | None, str | None]:
    """The groups that the options give, and the hex SHA-256 of their file."""
    if given.options.groups is None:
        return None, None
    text, digest = given.read_text("groups", "--groups", given.options.groups)
    return parse_groups(text, given.inputs["groups"]), digest


def rates(
    groups: Groups,
    pairs: PairList,
    scores: np.ndarray,
    results: Mapping[str, Any],
    identity: Callable[[str], str],
) -> dict[str, Any]:
    """What `results.json` has of them, at one threshold: of the lowest FAR that two groups support.

    Args:
        groups: of the images.
        pairs: the evaluated list.
        scores: float64 [N]; -inf where an embedding is missing.
        results: the figures of all pairs.
        identity: of an image; "" where it is not known.

    Raises:
        UsageError: no pair is within a group, or all pairs support no threshold.
    """
    found = [row for row in results["tar_at_far"] if row["supported"] and row["threshold"]]
    if not found:
        raise UsageError(
            "--groups must go with pairs that support a threshold, but "
            f"{results['pairs']['impostor']:,} impostor pairs support none; give more pairs."
        )
    of_pairs = [groups.of_pair(pair) for pair in pairs.pairs]
    if not any(of_pairs):
        raise UsageError(
            f"--groups must put both images of some pairs into one group, but did so for none of "
            f"{len(of_pairs):,}; name images or identities as the list of pairs does."
        )
    sizes = Counter(
        group for group, pair in zip(of_pairs, pairs.pairs, strict=True) if not pair.genuine
    )
    sizes.pop(None, None)
    second = sorted(sizes.values(), reverse=True)[1] if len(sizes) > 1 else 0
    # Where no two groups support a rate, the gap of FMR is left out.
    chosen = [row for row in found if supports(second, row["far"])] or found
    far, threshold = chosen[-1]["far"], chosen[-1]["threshold"]
    clusters = [identity(pair.left) or pair.left for pair in pairs.pairs]
    figures = group_rates(scores, pairs.genuine, of_pairs, clusters, threshold, far)
    return {"threshold": threshold, "overall_far": far, **figures}


def rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of the short table that the command ends with."""
    found = results["groups"]
    if found is None:
        return []
    return [
        (f"{name} by group", _gap(found["gaps"][rate]))
        for rate, name in _named(results)
        if found["gaps"][rate] is not None
    ]


def section(results: Mapping[str, Any]) -> list[page.Section]:
    """The section of the report; none without groups."""
    found = results.get("groups")
    if found is None:
        return []
    (_, non_match), (_, match) = _named(results)
    cells: list[Sequence[tables.Cell]] = [
        (
            row["group"],
            row["genuine"],
            _percent(row["fnmr"]),
            _span(row["fnmr_95"]),
            row["impostor"],
            _percent(row["fmr"]),
            _span(row["fmr_95"]),
        )
        for row in found["groups"]
    ]
    titles = ("genuine pairs", non_match, "95 %", "impostor pairs", match, "95 %")
    columns: list[tables.Column | str] = [
        "group",
        *(tables.Column(title, True) for title in titles),
    ]
    blocks: list[Markup | str] = [tables.table(columns, cells)]
    blocks += [f"{name}: {text}." for name, text in rows(results)]
    note = (
        f"At the threshold {found['threshold']:.4f}, where {match} of all pairs is at most "
        f"{found['overall_far']:g}; intervals over identities. {found['pairs_outside']:,} pairs "
        f"are of two groups or of none. A group without a {match} has too few impostor pairs."
    )
    return [page.Section("Groups", blocks, note)]


def _named(results: Mapping[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    match, non_match = results["rates"]
    return ("fnmr", non_match), ("fmr", match)


def _gap(gap: Mapping[str, Any]) -> str:
    edges = gap["interval_95"]
    span = "" if edges is None else f" ({100 * edges[0]:.2f} to {100 * edges[1]:.2f})"
    return (
        f"gap of {100 * gap['difference']:.2f} points{span} from {gap['lowest']} to "
        f"{gap['highest']}"
    )


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.2f} %"


def _span(edges: Sequence[float] | None) -> str:
    return "" if edges is None else f"{100 * edges[0]:.2f} to {100 * edges[1]:.2f} %"
