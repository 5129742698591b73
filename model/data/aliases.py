"""What an identity of one of several datasets is called in a training on all of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from facemill.model.recipes.choices import SEPARATE
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason
from facemill.transforms.dataset.identity_names import normal_form
from facemill.transforms.sources import tables

_COLUMNS = ("dataset", "identity", "name")


@dataclass(frozen=True)
class Names:
    """Names of identities across datasets; two that have one name are one identity.

    Attributes:
        how: MERGE, where one name in two datasets is one identity, or SEPARATE, where it is two.
        aliases: names by number of the dataset, from 0 on, and identity. They go first, and join
            identities whatever `how` is.
    """

    how: str
    aliases: Mapping[tuple[int, str], str] = field(default_factory=dict)

    def name(self, number: int, identity: str) -> str:
        """The name of an identity.

        Args:
            number: of the dataset, from 0 on.
            identity: as the dataset has it.
        """
        alias = self.aliases.get((number, identity))
        if alias is not None:
            return alias
        return in_dataset(number, identity) if self.how == SEPARATE else identity


def in_dataset(number: int, text: str) -> str:
    """A text that belongs to one dataset: `2/text` of the second, whose number is 1."""
    return f"{number + 1}/{text}"


def read_aliases(path: str, datasets: Sequence[str]) -> dict[tuple[int, str], str]:
    """The table of aliases in a file: columns dataset, identity and name, one identity in a row.

    Args:
        path: of the file: CSV, TSV, JSONL or Parquet.
        datasets: as they were given. The column has one of them, or its position from 1 on.

    Returns:
        The name by number of the dataset, from 0 on, and identity, both in their normal form.

    Raises:
        ParameterError: the file cannot be read, lacks a column or has a row that cannot be used.
    """
    places = {str(number): number - 1 for number in range(1, len(datasets) + 1)}
    # A path goes before a position, where a dataset is called 1.
    places |= {_plain(given): number for number, given in enumerate(datasets)}
    found: dict[tuple[int, str], str] = {}
    for position, row in _rows(path):
        dataset, identity, name = (str(row[column]).strip() for column in _COLUMNS)
        number = places.get(_plain(dataset))
        if number is None:
            raise _refused(
                path,
                "name datasets of this run by path or position",
                f"{position} of {path} names {dataset!r}",
            )
        key = number, normal_form(identity)
        named = normal_form(name)
        if key[1] is None or named is None:
            raise _refused(path, "name somebody in each row", f"{position} of {path} does not")
        if found.setdefault((number, key[1]), named) != named:
            raise _refused(
                path,
                "give an identity one name",
                f"{position} of {path} calls {identity!r} of {dataset} {named!r}, and an "
                f"earlier row {found[number, key[1]]!r}",
            )
    if not found:
        raise _refused(path, "hold a row for each alias", f"{path} holds none")
    return found


def _rows(path: str) -> list[tuple[str, tables.Row]]:
    try:
        columns = tables.columns(path)
        rows = list(tables.rows(path))
    except (tables.TableError, OSError) as error:
        raise _refused(path, "be a table", f"{path} cannot be read ({error})") from None
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise _refused(
            path, f"have the columns {', '.join(_COLUMNS)}", f"{path} lacks {' and '.join(missing)}"
        )
    found = []
    for position, row in rows:
        if isinstance(row, Reason):
            raise _refused(path, "have rows that can be read", f"{position} of {path} {row}")
        empty = [name for name in _COLUMNS if row.get(name) is None]
        if empty:
            raise _refused(path, "fill each row", f"{position} of {path} has no {empty[0]}")
        found.append((position, row))
    return found


def _refused(path: str, must: str, but: str) -> ParameterError:
    return ParameterError("aliases", path, must=must, but=but, do="correct it")


def _plain(path: str) -> str:
    """A path or URL without a slash at its end."""
    return path.rstrip("/" + os.sep)
