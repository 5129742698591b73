"""Checks the files that an ingest run wrote, before its manifest is written."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.pipelines.ingest import wide_conflicts
from facemill.pipelines.ingest.attribute_counts import AttributeCounts
from facemill.pipelines.ingest.held_out import HeldOut, check_base_apart, read_held_out
from facemill.pipelines.ingest.name_matches import NameMatches
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.references import Base
from facemill.pipelines.ingest.report_data import COLUMNS, IndexSummary
from facemill.pipelines.ingest.selection import no_attribute
from facemill.pipelines.ingest.wide_conflicts import ConflictWidths, WideConflicts
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.text import first_counted
from facemill.transforms.dataset import artifact, write_results
from facemill.transforms.dataset.outcomes import DUPLICATE, IGNORED, KEPT, OUTCOMES, REJECTED
from facemill.transforms.dataset.parquet_parts import read_part
from facemill.transforms.dataset.split_names import FOLDERS, SPLITS
from facemill.transforms.dataset.writing import Work
from facemill.transforms.duplicates.notes import Notes
from facemill.transforms.scan.repeated_ids import check_names
from facemill.transforms.shards.index import INDEX as INDEX_FOLDER
from facemill.transforms.shards.index import ROW_IDS
from facemill.transforms.sources.guesses import Guess

LISTED = "listed.json"
PASSED_OVER = "passed_over.json"
REPEATED = "repeated.json"
INDEX = "index.json"

_COLUMNS = ["identity", "outcome", "reason", "reason_code", "split", "copies", "attributes"]
# Only of the rows of this run, since a base may be of an earlier version without it.
_CONTRADICTS = "contradicts"


@dataclass(frozen=True)
class Checked:
    """The figures of a run, checked against each other.

    Attributes:
        counts: `listed` and each outcome.
        splits: per split: identities, records, shards (paths).
        balance: `identity`: histograms of images before and of records after, count to number of
            identities; an attribute: images before and records after of each value.
        files: receipts of shards and index parts: path, bytes, sha256.
        source_fingerprint: hex; the same for the same set of (image_id, SHA-256 of file).
        held_out: the figures of the held-out set, or None.
        named: whether any image has an identity.
        identity_names: all identities of the dataset's images, kept or not, those of its base too.
        added: the part of `counts` that a new version added to its base, or None.
        passed_over: how many images of the input were skipped, since the base has images of the
            same image_ids; or None.
        of_two: per split, how many identities have two or more different images in it.
        of_two_in_all: how many have two or more in train, val and test together.
        in_two_splits: how many identities are in more than one of train, val and test.
        names: how the lists of identities and the held-out set match these identities.
        contradictions: `images`: how many duplicates of this run have another value of an attribute
            than the image that is kept, and `attributes`: how many by the attribute's name.
        guesses: what was guessed of the input.
        groups: images and kept images by the values of attributes, if no image has an identity.
        alike: what the search for duplicates noted of images that it kept.
        wide: the conflicts of this run that span many identities, or None.
    """

    counts: dict[str, int]
    splits: dict[str, dict[str, Any]]
    balance: dict[str, Any]
    files: list[dict[str, Any]]
    source_fingerprint: str
    held_out: HeldOut | None = None
    named: bool = True
    identity_names: AbstractSet[str] = frozenset()
    added: dict[str, int] | None = None
    passed_over: int | None = None
    of_two: dict[str, int] = field(default_factory=dict)
    of_two_in_all: int = 0
    in_two_splits: int = 0
    names: NameMatches = field(default_factory=NameMatches)
    contradictions: dict[str, Any] = field(default_factory=lambda: {"images": 0, "attributes": {}})
    guesses: Sequence[Guess] = ()
    groups: AttributeCounts = field(default_factory=AttributeCounts)
    alike: Notes = field(default_factory=Notes)
    wide: WideConflicts | None = None


def listed_so_far(work: Work) -> int | None:
    """How many images were listed, or None while the listing goes on."""
    found = write_results.read_if_written(os.path.join(work.scratch, LISTED))
    return found[0]["listed"] if found else None


def index_parts(work: Work, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The columns of each index part that the run wrote, and the row id of each row."""
    for part in write_results.read(work.path(INDEX)):
        path = part["path"].removeprefix(f"{INDEX_FOLDER}/")
        rows = read_part(work.files.path(part["path"]), columns)
        row_ids = read_part(
            storage.join(work.scratch, f"{INDEX_FOLDER}{ROW_IDS}/{path}"), ["row_id"]
        )
        yield rows.append_column("row_id", row_ids["row_id"])


