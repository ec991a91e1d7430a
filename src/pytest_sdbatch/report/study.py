"""A learning study on screen: a row a batch size, both laws, the claims, one advice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pytest_sdbatch.analysis.claim_table import claim_table
from pytest_sdbatch.analysis.claims import Claim, Standing
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.analysis.recommendation import recommendation
from pytest_sdbatch.analysis.study_figures import figures_of
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import Block, lay_out, to_string
from pytest_sdbatch.report.study_words import about, behind, laws, legend, size_cells, size_columns

_STYLES = {Standing.SUPPORTED: "green", Standing.NOT_SUPPORTED: "yellow", Standing.CANNOT_TELL: "dim"}


def render_study(study: Study, *, width: int, color: bool, encoding: str = "utf-8") -> str:
    """Return what is shown of *study*, without a newline at the end.

    Args:
        study: as measured, or as read from a file.
        width: columns of the screen.
        color: whether to use ANSI colours.
        encoding: of the screen; what it lacks is replaced.

    """
    from rich.text import Text

    figures = figures_of(study)
    claims = claim_table(study, figures)
    lines = [Text(line) for text in about(study) for line in _wrapped(text, width)]
    block = Block(heading=(), rows=tuple(size_cells(row) for row in figures.rows))
    lines += lay_out(size_columns(figures), [block], width=width, encoding=encoding)
    lines += [Text(line, "dim") for text in legend(study, figures) for line in _wrapped(text, width)]
    lines += [Text(line) for text in laws(study, figures) for line in _wrapped(text, width)]
    for heading, group in groupby(claims, key=lambda claim: claim.heading):
        lines += [Text(""), Text(heading, "bold")]
        for claim in group:
            lines += _claim_lines(claim, width)
    advice = recommendation(study, figures, claims)
    lines += [Text(""), *(Text(line, "bold") for line in _wrapped(f"Recommended: {advice.sentence}", width))]
    lines += [Text(line) for text in advice.reasons for line in _wrapped(f"- {text}", width)]
    lines += [Text(line, "dim") for text in behind(study) for line in _wrapped(text, width)]
    return to_string(lines, color=color, encoding=encoding)


def _claim_lines(claim: Claim, width: int) -> Iterator[Any]:
    from rich.text import Text

    for line in _wrapped(claim.claim, width, indent="  "):
        yield Text(line)
    words = f"{claim.standing.value}: {claim.sentence}"
    for number, line in enumerate(_wrapped(words, width, indent="    ")):
        text = Text(line)
        if not number:
            text.stylize(f"bold {_STYLES[claim.standing]}", 4, 4 + len(claim.standing.value))
        yield text
    for figure in (*claim.figures, f"what would settle it: {claim.settles}"):
        for line in _wrapped(figure, width, indent="      "):
            yield Text(line, "dim")


def _wrapped(text: str, width: int, *, indent: str = "") -> list[str]:
    return textwrap.wrap(
        plain(text),
        max(width, 20 + len(indent)),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
