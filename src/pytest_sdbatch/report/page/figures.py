"""Figures as plain data: what is drawn, in units that the axes name. The script of the page draws any of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from pytest_sdbatch.report.escape import plain

_DIGITS = 4  # of a number that is drawn; three are told
_COLORS = 6  # that stages have; two more are for what is no stage
_STAGES = {"text_encoder": 0, "denoiser": 1, "scheduler": 2, "vae_decode": 3, "vae_encode": 4, "all": 5, "other": 7}
ALLOCATOR_COLOR = 6
Values: TypeAlias = tuple[float, ...]


class Look(StrEnum):
    """How a series is drawn."""

    LINE = "line"
    DASHED = "dashed"  # a line that decides nothing
    BAND = "band"  # between low and high
    POINTS = "points"
    FAINT = "faint"  # points behind the others
    TRACE = "trace"  # points in order, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values of one kind."""

    name: str  # in the legend; empty: it goes with one that has a name
    look: Look
    color: int = 0  # of the palette; the symbol of points goes with it
    x: Values = ()  # empty: 1, 2, 3 ... from *first* on
    first: int = 1
    y: Values = ()
    low: Values = ()  # of a band, or of the intervals of points
    high: Values = ()
    texts: tuple[str, ...] = ()  # what else is known of each point

    @property
    def kind(self) -> tuple[str, str, int]:
        """What many of it have in common."""
        return plain(self.name), self.look.value, self.color

    def data(self) -> dict[str, Any]:
        """Return it for the script, without what is empty."""
        return dict(zip("nkc", self.kind, strict=True)) | self.own_data()

    def own_data(self) -> dict[str, Any]:
        """Return its values for the script, without what it has in common with others."""
        found: dict[str, Any] = {} if self.x else {"f": self.first}
        columns = {"x": self.x, "y": self.y, "l": self.low, "h": self.high}
        found |= {key: rounded(values) for key, values in columns.items() if values}
        return found | ({"t": list(map(plain, self.texts))} if self.texts else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across the figure, at one value of either axis."""

    name: str
    x: float | None = None
    y: float | None = None
    color: int | None = None  # None: of no series

    def data(self) -> dict[str, Any]:
        """Return it for the script."""
        at = {"x": self.x, "y": self.y, "c": self.color}
        return {"n": plain(self.name), **{key: rounded([v])[0] for key, v in at.items() if v is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Series over two axes."""

    title: str
    x: str  # label with its unit
    y: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    doubling: bool = False  # whether the x axis doubles from step to step
    low: bool = False  # a strip under another figure
    around_zero: bool = False  # whether zero lies in the middle of the y axis
    labelled: bool = False  # whether the texts of its points stand beside them
    by_factors: bool = False  # whether the y axis grows by factors, as for a loss: all values are above 0
    points_are: str = "case"  # what the texts of its points name
    note: str = ""

    def data(self) -> dict[str, Any]:
        """Return it for the script."""
        more: dict[str, Any] = {"byFactors": True} if self.by_factors else {}
        more |= {"of": plain(self.points_are)} if self.points_are != "case" else {}
        return more | {
            "kind": "figure",
            "title": plain(self.title),
            "x": plain(self.x),
            "y": plain(self.y),
            "series": [series.data() for series in self.series],
            "marks": [mark.data() for mark in self.marks],
            "doubling": self.doubling,
            "low": self.low,
            "aroundZero": self.around_zero,
            "labelled": self.labelled,
            "note": plain(self.note),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars made of parts, one below the other."""

    title: str
    x: str  # label with its unit
    names: tuple[str, ...]  # of the bars
    parts: tuple[tuple[str, tuple[float | None, ...]], ...]  # name, and its length in each bar; None: not known
    colors: tuple[int, ...] = ()  # of the parts; empty: 0, 1, 2 ...
    note: str = ""

    def data(self) -> dict[str, Any]:
        """Return it for the script."""
        return {
            "kind": "bars",
            "title": plain(self.title),
            "x": plain(self.x),
            "names": list(map(plain, self.names)),
            "parts": [
                {"n": plain(name), "v": rounded(values), "c": color}
                for (name, values), color in zip(self.parts, self.colors or range(len(self.parts)), strict=True)
            ],
            "note": plain(self.note),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One of many small figures that share their axes' labels."""

    title: str
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """Many small figures, each with a scale of its own."""

    title: str
    x: str
    y: str
    panels: tuple[Panel, ...]
    note: str = ""

    def data(self) -> dict[str, Any]:
        """Return it for the script."""
        kinds = {
            kind: at for at, kind in enumerate(dict.fromkeys(s.kind for panel in self.panels for s in panel.series))
        }
        panels = [
            {"t": plain(panel.title), "s": [{"i": kinds[one.kind], **one.own_data()} for one in panel.series]}
            | ({"m": [mark.data() for mark in panel.marks]} if panel.marks else {})
            | ({"o": plain(panel.note)} if panel.note else {})
            for panel in self.panels
        ]
        shared = {"kind": "panels", "title": plain(self.title), "x": plain(self.x), "y": plain(self.y)}
        listed = [dict(zip("nkc", kind, strict=True)) for kind in kinds]
        return {**shared, "kinds": listed, "panels": panels, "note": plain(self.note)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of text."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str = ""

    def data(self) -> dict[str, Any]:
        """Return it for the script."""
        return {
            "kind": "grid",
            "title": plain(self.title),
            "heads": list(map(plain, self.heads)),
            "lines": [list(map(plain, line)) for line in self.lines],
            "note": plain(self.note),
        }


Block: TypeAlias = Figure | Bars | Panels | Grid


def stage_colors(names: Iterable[str]) -> dict[str, int]:
    """Return a colour for each stage of *names*, the same in every figure; of usual ones on every page."""
    there = dict.fromkeys(names)
    found = {name: _STAGES[name] for name in there if name in _STAGES}
    free = [color for color in range(_COLORS) if color not in found.values()] or [_COLORS - 1]
    others = sorted(name for name in there if name not in _STAGES)
    return found | {name: free[at % len(free)] for at, name in enumerate(others)}


def rounded(values: Iterable[float | None]) -> list[float | int | None]:
    """Return *values* with as many digits as a drawing shows."""
    return [None if value is None else _short(value) for value in values]


def _short(value: float) -> float | int:
    if isinstance(value, int):
        return value
    near = float(f"{value:.{_DIGITS}g}")
    return int(near) if near.is_integer() and abs(near) < 10**9 else near


def thinned(x: Sequence[float], y: Sequence[float], most: int) -> tuple[Values, Values]:
    """Return at most *most* points of a line: of each stretch the highest, so that no peak is lost; ends stay."""
    if len(x) <= most or most < 3:
        return tuple(x), tuple(y)
    inner, kept = len(x) - 2, most - 2
    chosen = [0]
    for part in range(kept):
        stretch = range(1 + part * inner // kept, 1 + (part + 1) * inner // kept)
        chosen.append(max(stretch, key=lambda at: y[at]))
    chosen.append(len(x) - 1)
    return tuple(x[at] for at in chosen), tuple(y[at] for at in chosen)
