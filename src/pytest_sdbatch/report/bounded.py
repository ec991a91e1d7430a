"""A document that may not be larger than so many bytes: what does not fit is left out whole, and counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

COMMENT_BYTES = 65_536  # GitHub refuses a longer comment; it counts characters, of which no byte is more than one
MOST_ROWS = 500  # of a table, in Markdown or on a screen: people read no more, and files for machines have them all
SUMMARY_BYTES = 900 * 2**10  # of a job's summary, of which GitHub shows nothing beyond 1 MiB


class Bounded:
    """Lines of text in UTF-8, at most so many bytes with their ends."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._lines: list[str] = []

    @property
    def left(self) -> int:
        """Bytes that still fit."""
        return self._left

    def add(self, *lines: str) -> bool:
        """Add all of *lines*, or none where they do not fit; return whether they did."""
        size = sum(map(size_of, lines))
        if size > self._left:
            return False
        self._left -= size
        self._lines += lines
        return True

    def add_blocks(self, blocks: Iterable[Sequence[str]], *, keep: int = 0) -> int:
        """Add *blocks* in their order until one does not fit; return how many were added.

        Args:
            blocks: each of some lines, which stay together.
            keep: bytes that are left for what follows.

        """
        added = 0
        for block in blocks:
            if sum(map(size_of, block)) > self._left - keep:
                break
            self.add(*block)
            added += 1
        return added

    def text(self) -> str:
        """Return the document; each line ends in a newline."""
        return "".join(f"{line}\n" for line in self._lines)


def size_of(line: str) -> int:
    """Return the bytes of *line* with its end."""
    return len(line.encode("utf-8")) + 1