def check(
    work: Work, options: IngestOptions, base: Base | None, summary: IndexSummary | None = None
) -> Checked:
    """Sums up the index and checks it against the listing and the shards.

    Args:
        work: the run.
        options: of the run.
        base: the dataset of which the run makes a new version, whose rows count too; or None.
        summary: gets the parts that the run wrote as they are read, which saves a second reading;
            or None.

    Raises:
        RunError: rows and listing differ, an image has two rows, too many were rejected,
            nothing is left to train on, or no image of the held-out set could be compared.
    """
    listed = write_results.read(work.path(LISTED))[0]["listed"]
    shards = write_results.read(work.path("shards.json"))
    parts = write_results.read(work.path(INDEX))
    passed_over = None
    if base is not None:
        passed_over = write_results.read(work.path(PASSED_OVER))[0]["passed_over"]
    if listed == 0:
        _refuse_nothing(passed_over)
    columns = {rule.column for rule in options.balance if rule.column}
    tally = _Tally(min(columns, default=None))
    if base is not None:
        listed += base.manifest["counts"]["listed"]
        for name in base.index:
            part = read_part(artifact.resolve(base.root, name), _COLUMNS)
            tally.add(part, is_new=False)
    codes, outcomes = tally.codes.copy(), tally.outcomes.copy()
    columns_of_both = dict.fromkeys(
        (*_COLUMNS, _CONTRADICTS, *wide_conflicts.COLUMNS, *(COLUMNS if summary else ()))
    )
    for rows in index_parts(work, list(columns_of_both)):
        tally.add(rows)
        if summary is not None:
            summary.add(rows)
    check_names(
        write_results.read(work.path(REPEATED)),
        work.files.folder,
        [part["path"] for part in parts],
        advice="give each image a name of its own",
    )
    counts = {"listed": listed, **{name: tally.outcomes[name] for name in OUTCOMES}}
    _check_accounts(counts, tally)
    added = None
    if base is not None:
        new = {name: tally.outcomes[name] - outcomes[name] for name in OUTCOMES}
        added = {"listed": sum(new.values()), **new}
    held_out = None
    if options.exclude_dataset is not None:
        held_out = read_held_out(work, tally.codes - codes)
        if base is not None:
            check_base_apart(work)
    splits = {
        name: _split(name, tally, shards, base)
        for name in FOLDERS
        if name in (*SPLITS, *tally.records)
    }
    _check_shards(splits, tally)
    _check_attribute(tally, options)
    _check_rejected(counts, tally, options, base)
    _check_outcomes(counts, tally, splits)
    together: Counter[str] = Counter()
    for name in SPLITS:
        together.update(tally.identities.get(name, Counter()))
    total = sum(int(part["fingerprint"], 16) for part in parts)
    if base is not None:
        total += int(base.manifest["source"]["fingerprint"], 16)
    total %= 1 << 256
    fingerprint = f"{total:064x}"
    return Checked(
        counts,
        splits,
        tally.balance,
        shards + parts,
        fingerprint,
        held_out,
        named=bool(tally.before),
        identity_names=tally.before.keys(),
        added=added,
        passed_over=passed_over,
        of_two={name: _of_two(counts) for name, counts in tally.identities.items()},
        of_two_in_all=_of_two(together),
        contradictions={
            "images": tally.contradicting,
            "attributes": dict(sorted(tally.contradicted.items())),
        },
        wide=tally.widths.widest(),
        groups=AttributeCounts() if tally.before else tally.groups,
        in_two_splits=sum(len(tally.identities.get(name, ())) for name in SPLITS) - len(together),
    )


@dataclass
class _Tally:
    """Sums over the index, one part in memory at a time.

    Attributes:
        column: the attribute by which the dataset is balanced, or None.
    """

    column: str | None = None
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    identities: dict[str, Counter[str]] = field(default_factory=dict)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    attributes: set[str] = field(default_factory=set)
    values_before: Counter[str] = field(default_factory=Counter)
    values_after: Counter[str] = field(default_factory=Counter)
    groups: AttributeCounts = field(default_factory=AttributeCounts)
    widths: ConflictWidths = field(default_factory=ConflictWidths)
    contradicting: int = 0
    contradicted: Counter[str] = field(default_factory=Counter)

    def add(self, part: pa.Table, is_new: bool = True) -> None:
        """Adds a part; only parts of this run (`is_new`) count for the share of rejected images."""
        self.rows += len(part)
        _count(self.outcomes, part["outcome"])
        excluded = pc.invert(pc.is_in(part["outcome"], pa.array([KEPT, DUPLICATE])))
        _count(self.reasons, part["reason"].filter(excluded))
        _count(self.codes, part["reason_code"])
        if is_new:
            _count(self.rejected, part["reason"].filter(pc.equal(part["outcome"], REJECTED)))
            self.widths.add(part)
            self.contradicting += len(part) - part[_CONTRADICTS].null_count
            _count(self.contradicted, pc.list_flatten(part[_CONTRADICTS]))
        _count(self.before, part["identity"])
        if not self.before:
            # Where any image has an identity, the identities are the groups.
            self.groups.add(part)
        for chunk in part["attributes"].chunks:
            self.attributes.update(chunk.keys.unique().to_pylist())
        written = part.filter(pc.is_valid(part["split"]))
        for split in written["split"].unique().to_pylist():
            some = written.filter(pc.equal(written["split"], split))
            # A quarantined image is written once, and its number of copies is null.
            self.records[split] += pc.sum(pc.fill_null(some["copies"], 1)).as_py()
            _count(self.identities.setdefault(split, Counter()), some["identity"])
        kept = part.filter(pc.equal(part["outcome"], KEPT))
        sums = kept.group_by("identity").aggregate([("copies", "sum")])
        for name, count in zip(
            sums["identity"].to_pylist(), sums["copies_sum"].to_pylist(), strict=True
        ):
            if name is not None:
                self.after[name] += count
        if self.column is not None:
            self._add_values(part, self.values_before, pa.array(np.ones(len(part), np.int64)))
            self._add_values(kept, self.values_after, kept["copies"].combine_chunks())

    def _add_values(self, rows: pa.Table, counter: Counter[str], weights: pa.Array) -> None:
        values = pc.map_lookup(rows["attributes"].combine_chunks(), self.column, "first")
        sums = pa.table({"value": values, "weight": weights}).group_by("value")
        for one in sums.aggregate([("weight", "sum")]).to_pylist():
            counter["" if one["value"] is None else one["value"]] += one["weight_sum"]

    @property
    def balance(self) -> dict[str, Any]:
        """Before and after balancing: how many identities have each number of images or records,
        and how many images or records each value of the attribute has ("" for no value)."""
        found: dict[str, Any] = {
            "identity": {"before": _histogram(self.before), "after": _histogram(self.after)}
        }
        if self.column is not None:
            found[self.column] = {
                "before": dict(sorted(self.values_before.items())),
                "after": dict(sorted(self.values_after.items())),
            }
        return found


