"""What both ways of matching share: the artifact, and how an option names embeddings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from facemill.pipelines.common.partitions import output_of
from facemill.pipelines.match.options import MatchOptions
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset import writing
from facemill.transforms.dataset.writing import Work
from facemill.transforms.scoring.embeddings import EmbeddingSet, read_set

KIND = "matches"
REPORT = "report.html"


def needed(path: str | None, parameter: str) -> tuple[EmbeddingSet, dict[str, Any]]:
    """The embeddings that an option names, and their manifest.

    Raises:
        UsageError: the option is not given, or names no embeddings.
    """
    if path is None:
        raise ParameterError(
            parameter,
            path,
            must="name embeddings",
            got="none",
            do="give a directory that `facemill score` wrote",
        )
    return read_set(path, parameter)


@contextmanager
def begin(
    options: MatchOptions,
    wanted: Mapping[str, Any],
    inputs: Mapping[str, str],
    sets: tuple[EmbeddingSet, EmbeddingSet],
    here: bool = True,
) -> Iterator[Work | None]:
    """Opens the output, and checks the files of the embeddings.

    Yields None if the output is complete, and says so.

    Args:
        options: checked values.
        wanted: what changes the result.
        inputs: name to absolute path of what is read; `wanted` tells their content.
        sets: the embeddings of the first and of the second images; they may be one.
        here: whether no other machine takes part.

    Raises:
        UsageError: the output holds something else.
        RunError: embeddings differ from their manifest.
    """
    with writing.begin(
        output_of(options.output, options.partition),
        KIND,
        wanted,
        inputs,
        here=here,
        identified=list(inputs),
        replaces=options.partition is not None,
    ) as work:
        if work is None:
            print(f"{options.output} is already complete; remove it to match again.")
        else:
            for one in {each.path: each for each in sets}.values():
                one.check_files()
        yield work
