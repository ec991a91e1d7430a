"""What a sweep knows of a cluster: nodes that are asked, and tasks that are handed to it and end on one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_sdbatch.commands.ab.command_line import Given

CPU = "CPU"  # what a group gets on a node without a GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of a cluster that runs groups."""

    key: str  # tells it from all others
    name: str  # for the reader
    places: int  # groups that it runs at once, each on a device of its own
    kind: str  # what a group gets there: H100, GPU, CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a node, or this machine, says of itself."""

    python: str  # 3.11
    versions: Mapping[str, str | None]  # by package; None: it is not installed
    missing: tuple[str, ...] = ()  # of the paths that it was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A pytest, or a comparison, that a node runs in a process of its own."""

    arguments: tuple[str, ...] = ()  # of pytest
    names: tuple[str, ...] | None = None  # of the cases that it runs; None: it collects, and runs none
    compares: Given | None = None  # what `sdbatch ab` is given, in place of a pytest
    folder: str = "."  # that it is called in, as seen from the root of the project
    variables: Mapping[str, str | None] = field(default_factory=dict)  # of the process; None: it has none of that name


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a task."""

    status: int  # that pytest ended with
    said: str  # the last lines that it printed
    seconds: float
    run: bytes | None = None  # its run file; None: it died before it could write one
    journal: bytes | None = None  # what it had finished when it died
    plan: bytes | None = None  # of one that collects: what is known of the cases beside the run
    comparison: bytes | None = None  # of one that compares: what came of it

    @property
    def last_line(self) -> str:
        """What it printed last."""
        return next((line.strip() for line in reversed(self.said.splitlines()) if line.strip()), "it printed nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A task that has come to its end, or was lost."""

    number: int
    node: str  # its name; empty: nobody knows
    result: Result | None  # None: it was lost
    failure: str = ""  # and why


class Caller(Protocol):
    """Who has handed a task to a node, as the node reaches it."""

    def hear(self, line: str) -> None:
        """Take a line of progress."""

    def left_s(self) -> float | None:
        """Return the seconds in which the task is to end; None: when it is done."""

    def has_enough(self) -> bool:
        """Return whether the task is to end with what it has."""


class Cluster(Protocol):
    """Places tasks on nodes, each with a device of its own, as :class:`~.ray_cluster.RayCluster` does."""

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that are alive and run groups."""

    def ask(
        self, nodes: Sequence[Node], packages: Sequence[str], *, folder: str, paths: Sequence[str] = ()
    ) -> Mapping[str, Facts | str]:
        """Return, by key, what each of *nodes* says, or why it cannot.

        Args:
            nodes: that are asked.
            packages: whose versions it tells.
            folder: from which *paths* are seen, as seen from the root of the project.
            paths: that must be there.
        """

    def submit(self, task: Task, *, avoid: Collection[str] = (), left_s: float | None = None) -> int:
        """Hand *task* to the cluster, and return the number by which it is known.

        Args:
            task: what a node runs.
            avoid: names of nodes that get it only where there is no other.
            left_s: within which a comparison is to end, seconds from now; None: when it is done.
        """

    def running(self) -> Mapping[int, str]:
        """Return the tasks that have begun, as far as that is known, each with the name of its node."""

    def ended(self, wait_s: float) -> Sequence[Ended]:
        """Return tasks that have ended and were not returned before; none where *wait_s* seconds brought none."""

    def heard(self) -> Sequence[str]:
        """Return the lines of progress that tasks have said and that were not returned before."""

    def enough(self) -> None:
        """Tell the comparisons that run to end with what they have."""

    def stop(self) -> None:
        """Take back what has not ended: no process of it is left."""
