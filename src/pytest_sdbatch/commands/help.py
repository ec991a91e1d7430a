"""``--help`` of the commands: text that fits the terminal, in which tables of exit statuses stay tables."""

from __future__ import annotations

import argparse
import itertools
import re
import textwrap
from collections.abc import Iterator

_ROW = re.compile(r" +\S+ +")  # a line that is indented: a word, and what it means


class Wrapped(argparse.HelpFormatter):
    """Fills paragraphs, as its base does with a single one, and lets what a row has no room for hang below its text."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(_filled(text.strip("\n"), width, indent))


def _filled(text: str, width: int, indent: str) -> Iterator[str]:
    for is_prose, lines in itertools.groupby(text.splitlines(), key=lambda line: line[:1].strip() != ""):
        if is_prose:
            yield textwrap.fill(" ".join(lines), width, initial_indent=indent, subsequent_indent=indent)
            continue
        for line in lines:
            row = _ROW.match(line)
            hanging = indent + " " * (len(row[0]) if row else 0)
            yield textwrap.fill(line, width, initial_indent=indent, subsequent_indent=hanging)
