"""How far a run is: which benchmarks have ended, and how long the rest may take."""

from __future__ import annotations

from collections.abc import Iterable


class Progress:
    """Counts the benchmarks of a run by node id, so that one that is run again counts once."""

    def __init__(self) -> None:
        self.line_of_file = ""  # the file below whose name the last line of a case was printed
        self._expected: set[str] = set()
        self._ended: set[str] = set()
        self._busy_s = 0.0

    @property
    def total(self) -> int:
        """Benchmarks of the run."""
        return len(self._expected)

    @property
    def ended(self) -> int:
        """Benchmarks that have ended."""
        return len(self._ended)

    @property
    def complete(self) -> bool:
        """Whether every benchmark has ended, one way or another."""
        return self._expected <= self._ended

    @property
    def left_s(self) -> float | None:
        """Seconds the rest will take if it costs what the ended ones cost on average; None before the first."""
        return self._busy_s / self.ended * (self.total - self.ended) if self.ended else None

    def expect(self, node_ids: Iterable[str]) -> None:
        """Take note of what will run."""
        self._expected = set(node_ids)

    def end(self, node_id: str, seconds: float) -> None:
        """Take note of a benchmark that ended after *seconds*."""
        if node_id in self._expected:
            self._ended.add(node_id)
            self._busy_s += seconds
