"""Groups on a cluster, until each of them has an outcome: what is lost runs again, what is lost three times is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparable import differing
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.groups import Group
from pytest_sdbatch.commands.cluster.kept import Kept, code_of
from pytest_sdbatch.commands.cluster.machines import Cluster, Ended, Result, Task
from pytest_sdbatch.commands.cluster.progress import Running, State
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Outcome, Record, Run, full_name
from pytest_sdbatch.session import run_id

ATTEMPTS = 3
SILENCE_S = 60.0  # after which a line says that it goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a cluster is looked at, and how long it is waited for."""

    look_s: float = 1.0  # between two looks while nothing ends
    patience_s: float = 60.0  # for a node to come where none is left


USUAL = Pace()


class Patience:
    """How long a cluster without a node is waited for.

    Args:
        pace: of looking at it.

    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._nobody_since_s: float | None = None

    def check(self, cluster: Cluster, tell: Callable[[str], None]) -> None:
        """Note whether *cluster* has a node, and *tell* the reader when it has none any more.

        Raises:
            ClusterError: where none came for longer than anybody should wait.

        """
        now_s = time.monotonic()
        if cluster.nodes():
            self._nobody_since_s = None
        elif self._nobody_since_s is None:
            self._nobody_since_s = now_s
            tell("no node is left that could run it; waiting for one")
        elif now_s - self._nobody_since_s > self._pace.patience_s:
            raise ClusterError(
                "no node is left that could run it",
                why=f"none came within {units.duration(self._pace.patience_s)}",
                fix="start one: the same command again; a sweep goes on with --sd-resume",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What came of a group once."""

    run: Run | None  # None: nothing
    problem: str = ""  # empty: every case has its outcome


