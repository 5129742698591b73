"""Tables of the training report: validation sets, exported files."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemill.pipelines.common.report import tables
from facemill.pipelines.common.report.markup import Markup

VALIDATION_NOTE = (
    "Accuracies are at the threshold that suits the pairs best, so they are optimistic; in "
    "brackets the interval of 95 %. Nothing was chosen by sets other than val."
)
EXPORTS_NOTE = (
    "Differences are from the trained network, on the images of the val pairs (or of the train "
    "split): the largest of a component of vectors of length 1, and the least cosine. The CPU time "
    "of each is in run.json, since no two runs have the same."
)


def validation(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """A row for each set of pairs.

    Args:
        rows: `validation` of the manifest.
    """
    columns: list[tables.Column | str] = [
        *("set", tables.Column("pairs", True), "accuracy", "equal error rate"),
        *("TAR at FMR", "ten folds", "identities trained on"),
    ]
    return tables.table(columns, [_cells(row) for row in rows])


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same for a terminal."""
    found = []
    for row in rows:
        name, _, accuracy, rate, tar, folds, shared = _cells(row)
        found.append(f"{name}: accuracy {accuracy}, equal error rate {rate}")
        found[-1] += f", TAR {tar}" if tar else ""
        found[-1] += f", as insightface {folds}" if folds else ""
        if row["kind"] != "val":
            found[-1] += f"; identities trained on: {shared}"
    return found


def exports(table: Mapping[str, Any], sizes: Mapping[str, int]) -> Markup:
    """A row for each file.

    Args:
        table: `exports` of the manifest.
        sizes: bytes by format.
    """
    columns: list[tables.Column | str] = [
        *("format", "file", tables.Column("MB", True), tables.Column("difference", True)),
        *(tables.Column("least cosine", True), tables.Column("val pairs", True), ""),
    ]
    before = table.get("accuracy")
    rows: list[list[tables.Cell]] = [
        ["the network", "", "", "", "", _percent(before), "before export"]
    ]
    for entry in table["formats"]:
        largest = entry["largest_difference"]
        rows.append(
            [
                *(entry["format"], entry["file"], f"{sizes[entry['format']] / 1e6:.2g}"),
                "not finite" if largest is None else f"{largest:.1e}",
                f"{entry['least_cosine']:.6f}",
                _percent(entry.get("accuracy")),
                "" if entry["exact"] else "not the same: only where it is asked for",
            ]
        )
    return tables.table(columns, rows)


def _cells(row: Mapping[str, Any]) -> list[tables.Cell]:
    rates = [one for one in row["tar_at_fmr"] if one["supported"]][:1]
    tar = "".join(
        f"{_percent(one['tar'])} ({_range(one['tar_95'])}) at {one['far']:g}" for one in rates
    )
    folds = row.get("insightface")
    shared = row["shared_identities"]
    return [
        row["name"],
        row["genuine"] + row["impostor"],
        f"{_percent(row['accuracy'])} ({_range(row['accuracy_95'])})",
        _percent(row["equal_error_rate"]),
        tar,
        f"{_percent(folds['mean'])} ± {100 * folds['standard_deviation']:.2f}" if folds else "",
        "not known" if shared is None else f"{shared:,} of {row['identities']:,}",
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _range(limits: Sequence[float]) -> str:
    return f"{100 * limits[0]:.2f} to {100 * limits[1]:.2f}"
