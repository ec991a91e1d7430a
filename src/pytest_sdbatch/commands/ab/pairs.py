"""Pairs of processes, neighbours in time: in their order, within their time, proved to be different code."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.analysis.ab import SidePair
from pytest_sdbatch.analysis.sides import OK, Measured, Place, SideRun
from pytest_sdbatch.commands.ab.clock import Clock
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.process import Ended, RunProcess, Side, run_process
from pytest_sdbatch.commands.ab.proof import Code, check_different, check_own, check_plugin, check_same_as_before
from pytest_sdbatch.commands.ab.schedule import CaseCost, Cost, Fit, cost_of
from pytest_sdbatch.commands.ab.sides import Say, Sides

_BASE, _CANDIDATE = "base", "candidate"
_MOST_DEATHS = 3  # of processes for one, that a case kills
_MOST_REASONS = 3  # why cases failed, named before what was printed
_BROKEN = {"crashed", "skipped", "test failed", "without rounds"}  # nothing that a comparison could be of
# Of the pairs that screen, and of those that decide: AB BA BA AB | BA AB AB BA. Whatever drifts, to the second order,
# meets both sides alike at each look.
_SCREENING = (True, False)
_DECIDING = (True, False, False, True, False, True, True, False)


class PairRunner:
    """Runs the pairs of a job.

    Args:
        sides: made ready.
        arguments: of pytest.
        folder: where run files and outputs are kept.
        plugin: what this process measures with.
        deadline_s: ``time.monotonic()`` by which the job ends; None: when it is done.
        fixed_steps: whether the user gave the number of steps.
        say: prints a line of progress.
        run: runs a process.

    """

    def __init__(
        self,
        sides: Sides,
        arguments: Sequence[str],
        *,
        folder: Path,
        plugin: Code,
        deadline_s: float | None,
        fixed_steps: bool,
        say: Say,
        run: RunProcess = run_process,
    ) -> None:
        self._sides = {_BASE: sides.base, _CANDIDATE: sides.candidate}
        self._made = sides
        self._arguments = list(arguments)
        self._folder = folder
        self._plugin = plugin
        self._clock = Clock(deadline_s, fixed_steps=fixed_steps)
        self._say = say
        self._run = run
        self._first: dict[str, Code] = {}
        self._pairs = 0
        self._counted = 0  # runs, half a pair included
        self._proved = False
        self._left_nothing = False  # the last process
        self.left_out: dict[str, Measured] = {}
        self.interrupted = False
        self.out_of_time = False  # there was none for more pairs
        self.gave_up: str | None = None  # why no more pairs are run
        self.hung: str | None = None  # which side was running, and what

    @property
    def whole_s(self) -> float | None:
        """Seconds that the job would take if it had not been made smaller; None: it was not."""
        return self._clock.whole_s

    @property
    def undone(self) -> Mapping[str, Place]:
        """The cases that no time was spent on."""
        return {name: measured.place for name, measured in self.left_out.items()}

    def more(self, cases: tuple[str, ...] | None, number: int) -> Sequence[SidePair]:
        """Run *number* pairs of *cases* (None: all), or as many as there is time for until someone stops it.

        Raises:
            NoComparison: if a side leaves no run, or both ran the same code.
        """
        came: list[SidePair] = []
        if cases is not None and self._pairs == len(_SCREENING):
            cases = self._decided(cases, number)
        if cases is not None:
            word = "pair" if self._pairs == len(_SCREENING) else "more pair"
            self._say(f"{units.count(len(cases), 'case')}: {units.count(number, word)} to decide")
        try:
            for left in range(number, 0, -1):
                self.out_of_time = not self._clock.fits(cases)
                if self.out_of_time:
                    break
                pair = self._pair(cases, left=left)
                if pair is None:
                    break
                came.append(pair)
        except KeyboardInterrupt:
            self.interrupted = True
        return came

    def _decided(self, cases: tuple[str, ...], number: int) -> tuple[str, ...]:
        """Return those of *cases*, the most pressing first, that the first pairs to decide can be had of in time.

        Of fewer pairs no case has a verdict: what looks faster must not cost one that looks slower its own.
        """
        fitting = self._clock.first_that_fit(cases, pairs=number)
        if len(fitting) < len(cases):
            self._say(f"to end in time: {len(fitting)} of {units.count(len(cases), 'case')} run on")
        return fitting

    def _pair(self, cases: tuple[str, ...] | None, *, left: int) -> SidePair | None:
        at = self._pairs - len(_SCREENING)
        base_first = _SCREENING[at] if at < 0 else _DECIDING[at % len(_DECIDING)]
        runs: dict[str, SideRun] = {}
        ends: dict[str, Ended] = {}
        for name in (_BASE, _CANDIDATE) if base_first else (_CANDIDATE, _BASE):
            ended, run = self._process(name, cases)
            if run is None:
                for other in (*ends.values(), ended):  # half a pair is none
                    other.run_file.unlink(missing_ok=True)
                return None
            self._counted += 1
            ends[name], runs[name] = ended, run
        # One that died fits nothing: its neighbour may have left cases out that it has.
        runs = {name: self._without_left_out(run) for name, run in runs.items()}
        if self._pairs == 0:
            self._look_at(ends, runs)
        if not self._proved and len(self._first) == len(self._sides):
            self._prove()
        self._pairs += 1
        self._tell_time(cases, left=left - 1)
        return runs[_BASE], runs[_CANDIDATE]

    def _process(self, name: str, cases: tuple[str, ...] | None) -> tuple[Ended, SideRun | None]:
        """Run one process and return its run, None if it was stopped; of one that dies others take over the rest."""
        ended, run = self._once(name, cases, {})
        deaths = 0
        while run is not None and ended.died and deaths < _MOST_DEATHS:
            deaths += 1
            self._say(f"pair {self._pairs + 1}, {name}: the process died in {list(run.cases)[-1]}")
            if not (set(self._made.collected.cases if cases is None else cases) - run.cases.keys()):
                break
            ended, more = self._once(name, cases, run.cases, part=deaths)
            if more is None:
                return ended, None
            run = replace(run, cases={**run.cases, **more.cases})
        return ended, run

    def _once(
        self, name: str, cases: tuple[str, ...] | None, done: Mapping[str, Measured], *, part: int = 0
    ) -> tuple[Ended, SideRun | None]:
        """Run one process of *cases* that are not *done*, and return its run; None if it was stopped."""
        side = self._sides[name]
        while True:
            ended = self._run(
                side,
                self._arguments,
                stem=self._folder / f"pair-{self._pairs + 1:02}-{name}{f'-{part}' if part else ''}",
                names=cases,
                left_out={**self.left_out, **done},
                steps=self._clock.steps,
                until_s=self._clock.deadline_s,
            )
            if ended.stopped:
                self.out_of_time = self._clock.is_over
                self.interrupted = not self.out_of_time
                if self.out_of_time:
                    self.hung = f"the {name} was at {ended.running or 'its start or its end'}"
                return ended, None
            if done and ended.status == pytest.ExitCode.NO_TESTS_COLLECTED and not ended.run_file.exists():
                return ended, SideRun(id="", file=side.label, started_at="", cases={})
            if self._pairs and not ended.run_file.exists():
                if self._left_nothing:
                    self.gave_up = f"two processes of the {name} left no run (exit status {ended.status})"
                    return ended, None
                self._left_nothing = True
                continue
            self._left_nothing = False
            run = self._read(side, ended)
            self._say(f"pair {self._pairs + 1}, {name}: {units.count(len(run.cases), 'case')} in {_took(ended)}")
            if run.cases and not (done or ended.died):
                self._clock.took(name, _cost(ended, run), whole=cases is None)
            if done or ended.died or not self._fit(name, ended, run):
                return ended, self._without_left_out(run)
            ended.run_file.unlink()

    def _read(self, side: Side, ended: Ended) -> SideRun:
        from pytest_sdbatch.storage.sides import read_side_runs

        if ended.code is not None:
            check_plugin(ended.code, self._plugin, side=side.name)
            check_same_as_before(ended.code, self._first.setdefault(side.name, ended.code), side=side.name)
        if not ended.run_file.exists() or (ended.code is None and not ended.died):
            if side.name == _BASE:
                raise _base_ran_nothing(ended, len(self._made.collected.cases))
            raise NoComparison(
                f"a process of the candidate left no run (exit status {ended.status})", why=ended.last_words
            )
        (run,) = read_side_runs(ended.run_file)
        return replace(run, file=side.label)

    def _look_at(self, ends: Mapping[str, Ended], runs: Mapping[str, SideRun]) -> None:
        """Refuse a first pair that cannot be compared."""
        well = {name: [m for m in run.cases.values() if m.state == OK] for name, run in runs.items()}
        if well[_CANDIDATE] and not well[_BASE]:
            raise _base_ran_nothing(ends[_BASE], len(well[_CANDIDATE]))
        states = {m.state for run in runs.values() for m in run.cases.values()}
        if not any(well.values()) and not states - _BROKEN:
            how = dict.fromkeys(f"{m.state}: {m.reason}" for m in runs[_CANDIDATE].cases.values() if m.reason)
            why = [*list(how)[:_MOST_REASONS], ends[_CANDIDATE].last_words]
            raise NoComparison("no case ran to its end on either side", why="\n".join(why))

    def _prove(self) -> None:
        """Refuse sides whose code is not their own: once a process of each has come to its end."""
        self._proved = True
        for name, first in self._first.items():
            check_own(first, self._made.changed, side=name)
        check_different(
            self._first[_BASE],
            self._first[_CANDIDATE],
            callers_tree=self._made.callers_tree,
            shared=self._made.shared,
            changed=self._made.changed,
        )

    def _fit(self, name: str, ended: Ended, run: SideRun) -> bool:
        """Make the job smaller if it must be; return whether this process has to be run again for it."""
        made = self._clock.make_fit(ended.seconds, may_rename=not self._counted)
        if made.is_whole:
            return False
        if made.rounds is not None:
            self._arguments += ["-o", f"sd_max_rounds={made.rounds}"]
        again = made.steps is not None  # the cases have other names then
        if not again:
            self.left_out = {case: run.cases[case] for case in made.left_out}
        self._say(f"to end in time: {_described(made)}{f'; the {name} runs again' if again else ''}")
        return again

    def _without_left_out(self, run: SideRun) -> SideRun:
        return replace(run, cases={name: m for name, m in run.cases.items() if name not in self.left_out})

    def _tell_time(self, cases: tuple[str, ...] | None, *, left: int) -> None:
        told = self._clock.told()
        if self._pairs == 1 and told is not None:
            self._say(told)
        left_over = self._clock.left(cases, pairs=left)
        if left_over:
            self._say(left_over)


def _base_ran_nothing(ended: Ended, cases: int) -> NoComparison:
    return NoComparison(
        f"the base ran none of {units.count(cases, 'case')} that the candidate runs (exit status {ended.status})",
        why=ended.last_words,
        fix="if its code has to be built: --setup CMD; if these benchmarks need what only the candidate has, "
        "there is nothing to compare yet",
    )


def _cost(ended: Ended, run: SideRun) -> Cost:
    from pytest_sdbatch.records import full_name
    from pytest_sdbatch.storage.run_file import read_run_file

    (read,) = read_run_file(ended.run_file)
    untimed = {full_name(record.test, record.case): record.untimed_s for record in read.records}
    timed = {name: m.seconds for name, m in run.cases.items() if m.seconds}
    cases = {
        name: CaseCost(rounds=len(seconds), round_s=statistics.fmean(seconds), untimed_s=untimed[name])
        for name, seconds in timed.items()
    }
    return cost_of(ended.seconds, cases)


def _took(ended: Ended) -> str:
    return units.duration(ended.seconds)


def _described(made: Fit) -> str:
    parts = [f"at most {made.rounds} rounds" if made.rounds is not None else ""]
    parts.append(units.count(made.steps, "step") if made.steps is not None else "")
    if made.left_out and made.steps is None:  # with fewer steps it is looked at once more
        parts.append(f"without {units.count(len(made.left_out), 'case')}")
    return ", ".join(part for part in parts if part)
