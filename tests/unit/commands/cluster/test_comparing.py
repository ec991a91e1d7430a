"""A comparison on a cluster, whose tasks end at once: what it is told, what it has to say, and what is lost."""

from __future__ import annotations

import io
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from clusters import FakeCluster, result

from pytest_sdbatch.analysis.comparison import Comparison
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.commands.ab.command_line import Given, read
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.job import JobResult
from pytest_sdbatch.commands.cluster import comparing
from pytest_sdbatch.commands.cluster.comparing import Came, compare_with
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.handshake import own_facts
from pytest_sdbatch.commands.cluster.machines import Ended, Facts, Result, Task
from pytest_sdbatch.commands.cluster.runner import Pace
from pytest_sdbatch.errors import SdbatchError

GIVEN = ("--base=main", "--on=ray", "--", "benchmarks/")
FOLDER = ".sdbatch/ab-20261129T000000000000Z"
OLD = Facts(python="3.8", versions={})
Compare = Callable[..., JobResult]


def given(*words: str) -> Given:
    """Return what the command is given."""
    return read(words or GIVEN)


def came(of: JobResult | SdbatchError, **files: str) -> Result:
    """Return what a node hands in."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{FOLDER}/{name}.json", text)
    return result(comparison=pickle.dumps(Came(result=of, files=made.getvalue(), facts=own_facts())))


def job_result(*, interrupted: bool = False) -> JobResult:
    """Return what a job came to."""
    found = Comparison(cases=(), base=(), candidate=(), config=Config(), explanations=(), pairs=2)
    return JobResult(comparison=found, lines=("a line",), interrupted=interrupted, invalid=None)


@pytest.fixture
def said() -> list[str]:
    """Return where lines of progress go."""
    return []


@pytest.fixture
def compare(tmp_path: Path, said: list[str]) -> Compare:
    """Compare on a cluster, with no patience."""

    def run(
        cluster: FakeCluster, *words: str, device: str = "auto", until_s: float | None = None, look_s: float = 0.0
    ) -> JobResult:
        return compare_with(
            cluster, given(*words), folder="sub", root=tmp_path, device=device, say=said.append, until_s=until_s,
            pace=Pace(look_s=look_s, patience_s=0.0),
        )  # fmt: skip

    return run


def test_one_task_is_all_of_a_comparison(compare: Compare, tmp_path: Path, said: list[str]) -> None:
    """So that every pair is run on one device; a GPU is asked for where there are any; its files are kept here."""
    cluster = FakeCluster("a", "b", work=lambda task, name: came(job_result(), base="{}"))
    cluster.lines = ["base: installed into an environment of its own"]

    found = compare(cluster)

    assert found == job_result()
    (task,) = cluster.submitted
    assert task.compares is not None
    assert task.compares.base == "main"
    assert task.compares.arguments[0] == "benchmarks/"
    assert task.compares.arguments[-1] == "--sd-device=cuda"
    assert (task.folder, task.names) == ("sub", None)
    assert said == ["2 places: a (GPU), b (GPU)", "base: installed into an environment of its own"]
    assert (tmp_path / FOLDER / "base.json").read_text() == "{}"
    assert (tmp_path / ".sdbatch" / ".gitignore").exists()


def test_what_ends_it_on_the_node_ends_it_here(compare: Compare) -> None:
    """With all that is said of it."""
    error = NoComparison("both sides ran the same code", why="because", fix="do that")

    with pytest.raises(NoComparison) as raised:
        compare(FakeCluster("a", work=lambda task, name: came(error)))

    assert (raised.value.what, raised.value.why, raised.value.fix) == (error.what, "because", "do that")


def test_a_node_that_is_lost_has_all_pairs_run_again_elsewhere(compare: Compare, said: list[str]) -> None:
    """From the first one: pairs of two devices are not of one comparison."""

    def work(task: Task, name: str) -> Result | str:
        return "a died" if name == "a" else came(job_result())

    cluster = FakeCluster("a", "b", work=work)

    assert compare(cluster) == job_result()
    assert said[1:] == ["a died; it begins again (failure 1 of 3)"]
    assert cluster.submitted[0] == cluster.submitted[1]


def test_what_is_lost_three_times_is_given_up(compare: Compare, said: list[str]) -> None:
    """With what its process said last."""
    cluster = FakeCluster("a", work=lambda task, name: result(status=1, said="Traceback\nMemoryError\n\n"))

    with pytest.raises(ClusterError, match="lost 3 times") as raised:
        compare(cluster)

    assert raised.value.why == "a: it ended with 1: MemoryError"
    assert said[-1] == "a: it ended with 1: MemoryError; given up (failure 3 of 3)"


def test_the_minutes_count_from_the_command(compare: Compare) -> None:
    """What sending took is not the node's any more, nor is what an attempt before took."""
    cluster = FakeCluster("a", "b", work=lambda task, name: "a died" if name == "a" else came(job_result()))

    compare(cluster, "--minutes=30", *GIVEN, until_s=time.monotonic() + 60)

    first, second = (left_s or 0.0 for left_s in cluster.left_s)
    assert 50 < second < first <= 60


