"""The first screen of an ingest report: is the dataset fit for training, and what to do next."""

from collections.abc import Iterator, Sequence

from facemill.model.recipes.recipe import Recipe
from facemill.pipelines.common.guesses import sentence
from facemill.pipelines.common.report import answer, figures, images, page
from facemill.pipelines.common.report.answer import Command, Finding
from facemill.pipelines.ingest.checks import Checked
from facemill.pipelines.ingest.held_out import HeldOut
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.report_groups import plural
from facemill.transforms.core.text import first_counted
from facemill.transforms.dataset.outcomes import CONFLICT, IGNORED, KEPT, REJECTED
from facemill.transforms.dataset.split_names import SPLITS

# Share of rejected images above which a person should look at the reasons.
_MANY_REJECTED = 0.05
# Levels of --dedup that search for no duplicates, and for equal pixels alone.
_OFF, _EXACT = "off", "exact"
_BY_IMAGE = "image"
_NAMES = (
    "DATASET is the folder of this page; MODEL, PHOTOS and the other names in capitals are yours. "
    "Further runs of ingest take the flags of this one, and a new --output."
)


def section(
    checked: Checked, options: IngestOptions, samples: Sequence[images.Thumbnail]
) -> page.Section:
    """The section that answers "Can I train on this?".

    Args:
        checked: figures of the run.
        options: of the run.
        samples: a row of kept images.
    """
    found = list(_findings(checked, options))
    level = answer.worst(found)
    marked = sum(one.level == "check" for one in found)
    sentence = {
        "good": "Yes.",
        "check": f"Yes, after a look at what is marked “check” ({marked}).",
        "stop": f"Not yet. {next((one.text for one in found if one.level == 'stop'), '')}",
    }[level]
    blocks = [
        answer.verdict(level, sentence),
        figures.cards(_cards(checked)),
        *([images.strip(samples)] if samples else []),
        answer.columns(
            [
                ("What was checked", answer.findings(found)),
                ("What to do next", answer.commands(list(_next(checked, options)), _NAMES)),
            ]
        ),
    ]
    return page.Section("Can I train on this?", blocks)


def between_splits(checked: Checked, options: IngestOptions) -> Iterator[Finding]:
    """Which identities and images train, val and test share."""
    shared = checked.in_two_splits
    if options.split_by == _BY_IMAGE:
        yield Finding(
            "check",
            f"{plural(shared, 'identity is', 'identities are')} in more than one split, as "
            "--split-by image asks: right for a closed set of people, but test results say "
            "nothing of people who are not in it.",
        )
    elif shared:
        yield Finding(
            "check", f"{plural(shared, 'identity is', 'identities are')} in more than one split."
        )
    else:
        yield Finding("good", "No identity is in more than one of train, val and test.")
    if options.dedup == _OFF:
        yield Finding("open", "Copies of a photo were not looked for: one may be in two splits.")
    elif options.dedup == _EXACT:
        yield Finding(
            "open",
            "No photo is in two splits with equal pixels; near duplicates were not looked for.",
        )
    else:
        yield Finding(
            "good",
            "No photo is in two splits: at most one of each group of copies that was found is "
            "kept.",
        )


def held_out(found: HeldOut | None) -> Finding:
    """What the dataset shares with the held-out set, if there is one."""
    if found is None:
        return Finding("open", "No held-out set was given, so nothing was compared with one.")
    dropped = found.dropped_identity + found.dropped_photo
    text = (
        "Nothing of the held-out set was found in what is kept: "
        f"{plural(dropped, 'image was', 'images were')} dropped, {found.dropped_identity:,} by "
        f"identity and {found.dropped_photo:,} by photo."
    )
    if found.unusable:
        unseen = f"{found.unusable:,} of its {found.listed:,} images could not be compared as"
        return Finding("check", f"{text} But {unseen} photos.")
    return Finding("good", text)


def framings(found: HeldOut | None) -> Iterator[Finding]:
    """That the held-out set is framed differently, where it is."""
    if found is not None and found.framings is not None and (text := found.framings.words):
        yield Finding("check", f"{text[0].upper()}{text[1:]}.")


def _cards(checked: Checked) -> list[figures.Card]:
    counts, splits = checked.counts, checked.splits
    cards = [
        figures.Card("Images kept", counts[KEPT], f"of {counts['listed']:,} listed"),
        figures.Card(
            "Identities with two or more", checked.of_two_in_all, "different images in the splits"
        ),
    ]
    for name in SPLITS:
        if name in splits:
            note = f"records of {plural(splits[name]['identities'], 'identity', 'identities')}"
            cards.append(figures.Card(name, splits[name]["records"], note))
    if checked.held_out is None:
        cards.append(figures.Card("Leakage", "not checked", "no held-out set was given"))
    else:
        dropped = checked.held_out.dropped_identity + checked.held_out.dropped_photo
        cards.append(figures.Card("Leakage", dropped, "images of a held-out set, all dropped"))
    return cards


