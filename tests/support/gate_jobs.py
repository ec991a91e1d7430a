from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Run = dict[str, list[float]]
Pair = tuple[Run, Run]

SCATTER = (0.98, 0.99, 1.0, 1.01, 1.02)  # of rounds about 1; their trimmed location is not 1, but cancels in a pair


def run_of(**logs: float) -> Run:
    """A run whose cases lie at these ln s."""
    return {case: [math.exp(log) * share for share in SCATTER] for case, log in logs.items()}


def pairs_of(differences: Mapping[str, Sequence[float]], *, base: float = 0.7) -> list[Pair]:
    """One pair a column: the candidate's ln-ratios by case; NaN: the candidate lacks the case in that pair."""
    number = max(len(values) for values in differences.values())
    return [
        (
            run_of(**dict.fromkeys(differences, base)),
            run_of(**{case: base + values[k] for case, values in differences.items() if not math.isnan(values[k])}),
        )
        for k in range(number)
    ]


class Replay:
    """Gives recorded pairs in order, of all cases, and notes what was asked for."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.left = list(pairs)
        self.asked: list[tuple[tuple[str, ...] | None, int]] = []

    def __call__(self, cases: tuple[str, ...] | None, number: int) -> list[Pair]:
        self.asked.append((cases, number))
        given, self.left = self.left[:number], self.left[number:]
        return given


class Only(Replay):
    """Gives the cases that were asked for and no other."""

    def __call__(self, cases: tuple[str, ...] | None, number: int) -> list[Pair]:
        pairs = super().__call__(cases, number)
        if cases is None:
            return pairs
        return [
            ({case: base[case] for case in cases}, {case: new[case] for case in cases if case in new})
            for base, new in pairs
        ]
