"""What each case is allowed: the budget of its test, whatever its steps are made to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_sdbatch import units
from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE, TOLERANCE, Config
from pytest_sdbatch.commands.ab.command_line import Given

Budgets = Mapping[str, Mapping[str, float]]  # by name of a case, shares by metric


class ByTest(Mapping[str, float]):
    """Shares by the name of a case, which are those of its test; of differing ones the smallest."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares: dict[str, float] = {}
        for name, share in shares.items():
            test = _test_of(name)
            self._shares[test] = min(share, self._shares.get(test, share))

    def __getitem__(self, name: str) -> float:
        return self._shares[_test_of(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shares)

    def __len__(self) -> int:
        return len(self._shares)


def config_for(given: Given, budgets: Budgets) -> Config:
    """Return the rules of a job: what was typed goes before the budgets of the cases."""
    time = ByTest({name: budget["time"] for name, budget in budgets.items() if "time" in budget})
    memory = ByTest({name: budget["peak_memory"] for name, budget in budgets.items() if "peak_memory" in budget})
    return Config(
        tolerance=(time or TOLERANCE) if given.tolerance is None else given.tolerance,
        memory_tolerance=memory or MEMORY_TOLERANCE,
        margin=given.margin,
    )


def budget_lines(given: Given, budgets: Budgets, bases: Budgets | None) -> Iterator[str]:
    """Yield what the candidate allows itself, and what the base's own benchmarks did where that is something else.

    Args:
        given: the command line.
        budgets: of the candidate's cases.
        bases: of the base's own; None: not known.

    """
    usual = {"time": TOLERANCE, "peak_memory": MEMORY_TOLERANCE}
    found: dict[tuple[str, float, float | None], int] = {}
    for name, budget in budgets.items():
        for metric, standard in usual.items():
            if metric == "time" and given.tolerance is not None:
                continue
            share = budget.get(metric, standard)
            before = None if bases is None or name not in bases else bases[name].get(metric, standard)
            if share != standard or before not in (None, share):
                found[metric, share, before] = found.get((metric, share, before), 0) + 1
    for (metric, share, before), cases in found.items():
        other = "" if before in (None, share) else f"; the base's own benchmarks allow {units.share(before or 0.0)}"
        word = metric.replace("_", " ")
        yield f"budget: {units.share(share)} of {word} for {units.count(cases, 'case')}, by the candidate{other}"


def _test_of(name: str) -> str:
    return name.partition("[")[0]