def _findings(checked: Checked, options: IngestOptions) -> Iterator[Finding]:
    yield _train(checked)
    yield _val(checked)
    yield from between_splits(checked, options)
    yield held_out(checked.held_out)
    yield from framings(checked.held_out)
    for guess in checked.guesses:
        text = sentence(guess)
        yield Finding("check", f"{text[0].upper()}{text[1:]}.")
    yield from (Finding("check", f"{line}.") for line in checked.names.words)
    counts = checked.counts
    conflicts, rejected = counts[CONFLICT], counts[REJECTED]
    if conflicts:
        yield Finding(
            "check",
            f"{plural(conflicts, 'image shows', 'images show')} a photo that has two identities: "
            "other labels of these identities may be wrong too.",
        )
    elif options.dedup != _OFF:
        yield Finding("good", "No photo was found under two identities.")
    if checked.wide is not None:
        text = checked.wide.words
        yield Finding("check", f"{text[0].upper()}{text[1:]}")
    if words := contradictions(checked):
        yield Finding("check", words)
    for words in alike(checked):
        yield Finding("good", words)
    if rejected:
        share = rejected / (counts["listed"] - counts.get(IGNORED, 0))
        level: answer.Level = "check" if share > _MANY_REJECTED else "good"
        percent = f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"
        yield Finding(
            level, f"{plural(rejected, 'image was', 'images were')} rejected, {percent} of all."
        )
    else:
        yield Finding("good", "No image was rejected.")
    if ignored := counts.get(IGNORED, 0):
        yield Finding(
            "good",
            f"{plural(ignored, 'file was', 'files were')} ignored, never meant as an image by "
            "name; the reasons are below.",
        )


def contradictions(checked: Checked) -> str | None:
    """How many duplicates contradict the kept image, in a sentence; None if none does."""
    count = checked.contradictions["images"]
    if not count:
        return None
    most = sorted(checked.contradictions["attributes"].items(), key=lambda one: (-one[1], one[0]))
    return (
        f"{plural(count, 'duplicate has', 'duplicates have')} another value of an attribute than "
        f"the image that is kept ({first_counted(dict(most))}): one of the two is wrong; see the "
        "index's column contradicts."
    )


def alike(checked: Checked) -> Iterator[str]:
    """What the search for duplicates noted of images that it kept, in sentences."""
    if pairs := checked.alike.alike:
        yield (
            f"{plural(pairs, 'pair of photos is', 'pairs of photos are')} alike, as photos of one "
            "moment or one session are, and both photos were kept."
        )
    if images := checked.alike.cut_short:
        yield (
            f"{plural(images, 'image looks', 'images look')} like so many others that only the "
            "most similar of these were compared: same background?"
        )


def _train(checked: Checked) -> Finding:
    train, pairs = checked.splits["train"], checked.of_two.get("train", 0)
    if not checked.named:
        return Finding("stop", "No image has an identity, so there is nobody to train on.")
    if train["identities"] < 2:
        return Finding(
            "stop",
            "Training must have two identities or more, but the train split has "
            f"{train['identities']}.",
        )
    text = (
        f"The train split has {plural(train['identities'], 'identity', 'identities')}, "
        f"{pairs:,} of them with two images or more."
    )
    return Finding("good" if pairs > train["identities"] / 2 else "check", text)


def _val(checked: Checked) -> Finding:
    pairs = checked.of_two.get("val", 0)
    if pairs >= 2:
        return Finding(
            "good", f"{pairs:,} identities of val have the two images that validation pairs need."
        )
    return Finding(
        "check",
        "Training will run without validation: two val identities must have two images each, but "
        f"{plural(pairs, 'one has', 'have')}."
        if pairs
        else "Training will run without validation: no val identity has two images.",
    )


def _next(checked: Checked, options: IngestOptions) -> Iterator[Command]:
    train = checked.splits["train"]
    again = "facemill ingest --input PHOTOS --output NEW_DATASET"
    if not checked.named:
        yield Command("Name identities: by a folder for each, or by a column.")
    elif train["identities"] < 2:
        yield Command("Give training more identities.", f"{again} --split train=0.9,val=0.1")
    else:
        line = "facemill train --dataset DATASET --output MODEL"
        usual = Recipe().batch_size
        if train["records"] < usual:
            # The largest power of two that the split can fill.
            line += f" --batch-size {1 << (train['records'].bit_length() - 1)}"
        yield Command("Train a model.", line)
        if checked.of_two.get("val", 0) < 2 and options.split_by != _BY_IMAGE:
            yield Command("Give validation more identities.", f"{again} --split train=0.8,val=0.2")
    if checked.counts[CONFLICT] and options.on_conflict != "quarantine":
        yield Command(
            "Look at the conflicts below; to have their records written apart:",
            f"{again} --on-conflict quarantine",
        )
    if options.dedup in (_OFF, _EXACT):
        yield Command("Look for near duplicates too.", f"{again} --dedup near")
    if checked.held_out is None:
        yield Command(
            "Keep the benchmark that you will measure on apart from training.",
            f"{again} --exclude-dataset BENCHMARK",
        )
    else:
        yield Command(
            "Measure on the held-out set, which shares nothing with this dataset.",
            "facemill score --input HELD_OUT --model MODEL --output EMBEDDINGS",
        )