def test_where_no_time_is_left_nothing_is_handed_in(compare: Compare) -> None:
    """Sending took all of it."""
    cluster = FakeCluster("a", work=lambda task, name: came(job_result()))

    with pytest.raises(NoComparison, match="over before anything was compared"):
        compare(cluster, until_s=0.0)

    assert cluster.submitted == []


class Slow(FakeCluster):
    """A cluster whose task ends when it is told to."""

    places = 1
    interrupts = 0
    dies_at_once = False

    def ended(self, wait_s: float) -> list[Ended]:
        """Return the task once it was told to end; before that a user may lose patience."""
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        if self.dies_at_once:
            self.kill("a")
        return list(super().ended(wait_s)) if self.told_to_end else []

    def running(self) -> dict[int, str]:
        """Return the task if there is a place for it."""
        return dict(super().running()) if self.places else {}


def slow(of: JobResult, *, places: int = 1, interrupts: int = 0) -> Slow:
    """Return such a cluster."""
    cluster = Slow("a", work=lambda task, name: came(of))
    cluster.places, cluster.interrupts = places, interrupts
    return cluster


def test_where_its_time_is_over_before_a_place_was_free_nothing_is_compared(compare: Compare) -> None:
    """And said."""
    with pytest.raises(NoComparison, match="over before a place was free"):
        compare(slow(job_result(), places=0), until_s=time.monotonic() + 1)


def test_a_node_that_does_not_end_in_time_is_not_waited_for(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a while to judge what it has, for it began with what time was left."""
    monkeypatch.setattr(comparing, "_END_S", 0.1)

    with pytest.raises(NoComparison, match="did not end the comparison in time"):
        compare(slow(job_result()), until_s=time.monotonic() + 1)


def test_verdicts_do_not_wait_for_room_on_the_disk(compare: Compare, tmp_path: Path) -> None:
    """What could not be kept is said beside them."""
    (tmp_path / ".sdbatch").write_text("a file")

    found = compare(FakeCluster("a", work=lambda task, name: came(job_result(), base="{}")))

    assert found.comparison == job_result().comparison
    assert found.lines[-1].startswith("runs and outputs were not kept: ")


def test_a_user_who_stops_it_keeps_the_pairs(compare: Compare, said: list[str]) -> None:
    """The node is told, and its verdicts are waited for."""
    cluster = slow(job_result(interrupted=True), interrupts=1)

    assert compare(cluster).interrupted
    assert cluster.told_to_end
    assert said[-1].startswith("stopping: the pairs that were run are kept")


@pytest.mark.parametrize(("places", "interrupts"), [(0, 1), (1, 2)])
def test_nobody_waits_for_what_has_not_begun_or_twice(compare: Compare, places: int, interrupts: int) -> None:
    """There are no pairs yet, or the user does not want them."""
    with pytest.raises(KeyboardInterrupt):
        compare(slow(job_result(), places=places, interrupts=interrupts))


def test_a_node_of_another_version_is_refused(compare: Compare) -> None:
    """Before anything runs there."""
    cluster = FakeCluster("a", "b", work=lambda task, name: came(job_result()))
    cluster.facts["b"] = OLD

    with pytest.raises(ClusterError, match="1 node of 2 cannot run"):
        compare(cluster)

    assert cluster.submitted == []


@pytest.mark.parametrize("late", [pickle.dumps(Came(result=NoComparison("x"), files=b"", facts=OLD)), b"no pickle"])
def test_what_a_node_of_another_version_hands_in_is_refused(compare: Compare, late: bytes) -> None:
    """It came when the others had been asked."""
    with pytest.raises(ClusterError, match="a came later, and is no good"):
        compare(FakeCluster("a", work=lambda task, name: result(comparison=late)))


def test_where_no_node_is_left_it_ends(compare: Compare) -> None:
    """After a while."""
    cluster = slow(job_result())
    cluster.dies_at_once = True

    with pytest.raises(ClusterError, match="no node is left that could run it"):
        compare(cluster)
