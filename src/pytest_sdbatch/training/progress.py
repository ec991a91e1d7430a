"""What is told of a learning study while it runs: how far it is, and how long that may still take."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_sdbatch import units
from pytest_sdbatch.analysis.learning_curve import Evaluation
from pytest_sdbatch.analysis.learning_runs import TrainingRun

_SOONEST_S = 5.0  # of a run, before its pace is told


class Progress:
    """Tells the pace of the first run, and of the first that is compared, once it is known; and of each run its end.

    Args:
        tell: given a line.
        most_examples: that a run is given.

    """

    def __init__(self, tell: Callable[[str], None], most_examples: int) -> None:
        self._tell, self._most = tell, most_examples
        self._runs: int | None = None  # that are still to come, where that is known
        self._ended = 0
        self._took_s: list[float] = []
        self._begun: tuple[float, int] | None = None  # when the run that is being made began, and at which example
        self._paced = False

    def expect(self, runs: int) -> None:
        """Count from here on, and expect so many *runs*."""
        self._runs, self._ended, self._paced = runs, 0, False
        self._took_s.clear()  # of those that found rates and a target, which run on for longer

    def begin(self, examples: int) -> None:
        """Note that a run begins, or goes on, with so many *examples* behind it."""
        self._begun = (time.monotonic(), examples)

    def look(self, evaluation: Evaluation) -> None:
        """Take an evaluation of the run that is being made."""
        if self._paced or self._begun is None:
            return
        began, examples = self._begun
        passed_s, done = time.monotonic() - began, evaluation.examples - examples
        if passed_s < _SOONEST_S or not done:
            return
        self._paced = True
        longest = units.duration(passed_s / done * self._most)
        runs = "" if self._runs is None else f"; it is one of {self._runs}, and ends sooner at the target"
        self._tell(f"at this pace a run takes {longest} for all its {units.count(self._most, 'example')}{runs}")

    def end(self, run: TrainingRun) -> None:
        """Tell that *run* has ended, here or before an interruption."""
        self._ended += 1
        if self._begun is not None:
            began, examples = self._begun
            if not examples:  # one that went on took longer than it did here
                self._took_s.append(time.monotonic() - began)
            self._begun = None
        last = run.evaluations[-1]
        self._tell(
            f"{self._place()}{run.name}: {run.end.value}, held-out loss {last.held_out_loss:.4f} after "
            f"{last.examples:,} examples, {last.steps:,} steps, {last.seconds:.1f} s of steps{self._left()}"
        )

    def _place(self) -> str:
        return "" if self._runs is None else f"[{self._ended}/{self._runs}] "

    def _left(self) -> str:
        """Return how long the others take if they are like those that ran here; empty: nothing is known, or left."""
        left = 0 if self._runs is None else self._runs - self._ended
        if left <= 0 or not self._took_s:
            return ""
        return f"; {units.time_left(left * sum(self._took_s) / len(self._took_s))}"
