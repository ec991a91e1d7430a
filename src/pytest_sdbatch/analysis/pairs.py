"""Where pairs come from: asked for in order, checked, and reduced to locations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from pytest_sdbatch.analysis.estimate import Locations, Run, locations

Pair: TypeAlias = tuple[Run, Run]  # base and candidate, neighbours in time
LocatedPair: TypeAlias = tuple[Locations, Locations]
# (cases, n) -> n more pairs in time order, of at least those cases (None: of all there are); fewer when interrupted.
MorePairs: TypeAlias = Callable[[tuple[str, ...] | None, int], Sequence[Pair]]


class PairSource:
    """The pairs of one job: what was asked for, what came."""

    def __init__(self, more_pairs: MorePairs) -> None:
        self._more_pairs = more_pairs
        self.pairs: list[LocatedPair] = []  # all so far
        self.interrupted = False  # fewer came than were asked for: no more will

    def ask(self, cases: tuple[str, ...] | None, number: int) -> list[LocatedPair]:
        """Return up to *number* more pairs.

        Raises:
            ValueError: for readings that cannot be used, or more pairs than asked for.

        """
        came = self._more_pairs(cases, number)
        if len(came) > number:
            raise ValueError(f"more_pairs gave {len(came)} pairs where {number} were asked for")
        self.interrupted = len(came) < number
        located = [(locations(base), locations(candidate)) for base, candidate in came]
        self.pairs += located
        return located


def differences(pairs: Sequence[LocatedPair], case: str) -> list[float]:
    """Return candidate - base in ln s of every pair that has *case* on both sides."""
    return [candidate[case] - base[case] for base, candidate in pairs if case in base and case in candidate]
