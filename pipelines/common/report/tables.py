"""Tables with right-aligned numbers."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass

from facemill.pipelines.common.report.markup import Markup, fill

_TABLE = """<div class="scroll" tabindex="0" role="region" aria-label="{{ label }}"><table>
{% if caption %}
<caption>{{ caption }}</caption>
{% endif %}
<thead><tr>
{% for column in columns %}
<th scope="col"{{ column.attribute }}>{{ column.title }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>
{%- for attribute, cell in row %}
<td{{ attribute }}>{{ cell }}</td>
{%- endfor %}
</tr>
{% endfor %}
</tbody>
</table></div>"""
_NUMBER = Markup(' class="number"')


@dataclass(frozen=True)
class Column:
    """A column; `numeric` ones are right-aligned with digits of one width."""

    title: str
    numeric: bool = False

    @property
    def attribute(self) -> Markup:
        """The HTML attribute of its cells."""
        return _NUMBER if self.numeric else Markup("")


Cell = str | int | float | None


def table(
    columns: Sequence[Column | str], rows: Sequence[Sequence[Cell]], caption: str = ""
) -> Markup:
    """A table; wider than the page, it scrolls inside its own box.

    Args:
        columns: a plain `str` is a text column.
        rows: cells; integers get thousands separators, floats four significant digits, None
            is blank, text stands as it is (escaped).
        caption: a line above the table, or "".

    Raises:
        ValueError: a row has another number of cells than there are columns.
    """
    heads = [Column(column) if isinstance(column, str) else column for column in columns]
    shown = []
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"row must have {len(heads)} cells, got {len(row)}: {list(row)!r}")
        shown.append(
            [(head.attribute, format_cell(cell)) for head, cell in zip(heads, row, strict=True)]
        )
    label = caption or ", ".join(head.title for head in heads)
    return fill(_TABLE, columns=heads, rows=shown, caption=caption, label=label)


def format_cell(cell: Cell) -> str:
    """The text of one cell: `1234567` is `1,234,567`, `0.123456` is `0.1235`, None is blank."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, numbers.Integral):
        return f"{int(cell):,}"
    return f"{float(cell):.4g}"
