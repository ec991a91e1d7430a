"""Columns that fit a width."""

from __future__ import annotations

import re

import pytest
from compared import measured

from pytest_sdbatch.analysis.sides import Place
from pytest_sdbatch.report.layout import (
    Block,
    Cell,
    Column,
    blocks_by_test,
    encodable,
    fitting,
    lay_out,
    screen_width,
    to_string,
)

COLUMNS = (
    Column("name", "name", left=True),
    Column("figure", "a\nfigure"),
    Column("more", "more", drop=1),
    Column("most", "most", drop=2),
)


def row(**texts: str) -> dict[str, Cell]:
    """Return cells; those that are not named are empty."""
    return {column.key: Cell(texts.get(column.key, "")) for column in COLUMNS}


def text(*blocks: Block, width: int = 80, encoding: str = "utf-8") -> list[str]:
    """Return the lines of the table without colours."""
    made = lay_out(COLUMNS, blocks, width=width, encoding=encoding)
    return to_string(made, color=False, encoding=encoding).splitlines()


def test_figures_stand_on_the_right_and_names_on_the_left() -> None:
    """Columns are as wide as their widest text; two-line headers rest on the lower line."""
    block = Block((Cell("heading"),), (row(name="b1", figure="1.25"), row(name="b16", figure="12.5")))

    assert text(block) == [
        "           a",
        "name  figure  more  most",
        "────────────────────────",
        "heading",
        "b1      1.25",
        "b16     12.5",
    ]


def test_each_test_and_each_group_in_it_is_one_block() -> None:
    """In the order of the first case of each, however they are mixed; the name of a test stands once."""
    mixed = [("a", "g"), ("b", "g"), ("a", "h"), ("b", ""), ("a", "g")]
    places = [Place(test=test, group=group, case=str(at)) for at, (test, group) in enumerate(mixed)]
    cases = [measured(place=place) for place in places]

    blocks = list(blocks_by_test(cases, lambda case: row(name=case.place.case), width=80))

    assert [[cell.text for cell in block.heading] for block in blocks] == [["a", "g"], ["h"], ["b", "g"], []]
    assert ["".join(one["name"].text for one in block.rows) for block in blocks] == ["04", "2", "1", "3"]


@pytest.mark.parametrize(
    ("width", "header"),
    [(24, "name  figure  more  most"), (23, "name  figure  more"), (17, "name  figure"), (3, "name  figure")],
)
def test_the_least_important_column_goes_first(width: int, header: str) -> None:
    """Columns leave in a fixed order, and those that must stay do."""
    assert text(Block((), (row(name="b1", figure="1"),)), width=width)[1] == header


@pytest.mark.parametrize("width", [24, 23, 17, 3])
def test_what_fits_can_be_asked_for(width: int) -> None:
    """It is what is laid out, and lays out alike: a caller can name what is missing."""
    block = Block((), (row(name="b1", figure="±1", most="long"),))
    fit = fitting(COLUMNS, [block], width=width, encoding="ascii")
    lines = text(block, width=width, encoding="ascii")

    assert lines[1].split() == [column.title.removeprefix("a ") for column in fit]
    assert to_string(lay_out(fit, [block], width=width), color=False).splitlines()[1] == lines[1]


@pytest.mark.parametrize(
    ("header", "title"), [("b1", "b1"), ("cold\nstart", "cold start"), ("text/\nVAE in %", "text/VAE in %")]
)
def test_the_title_of_a_column_is_its_header_on_one_line(header: str, title: str) -> None:
    """Where a line breaks behind a slash there is no space."""
    assert Column("key", header).title == title


def test_wide_characters_keep_the_columns_straight() -> None:
    """A character that takes two places on screen is counted as two."""
    block = Block((), (row(name="猫猫猫", figure="1"), row(name="cat", figure="1")))

    assert text(block)[-2:] == ["猫猫猫       1", "cat          1"]


def test_stand_ins_are_put_in_before_widths_are_taken() -> None:
    """An encoding without the characters gets others, and the columns stay straight."""
    lines = text(Block((), (row(name="x", figure="±1 %"), row(name="y", figure="±12 %"))), encoding="ascii")

    assert lines[-3:] == ["-" * 24, "x      +-1 %", "y     +-12 %"]


def test_text_is_not_read_as_markup() -> None:
    """Square brackets, emoji codes and links are text."""
    name = "[bold]x[/bold] :smile: [link=file:///]y[/link]"

    assert text(Block((), (row(name=name),)))[-1] == name


def test_colour_changes_nothing_but_colour() -> None:
    """Without its colour codes the coloured table is the plain one, and the plain one has none."""
    lines = lay_out(COLUMNS, [Block((Cell("h", "bold"),), (row(name="b1", figure="1"),))], width=80)
    coloured, bare = to_string(lines, color=True), to_string(lines, color=False)

    assert coloured != bare
    assert "\x1b" not in bare
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == bare


@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"])
def test_the_environment_has_no_say(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether to colour and how wide the screen is, is pytest's to judge."""
    lines = lay_out(COLUMNS, [Block((), (row(name="b1", figure="1"),))], width=80)
    expected = [to_string(lines, color=color) for color in (False, True)]
    monkeypatch.setenv(variable, "20")

    assert [to_string(lines, color=color) for color in (False, True)] == expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_any_encoding_can_write_the_text(encoding: str) -> None:
    """Printing never fails for a character."""
    assert encodable("── ±1 % 猫 ö", encoding).encode(encoding)


def test_the_width_of_the_screen_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI logs have no terminal; COLUMNS says how wide they may be."""
    monkeypatch.setenv("COLUMNS", "123")

    assert screen_width() == 123
