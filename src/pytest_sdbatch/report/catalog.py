"""The models and variants by name, for ``sdbatch models``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pytest_sdbatch import units
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import GAP, Block, Cell, Column, lay_out, to_string

_COLUMNS = (
    Column("name", "name", left=True),
    Column("parameters", "parameters"),
    Column("fp32", "fp32", drop=1),
    Column("fp16", "fp16/bf16"),
    Column("native", "native"),
    Column("what", "what", left=True),
)
_VARIANT_COLUMNS = (Column("name", "variant", left=True), Column("what", "what", left=True))
_LEAST_ROOM = 16  # for the description; with less it is left out


class VariantRow(Protocol):
    """What the table shows of one variant."""

    @property
    def name(self) -> str:
        """As given to ``--sd-variants``."""
        ...

    @property
    def what(self) -> str:
        """What it changes, in a few words."""
        ...


class ModelRow(Protocol):
    """What the table shows of one model."""

    @property
    def name(self) -> str:
        """As given to ``--sd-models``."""
        ...

    @property
    def what(self) -> str:
        """The model in a few words."""
        ...

    @property
    def parameters(self) -> int | None:
        """Of all components; None where nobody knows before it is loaded."""
        ...

    @property
    def weight_bytes(self) -> Mapping[str, int]:
        """Bytes of all parameters, by dtype."""
        ...

    @property
    def height(self) -> int:
        """Native height in pixels."""
        ...

    @property
    def width(self) -> int:
        """Native width in pixels."""
        ...


def models_table(models: Iterable[ModelRow], *, width: int) -> str:
    """Return the table of *models* for a screen of *width* columns, without a newline at the end."""
    return _table(_COLUMNS, [_texts(model) for model in models], width=width)


def variants_table(variants: Iterable[VariantRow], *, width: int) -> str:
    """Return the table of *variants* for a screen of *width* columns, without a newline at the end."""
    rows = [{"name": plain(row.name), "what": plain(row.what)} for row in variants]
    return _table(_VARIANT_COLUMNS, rows, width=width)


def _table(columns: Sequence[Column], rows: Sequence[Mapping[str, str]], *, width: int) -> str:
    """Return the table of *rows*, whose last column is a description, folded or left out where there is no room."""
    room = width - sum(_width(column, rows) + len(GAP) for column in columns[:-1])
    if room >= _LEAST_ROOM:
        rows = [line for row in rows for line in _folded(row, room)]
    else:
        columns = columns[:-1]
    block = Block((), tuple({key: Cell(text) for key, text in row.items()} for row in rows))
    return to_string(lay_out(columns, [block], width=width), color=False)


def _folded(row: Mapping[str, str], room: int) -> list[dict[str, str]]:
    """Return *row* with its description on as many lines as it needs."""
    first, *rest = textwrap.wrap(row["what"], room) or [""]
    return [{**row, "what": first}, *({**dict.fromkeys(row, ""), "what": more} for more in rest)]


def _width(column: Column, rows: Iterable[Mapping[str, str]]) -> int:
    return max(len(text) for text in (column.header, *(row[column.key] for row in rows)))


def _texts(model: ModelRow) -> dict[str, str]:
    sizes = {dtype: units.memory(size) for dtype, size in model.weight_bytes.items()}
    return {
        "name": plain(model.name),
        "parameters": "-" if model.parameters is None else units.magnitude(model.parameters),
        "fp32": sizes.get("fp32", "-"),
        "fp16": sizes.get("fp16", "-"),
        "native": f"{model.height}x{model.width}",
        "what": plain(model.what),
    }
