"""A cluster whose tasks end when they are asked for, and runs as its nodes hand them in."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reported import record, run

from pytest_sdbatch.commands.cluster.handshake import own_facts
from pytest_sdbatch.commands.cluster.machines import Ended, Facts, Node, Result, Task
from pytest_sdbatch.records import Outcome, Record, Run, full_name
from pytest_sdbatch.session import run_id
from pytest_sdbatch.storage.run_file import write_run

Work = Callable[[Task, str], Result | str]  # what comes of a task on a node: a result, or why it was lost


def node(name: str, *, places: int = 1, kind: str = "GPU") -> Node:
    """Return a node that is called *name*."""
    return Node(key=f"key of {name}", name=name, places=places, kind=kind)


def planned(*records: Record) -> Run:
    """Return *records* as a run of which nothing came."""
    bare = [
        replace(one, outcome=Outcome.CRASHED, reason="it was not measured", rounds=(), memory_round=None,
                test_outcome="failed")
        for one in records
    ]  # fmt: skip
    return run(*bare, interrupted=True)


def grid(**sizes: Sequence[int]) -> tuple[Record, ...]:
    """Return sound records of models, each with its batch sizes."""
    return tuple(record(size, model=model) for model, of_model in sizes.items() for size in of_model)


class FakeCluster:
    """Implements :class:`~pytest_sdbatch.commands.cluster.machines.Cluster`.

    Args:
        names: of its nodes, each with one place.
        work: what comes of a task on a node.
        lives: tasks after which all nodes are gone; None: they stay.

    """

    def __init__(self, *names: str, work: Work, lives: int | None = None) -> None:
        self.alive = [node(name) for name in names]
        self.submitted: list[Task] = []
        self.left_s: list[float | None] = []  # of each of them
        self.facts: dict[str, Facts | str] = {}  # by name; the others say what this machine does
        self.stopped = False
        self.told_to_end = False
        self.lines: list[str] = []
        self.work = work
        self._lives = lives
        self._queue: list[int] = []
        self._avoid: dict[int, Collection[str]] = {}  # by the number of the task

    def nodes(self) -> Sequence[Node]:
        """Return those that were not killed."""
        return tuple(self.alive)

    def kill(self, name: str) -> None:
        """Let a node be gone."""
        self.alive = [one for one in self.alive if one.name != name]

    def ask(
        self, nodes: Sequence[Node], packages: Sequence[str], *, folder: str, paths: Sequence[str] = ()
    ) -> Mapping[str, Facts | str]:
        """Return what each says."""
        return {one.key: self.facts.get(one.name, own_facts()) for one in nodes}

    def submit(self, task: Task, *, avoid: Collection[str] = (), left_s: float | None = None) -> int:
        """Take *task*."""
        self.submitted.append(task)
        self.left_s.append(left_s)
        self._queue.append(len(self.submitted))
        self._avoid[len(self.submitted)] = set(avoid)
        return len(self.submitted)

    def running(self) -> Mapping[int, str]:
        """Return as many of the oldest tasks as there are nodes."""
        return {number: one.name for number, one in zip(self._queue, self.alive, strict=False)}

    def ended(self, wait_s: float) -> Sequence[Ended]:
        """End the oldest task, on the first node that is good for it: the others are never free."""
        if not self._queue or not self.alive:
            return ()
        number = self._queue.pop(0)
        names = [one.name for one in self.alive]
        name = next((name for name in names if name not in self._avoid[number]), names[0])
        came = self.work(self.submitted[number - 1], name)
        if number == self._lives:
            self.alive = []
        if isinstance(came, str):
            return [Ended(number=number, node=name, result=None, failure=came)]
        return [Ended(number=number, node=name, result=came)]

    def heard(self) -> Sequence[str]:
        """Return what the tasks that have ended said."""
        lines, self.lines = self.lines, []
        return lines

    def enough(self) -> None:
        """Take note of it."""
        self.told_to_end = True

    def stop(self) -> None:
        """Take note of it."""
        self.stopped = True


class FakeCaller:
    """Implements :class:`~pytest_sdbatch.commands.cluster.machines.Caller`.

    Args:
        enough: returns whether it has enough.
        seconds: that are left for the task; None: as many as it takes.

    """

    def __init__(self, enough: Callable[[], bool], seconds: float | None = None) -> None:
        self.lines: list[str] = []
        self._enough = enough
        self._seconds = seconds

    def hear(self, line: str) -> None:
        """Keep *line*."""
        self.lines.append(line)

    def left_s(self) -> float | None:
        """Return what was said."""
        return self._seconds

    def has_enough(self) -> bool:
        """Return what was said."""
        return self._enough()


class Bench:
    """What nodes hand in of the cases of a grid.

    Args:
        folder: for files.
        records: of the grid, as they will be measured.

    """

    def __init__(self, folder: Path, *records: Record) -> None:
        self.records = {full_name(one.test, one.case): one for one in records}
        self.plan = planned(*records)
        self._folder = folder

    def __call__(self, task: Task, name: str) -> Result:
        """Collect, or measure the cases that *task* names."""
        if task.names is None:
            beside = {"seconds": [1.0 for _ in self.records], "paths": []}
            return result(run=self._bytes(self.plan), plan=json.dumps(beside).encode())
        return result(run=self.run_of(task.names))

    def run_of(self, names: Sequence[str], **changes: Any) -> bytes:
        """Return the run file of a process that measured the cases *names*."""
        made = run(*(self.records[name] for name in names), **changes)
        return self._bytes(replace(made, id=self.new_id()))

    @staticmethod
    def new_id() -> str:
        """Return an id that no other run has."""
        return run_id(datetime.now(UTC))

    def _bytes(self, of: Run) -> bytes:
        path = write_run(self._folder / f"{self.new_id()}.json", [of])
        return path.read_bytes()


def result(**changes: Any) -> Result:
    """Return a result of a process that ended well, or what *changes* make of it."""
    return Result(**{"status": 0, "said": "1 passed", "seconds": 2.0, **changes})