class Runner:
    """Hands groups to a cluster and takes in what comes.

    Args:
        cluster: that measures them.
        groups: in the order in which they are handed to it.
        plan: all cases as a run, none of them measured: what a case is of which nothing comes.
        task_of: returns what a node is told of a group.
        mend: completes a run that came by what only this machine knows of the project.
        kept: where each run is kept as soon as it is there.
        say: prints a line.
        pace: of looking at the cluster.

    """

    def __init__(
        self,
        cluster: Cluster,
        groups: Sequence[Group],
        *,
        plan: Run,
        task_of: Callable[[Group], Task],
        mend: Callable[[Run], Run],
        kept: Kept,
        say: Callable[[str], None],
        pace: Pace = USUAL,
    ) -> None:
        self.runs: list[Run] = []  # of the groups that have their outcome
        self.status = 0  # the first bad one that pytest ended with
        self.failures = 0  # groups that were lost, each time they were
        self._cluster = cluster
        self._groups = groups
        self._planned: Mapping[str, Record] = {full_name(one.test, one.case): one for one in plan.records}
        self._plan = plan
        self._task_of = task_of
        self._mend = mend
        self._kept = kept
        self._say = say
        self._pace = pace
        self._open = dict.fromkeys(groups)  # that have no outcome yet
        self._at_work: dict[int, Group] = {}  # by the number of the task
        self._attempts: dict[Group, list[_Attempt]] = {group: [] for group in groups}
        self._failed_on: dict[Group, set[str]] = {group: set() for group in groups}
        self._begun_s: dict[int, float] = {}
        self._ended: list[tuple[float, float]] = []  # weight and seconds of each group that came whole
        self._said_s = time.monotonic()
        self._patience = Patience(pace)

    @property
    def left(self) -> int:
        """Cases that have no outcome yet."""
        return sum(len(group.names) for group in self._open)

    def run(self) -> None:
        """Measure all groups.

        Raises:
            ClusterError: where no node is left that could, for longer than anybody should wait.
            KeyboardInterrupt: if this process is told to stop; what is at work is left to the caller.

        """
        for group in self._groups:
            self._submit(group)
        while self._at_work:
            ended = self._cluster.ended(self._pace.look_s)
            for one in ended:
                self._take(one)
            if not ended:
                self._look()

    def _submit(self, group: Group) -> None:
        # A node that fails at once is the free one, and would get each group until that is given up.
        number = self._cluster.submit(self._task_of(group), avoid=self._failed_on[group])
        self._at_work[number] = group

    def _take(self, ended: Ended) -> None:
        group = self._at_work.pop(ended.number)
        self._begun_s.pop(ended.number, None)
        attempt = self._read(group, ended)
        attempts = self._attempts[group]
        attempts.append(attempt)
        if not attempt.problem:
            assert attempt.run is not None
            assert ended.result is not None
            self.status = self.status or ended.result.status
            self._ended.append((group.weight, ended.result.seconds))
            self._settle(group, attempt.run, ended)
            return
        self.failures += 1
        self._failed_on[group].add(ended.node)
        if len(attempts) < ATTEMPTS:
            self._submit(group)
            self._tell(f"{group.title}: {attempt.problem}; runs again (failure {len(attempts)} of {ATTEMPTS})")
        else:
            self._tell(f"{group.title}: {attempt.problem}; given up, for it failed {ATTEMPTS} times")
            self.status = self.status or int(pytest.ExitCode.TESTS_FAILED)
            self._settle(group, self._given_up(group, attempts), ended)

    def _read(self, group: Group, ended: Ended) -> _Attempt:
        """Return what came of *group*."""
        result = ended.result
        if result is None:
            return _Attempt(run=None, problem=ended.failure)
        try:
            run = self._run_of(result)
        except RunFileError as error:
            return _Attempt(run=None, problem=f"what came from {ended.node or 'a node'} is damaged: {error.line}")
        there = set() if run is None else {full_name(record.test, record.case) for record in run.records}
        lost = sum(name not in there for name in group.names)
        moved = [] if run is None else list(differing(code_of(self._plan), code_of(run)))
        if moved:  # a node that came later, which nobody has looked at
            key, planned, found = moved[0]
            return _Attempt(run=None, problem=f"{ended.node or 'a node'} has {key} {found}, planned with {planned}")
        if result.run is not None and not lost:
            return _Attempt(run=run)
        if run is not None and any(record.outcome is Outcome.TIMEOUT for record in run.records):
            return _Attempt(run=self._filled(run, group, "its process ended with a case that did not end in time"))
        what = f"{units.count(lost, 'case')} of {len(group.names)} did not come" if lost else "it died at its end"
        where = f" on {ended.node}" if ended.node else ""
        return _Attempt(run=run, problem=f"{what}{where}: pytest ended with {result.status}: {result.last_line}")

    def _run_of(self, result: Result) -> Run | None:
        if result.run is not None:
            return self._mend(self._kept.read_run(result.run))
        found = None if result.journal is None else self._kept.read_journal(result.journal)
        return None if found is None else self._mend(found)

    def _given_up(self, group: Group, attempts: Sequence[_Attempt]) -> Run:
        """Return what is known of *group*: the most that came at once, and of the rest that it crashed."""
        came = [attempt.run for attempt in attempts if attempt.run is not None]
        base = max(came, key=lambda run: len(run.records), default=None)
        if base is None:
            now = datetime.now(UTC)
            base = replace(self._plan, id=run_id(now), started_at=now.isoformat(timespec="seconds"), records=())
        return self._filled(base, group, f"its group failed {len(attempts)} times: {attempts[-1].problem}")

    def _filled(self, run: Run, group: Group, reason: str) -> Run:
        """Return *run* with the cases of *group* that did not come: they crashed, for this *reason*."""
        there = {full_name(record.test, record.case) for record in run.records}
        lost = [replace(self._planned[name], reason=reason) for name in group.names if name not in there]
        return replace(run, records=(*run.records, *lost), interrupted=False)

    def _settle(self, group: Group, run: Run, ended: Ended) -> None:
        try:
            self._kept.add(run, said="" if ended.result is None else ended.result.said)
        except RunFileError as error:  # the disk is full, say: what others measure is worth waiting for
            self._tell(f"{group.title}: kept in memory alone: {error.line}")
        self.runs.append(run)
        del self._open[group]
        done = len(self._groups) - len(self._open)
        where = f" on {ended.node}" if ended.node else ""
        took = "" if ended.result is None else f" in {units.duration(ended.result.seconds)}"
        bad = sum(record.test_outcome == "failed" for record in run.records)
        cases = units.count(len(run.records), "case") + (f", {bad} failed" if bad else "")
        said = f"[{done}/{len(self._groups)}] {group.title}: {cases}{where}{took}"
        self._tell("; ".join(filter(None, [said, self._state()])))

    def _look(self) -> None:
        """Take note of what runs where; say so after a long silence, and see whether anybody is left."""
        now_s = time.monotonic()
        for number in self._cluster.running():
            self._begun_s.setdefault(number, now_s)
        if now_s - self._said_s > SILENCE_S:
            self._tell(self._state())
        self._patience.check(self._cluster, self._tell)

    def _state(self) -> str:
        now_s = time.monotonic()
        where = self._cluster.running()
        running = [
            Running(
                title=group.title,
                node=where[number],
                weight=group.weight,
                seconds=now_s - self._begun_s.get(number, now_s),
            )
            for number, group in self._at_work.items()
            if number in where
        ]
        state = State(
            places=sum(node.places for node in self._cluster.nodes()),
            ended=self._ended,
            running=running,
            waiting=[group.weight for number, group in self._at_work.items() if number not in where],
            failures=self.failures,
        )
        return str(state)

    def _tell(self, text: str) -> None:
        self._said_s = time.monotonic()
        self._say(text)
