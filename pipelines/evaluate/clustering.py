"""How well the people that `facemill cluster` found agree with true identities."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from facemill.model.metrics import clustering
from facemill.model.metrics.intervals import by_cluster
from facemill.pipelines.common.report import figures, page, tables
from facemill.pipelines.evaluate import cautions, pictures
from facemill.pipelines.evaluate.evaluated import Evaluated, Given, refuse_missing
from facemill.pipelines.evaluate.options import ERROR
from facemill.pipelines.evaluate.report import failures_text, percent, warnings
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.scoring.embeddings import ID, EmbeddingSet
from facemill.transforms.search.read_clusters import read_clusters

_SHOWN = 12
_FACES = 4


def evaluate(given: Given) -> Evaluated:
    """The figures of a clustering of the embeddings.

    Raises:
        UsageError: there is no such clustering, no image names an identity, or images are missing.
        RunError: the embeddings are not what their manifest says.
    """
    options = given.options
    clusters = options.clusters or ""
    people, made = read_clusters(clusters, "clusters", given.manifest["model_id"])
    given.inputs["clusters"] = storage.absolute(clusters, "clusters")
    truth, unnamed = _identities(given)
    if options.missing == ERROR:
        where = given.inputs["clusters"]
        refuse_missing(list(truth), people, where, "embeddings", "have a cluster")
    ids, identities = list(truth), list(truth.values())
    # An image that was not clustered stands alone. No name of a cluster is a tuple.
    found = [people.get(one, ("alone", one)) for one in ids]
    failed = sum(one not in people for one in ids)
    known = given.trained(sorted(set(identities)))
    precision, recall, sizes = clustering.bcubed_by_identity(identities, found)
    results = {
        "model_id": given.manifest["model_id"],
        "protocol": "clustering",
        "images": len(ids),
        "identities": len(set(identities)),
        "clusters": len(set(found)),
        "without_identity": unnamed,
        "failure_to_acquire": {"images": len(ids), "failed": failed, "rate": failed / len(ids)},
        "trained_on": known,
        "warnings": cautions.of_training(known),
        "pairwise": clustering.pairwise(identities, found).as_json(),
        "bcubed": {
            **clustering.bcubed(identities, found).as_json(),
            "precision_by_identity_95": _edges(by_cluster(precision, sizes)),
            "recall_by_identity_95": _edges(by_cluster(recall, sizes)),
        },
    }
    settings = {
        "protocol": "clustering",
        "missing": options.missing,
        "embeddings_fingerprint": given.fingerprint,
        "clusters_fingerprint": artifact.fingerprint(made),
    }
    counts = {"listed": len(ids), "missing": failed}
    metrics = {f"{name}_f1": results[name]["f1"] for name in ("pairwise", "bcubed")}
    text = _page(given, results, ids, identities, found)
    return Evaluated(settings, results, text, counts, metrics, _rows(results))


def _identities(given: Given) -> tuple[dict[str, str], int]:
    """The identity of each image that names one, in the order of their names; how many do not."""
    whole = EmbeddingSet.of(given.path, given.manifest)
    whole.check_files()
    truth: dict[str, str] = {}
    unnamed = 0
    for table in whole.tables(whole.all_slices(), (ID, "identity")):
        rows = zip(table[ID].to_pylist(), table["identity"].to_pylist(), strict=True)
        for image, who in rows:
            if who:
                truth[image] = who
            else:
                unnamed += 1
    if not truth:
        raise UsageError(
            f"--embeddings must have images that name their identities, but none of {unnamed:,} in "
            f"{given.path} does; score a folder for each identity."
        )
    return dict(sorted(truth.items())), unnamed


def _edges(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name in ("pairwise", "bcubed"):
        one = results[name]
        shown = f"precision {percent(one['precision'])}, recall {percent(one['recall'])}"
        rows.append((f"{_TITLES[name]} F1", f"{percent(one['f1'])} ({shown})"))
    for what in ("precision", "recall"):
        interval = results["bcubed"][f"{what}_by_identity_95"]
        if interval:
            rows.append((f"BCubed {what}", f"{_span(interval)}, 95 % over identities"))
    rows.append(("images", f"{results['images']:,} of {results['identities']:,} identities"))
    rows.append(("clusters", f"{results['clusters']:,}"))
    if results["without_identity"]:
        rows.append(("not compared", f"{results['without_identity']:,} images without identity"))
    if results["failure_to_acquire"]["failed"]:
        rows.append(("not clustered", failures_text(results)))
    return rows


_TITLES = {"pairwise": "pairwise", "bcubed": "BCubed"}


def _span(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:.2f} to {percent(interval[1])}"


def _page(
    given: Given,
    results: Mapping[str, Any],
    ids: Sequence[str],
    identities: Sequence[str],
    found: Sequence[Any],
) -> str:
    cards = []
    for name, title in _TITLES.items():
        one = results[name]
        note = f"precision {percent(one['precision'])}, recall {percent(one['recall'])}"
        cards.append(figures.Card(f"{title} F1".capitalize(), percent(one["f1"]), note))
    for what in ("precision", "recall"):
        interval = results["bcubed"][f"{what}_by_identity_95"]
        if interval:
            share = percent(results["bcubed"][what])
            note = f"{_span(interval)}, 95 % over identities"
            cards.append(figures.Card(f"BCubed {what}", share, note))
    mixed = _mixed(found, identities)
    split = _mixed(identities, found)
    first: dict[tuple[Any, str], str] = {}
    for image, who, group in zip(ids, identities, found, strict=True):
        first.setdefault((group, who), image)
    rows = [
        pictures.Row(
            ([first[group, who] for who in inside] + [""] * _FACES)[:_FACES],
            f"{len(inside):,} identities in cluster {group}",
        )
        for group, inside in mixed
    ]
    shown = {image for row in rows for image in row.images if image}
    faces = pictures.faces_of(given.path, given.manifest, shown)
    blocks = pictures.side_by_side(
        "Clusters of the most identities, an image of each",
        [f"identity {number}" for number in range(1, _FACES + 1)],
        rows,
        faces,
    )
    note = f"{results['images']:,} images of {results['identities']:,} identities in "
    note += f"{results['clusters']:,} clusters."
    if results["failure_to_acquire"]["failed"]:
        note += f" {failures_text(results)} are in no cluster and count as alone."
    cells: list[Sequence[tables.Cell]] = [(who, len(groups)) for who, groups in split]
    columns: list[tables.Column | str] = ["identity", tables.Column("clusters", True)]
    sections = [
        *warnings(results),
        page.Section("Result", [figures.cards(cards)], note),
        page.Section("Different people together", blocks if rows else ["There are none."]),
        page.Section(
            "One person apart", [tables.table(columns, cells)] if cells else ["There is none."]
        ),
    ]
    return page.render("Clustering", sections, f"model {results['model_id'][:12]}")


def _mixed(outer: Sequence[Any], inner: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """Those outer groups that hold images of several inner ones, with these, the most first."""
    counts: dict[Any, Counter] = {}
    for one, other in zip(outer, inner, strict=True):
        counts.setdefault(one, Counter())[other] += 1
    several = [(one, inside) for one, inside in counts.items() if len(inside) > 1]
    several.sort(key=lambda row: (-len(row[1]), -row[1].total(), str(row[0])))
    return [
        (one, sorted(inside, key=lambda name: (-inside[name], str(name))))
        for one, inside in several[:_SHOWN]
    ]
