"""Groups until each has an outcome, on a cluster that loses what it is told to."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from clusters import Bench, FakeCluster, Work, grid, result

from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.groups import groups_of
from pytest_sdbatch.commands.cluster.kept import Kept, earlier
from pytest_sdbatch.commands.cluster.machines import Result, Task
from pytest_sdbatch.commands.cluster.runner import Pace, Runner
from pytest_sdbatch.records import Outcome, Record
from pytest_sdbatch.storage.journal import Entry, Journal

GRID = grid(sd15=(1, 2), sdxl=(1, 2))


class Sweep:
    """A runner of four cases in two groups, and what it said."""

    def __init__(self, folder: Path, work: Work | None = None, *, nodes: Sequence[str] = ("a", "b")) -> None:
        (folder / "files").mkdir()
        self.bench = Bench(folder / "files", *GRID)
        self.cluster = FakeCluster(*nodes, work=work or self.bench)
        self.said: list[str] = []
        self.kept = Kept.begin(folder, self.bench.plan, selection="")
        self.runner = Runner(
            self.cluster,
            groups_of(self.bench.plan.records, [1.0, 1.0, 3.0, 3.0], places=2),
            plan=self.bench.plan,
            task_of=lambda group: Task(arguments=(), names=group.names),
            mend=lambda run: run,
            kept=self.kept,
            say=self.said.append,
            pace=Pace(look_s=0.0, patience_s=0.0),
        )

    def outcomes(self) -> dict[tuple[str | None, int], Outcome]:
        """Return what came of each case."""
        records = [one for run in self.runner.runs for one in run.records]
        return {(one.case.model, one.case.batch_size): one.outcome for one in records}


ALL_OK = dict.fromkeys([("sd15", 1), ("sd15", 2), ("sdxl", 1), ("sdxl", 2)], Outcome.OK)


def test_all_groups_are_measured_the_longest_first(tmp_path: Path) -> None:
    """Each run is on the disk as soon as it is there, and the last line says how many are done."""
    sweep = Sweep(tmp_path)

    sweep.runner.run()

    assert sweep.outcomes() == ALL_OK
    assert (sweep.runner.status, sweep.runner.failures, sweep.runner.left) == (0, 0, 0)
    assert sweep.said == [
        "[1/2] sdxl-random bf16: 2 cases on a in 2.00 s; 1 running: sd15-random bf16 on a; about 1 s left",
        "[2/2] sd15-random bf16: 2 cases on a in 2.00 s",
    ]
    sweep.kept.end(whole=False)
    kept = earlier(tmp_path, selection="")
    assert not isinstance(kept, str)
    assert sorted(run.id for run in kept.runs) == sorted(run.id for run in sweep.runner.runs)


def test_a_group_whose_node_dies_runs_again_elsewhere(tmp_path: Path) -> None:
    """And is counted as a failure."""
    sweep = Sweep(tmp_path)

    def work(task: Task, name: str) -> Result | str:
        if name == "a":
            sweep.cluster.kill("a")
            return "a died"
        return sweep.bench(task, name)

    sweep.cluster.work = work
    sweep.runner.run()

    assert sweep.outcomes() == ALL_OK
    assert (sweep.runner.status, sweep.runner.failures) == (0, 1)
    assert "sdxl-random bf16: a died; runs again (failure 1 of 3)" in sweep.said
    assert sweep.said[-1].endswith("on b in 2.00 s; 1 failure")


def test_a_node_that_fails_at_once_does_not_eat_the_sweep(tmp_path: Path) -> None:
    """It is always free, and gets each group first; none of them is handed to it again."""
    sweep = Sweep(tmp_path)

    def work(task: Task, name: str) -> Result:
        return result(status=1, said="No space left on device") if name == "a" else sweep.bench(task, name)

    sweep.cluster.work = work
    sweep.runner.run()

    assert sweep.outcomes() == ALL_OK
    assert sweep.runner.failures == 2


def test_a_group_that_fails_three_times_is_an_outcome(tmp_path: Path) -> None:
    """Its cases crashed, with the reason; the other group is measured."""
    sweep = Sweep(tmp_path)

    def work(task: Task, name: str) -> Result:
        if "sdxl" in str(task.names):
            return result(status=137, said="Fatal Python error\nKilled\n")
        return sweep.bench(task, name)

    sweep.cluster.work = work
    sweep.runner.run()

    assert sweep.outcomes() == {**ALL_OK, ("sdxl", 1): Outcome.CRASHED, ("sdxl", 2): Outcome.CRASHED}
    assert (sweep.runner.status, sweep.runner.failures, len(sweep.cluster.submitted)) == (1, 3, 4)
    (lost,) = [run for run in sweep.runner.runs if run.records[0].outcome is Outcome.CRASHED]
    assert lost.environment == sweep.bench.plan.environment
    assert lost.id != sweep.bench.plan.id
    assert lost.records[0].reason == (
        "its group failed 3 times: 2 cases of 2 did not come on a: pytest ended with 137: Killed"
    )


def test_what_a_process_had_finished_when_it_died_is_not_lost(tmp_path: Path) -> None:
    """Where it dies each time: the case that kills it crashed, those before it were measured."""
    sweep = Sweep(tmp_path)

    def work(task: Task, name: str) -> Result:
        if "sdxl" in str(task.names):
            return result(status=139, journal=journal(tmp_path, sweep.bench, GRID[2]))
        return sweep.bench(task, name)

    sweep.cluster.work = work
    sweep.runner.run()

    assert sweep.outcomes() == {**ALL_OK, ("sdxl", 2): Outcome.CRASHED}


def test_a_case_that_hangs_is_a_result(tmp_path: Path) -> None:
    """It ends its process, as it would end the next; what was to follow crashed, and nothing is run again."""
    sweep = Sweep(tmp_path)
    hangs = replace(GRID[2], outcome=Outcome.TIMEOUT, rounds=(), test_outcome="failed")

    def work(task: Task, name: str) -> Result:
        if "sdxl" in str(task.names):
            return result(status=1, journal=journal(tmp_path, sweep.bench, hangs))
        return sweep.bench(task, name)

    sweep.cluster.work = work
    sweep.runner.run()

    assert sweep.outcomes() == {**ALL_OK, ("sdxl", 1): Outcome.TIMEOUT, ("sdxl", 2): Outcome.CRASHED}
    assert (sweep.runner.status, sweep.runner.failures, len(sweep.cluster.submitted)) == (1, 0, 2)
    reasons = {one.reason for run in sweep.runner.runs for one in run.records if one.outcome is Outcome.CRASHED}
    assert reasons == {"its process ended with a case that did not end in time"}


def journal(folder: Path, bench: Bench, *records: Record) -> bytes:
    """Return the journal of a process that died behind *records*."""
    made = Journal(folder / "journals", replace(bench.plan, id=bench.new_id(), records=()))
    for one in records:
        made.add(Entry(record=one, options={}))
    made.close(whole=False)
    return made.path.read_bytes()


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (result(run=b"{}"), "what came from a is damaged"),
        (result(status=5, said="no tests ran"), "2 cases of 2 did not come on a: pytest ended with 5: no tests ran"),
        (result(status=4, said=""), "pytest ended with 4: it printed nothing"),
    ],
)
def test_what_did_not_come_is_told_with_what_pytest_said(tmp_path: Path, came: Result, said: str) -> None:
    """So that nobody has to look for it on a node."""
    sweep = Sweep(tmp_path, lambda task, name: came)

    sweep.runner.run()

    assert any(said in line for line in sweep.said)
    assert set(sweep.outcomes().values()) == {Outcome.CRASHED}


def test_a_node_that_came_later_with_another_version_is_not_believed(tmp_path: Path) -> None:
    """Only those that were there at the beginning were looked at."""
    sweep = Sweep(tmp_path)

    def work(task: Task, name: str) -> Result:
        assert task.names is not None
        return result(run=sweep.bench.run_of(task.names, where={"diffusers": "0.1"}))

    sweep.cluster.work = work
    sweep.runner.run()

    assert set(sweep.outcomes().values()) == {Outcome.CRASHED}
    assert sweep.said[0].endswith("a has diffusers 0.1, planned with 0.42.1; runs again (failure 1 of 3)")


def test_a_run_that_cannot_be_kept_on_the_disk_is_not_lost(tmp_path: Path) -> None:
    """Full, or gone: it is said, and the sweep goes on with what it has in memory."""
    sweep = Sweep(tmp_path)
    (kept,) = (tmp_path / ".sdbatch").glob("sweep-*")
    shutil.rmtree(kept)

    sweep.runner.run()

    assert sweep.outcomes() == ALL_OK
    assert sum("kept in memory alone: " in line for line in sweep.said) == 2


def test_a_group_is_left_until_its_run_is_there(tmp_path: Path) -> None:
    """Where Ctrl-C comes between the end of its task and that it has no outcome."""

    def work(task: Task, name: str) -> Result:
        return result(run=sweep.bench(task, name).run, said=Stops("1 passed"))

    sweep = Sweep(tmp_path)
    sweep.cluster.work = work

    with pytest.raises(KeyboardInterrupt):
        sweep.runner.run()

    assert sweep.runner.left == 4


class Stops(str):
    """Text of a process; whoever writes it down is interrupted."""

    def __format__(self, spec: str) -> str:
        raise KeyboardInterrupt


def test_a_failed_test_is_a_result_and_the_exit_status(tmp_path: Path) -> None:
    """It is not run again: it would fail there, too."""
    sweep = Sweep(tmp_path)

    def work(task: Task, name: str) -> Result:
        made = sweep.bench(task, name)
        return result(run=made.run, status=1)

    sweep.cluster.work = work
    sweep.runner.run()

    assert (sweep.runner.status, sweep.runner.failures, len(sweep.cluster.submitted)) == (1, 0, 2)


def test_where_no_node_is_left_it_ends_with_what_came(tmp_path: Path) -> None:
    """Once it has waited for one."""
    sweep = Sweep(tmp_path, nodes=("a",))

    def work(task: Task, name: str) -> Result:
        sweep.cluster.kill("a")
        return sweep.bench(task, name)

    sweep.cluster.work = work

    with pytest.raises(ClusterError, match="no node is left"):
        sweep.runner.run()

    assert "no node is left that could run it; waiting for one" in sweep.said
    assert sweep.outcomes() == {("sdxl", 1): Outcome.OK, ("sdxl", 2): Outcome.OK}
    assert sweep.runner.left == 2