def _count(counter: Counter[str], column: pa.ChunkedArray) -> None:
    for entry in column.value_counts().to_pylist():
        if entry["values"] is not None:
            counter[entry["values"]] += entry["counts"]


def _of_two(counts: Counter[str]) -> int:
    return sum(count > 1 for count in counts.values())


def _histogram(counter: Counter[str]) -> dict[str, int]:
    return {str(size): count for size, count in sorted(Counter(counter.values()).items())}


def _split(
    name: str, tally: _Tally, shards: list[dict[str, Any]], base: Base | None
) -> dict[str, Any]:
    mine = [shard for shard in shards if shard["path"].startswith(f"{name}/")]
    before = {} if base is None else base.manifest["splits"].get(name, {})
    return {
        "identities": len(tally.identities.get(name, ())),
        "records": sum(shard["records"] for shard in mine) + before.get("records", 0),
        "shards": sorted([shard["path"] for shard in mine] + before.get("shards", [])),
    }


def _check_accounts(counts: dict[str, int], tally: _Tally) -> None:
    if tally.rows != counts["listed"] or sum(counts[name] for name in OUTCOMES) != tally.rows:
        raise RunError(
            f"Every listed image must have one row, but {counts['listed']} were listed and "
            f"{tally.rows} have one; the input may have changed, so run the command again."
        )


def _refuse_nothing(passed_over: int | None) -> None:
    if passed_over is None:
        raise RunError("--input must hold images, but none was found in it; check the path.")
    why = f", since all its {passed_over:,} have image_ids of that dataset" if passed_over else ""
    raise RunError(
        f"--input must hold images that --append-to does not have, but none was found in it{why}; "
        "check the path, and give other images other names."
    )


def _check_shards(splits: dict[str, dict[str, Any]], tally: _Tally) -> None:
    for name, split in splits.items():
        if split["records"] != tally.records[name]:
            raise RunError(
                f"Every kept image must be in a shard, but the index has {tally.records[name]} "
                f"records of {name} and the shards {split['records']}; this is a fault of "
                "facemill, so please report it."
            )


def _check_attribute(tally: _Tally, options: IngestOptions) -> None:
    for rule in options.balance:
        if rule.column is not None and rule.column not in tally.attributes:
            raise RunError(no_attribute(rule.column, sorted(tally.attributes)))


def _check_rejected(
    counts: dict[str, int], tally: _Tally, options: IngestOptions, base: Base | None
) -> None:
    """Checks the share of rejected images of the input alone, without those of the base."""
    before = {} if base is None else base.manifest["counts"]
    rejected, listed, ignored = (
        counts[name] - before.get(name, 0) for name in (REJECTED, "listed", IGNORED)
    )
    listed -= ignored
    if rejected > options.max_rejected * listed:
        raise RunError(
            f"At most {options.max_rejected:.0%} of the images may be rejected, but "
            f"{rejected} of {listed} were ({_most_frequent(tally.rejected)}); mend the input or "
            "raise --max-rejected."
        )


def _most_frequent(reasons: Counter[str]) -> str:
    return first_counted(dict(reasons.most_common()))


def _check_outcomes(
    counts: dict[str, int], tally: _Tally, splits: dict[str, dict[str, Any]]
) -> None:
    if counts[KEPT] == 0:
        raise RunError(
            f"At least one image must be kept, but all {counts['listed']} were set aside "
            f"({_most_frequent(tally.reasons)}); mend the input or loosen the rules."
        )
    if splits["train"]["records"] == 0 and tally.before:
        raise RunError(
            f"The train split must not be empty, but its share of {len(tally.after)} identities "
            "is none; raise train in --split or change --seed."
        )
