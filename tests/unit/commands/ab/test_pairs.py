"""The pairs of a job, with processes that write their run at once."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.analysis.sides import Place
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.pairs import PairRunner
from pytest_sdbatch.commands.ab.process import Collected, Ended, Side
from pytest_sdbatch.commands.ab.proof import Code
from pytest_sdbatch.commands.ab.sides import Sides
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.storage.run_file import write_run

NAME = "test_x.py::test_it[fp32-8x8-s4-b{}x1]"


def name_of(batch_size: int) -> str:
    """Return the name of a case."""
    return NAME.format(batch_size)


class Processes:
    """Stands for processes: each takes what it is told to, and writes a run of what it was asked for."""

    def __init__(self, *sizes: int, seconds: float = 10.0, round_s: float = 0.1, **changes: Any) -> None:
        self.sizes = sizes
        self.seconds = seconds
        self.round_s = round_s
        self.changes = changes
        self.asked: list[tuple[str, Sequence[str] | None, str | None, tuple[str, ...]]] = []
        self.stop_at: int | None = None  # which process is stopped
        self.state: dict[str, Outcome] = {}  # by side
        self.code = {"base": "b", "candidate": "c"}
        self.silent: str | None = None  # the side that leaves no run
        self.silent_at: tuple[int, ...] = ()  # which processes leave none
        self.deadly: dict[str, str] = {}  # by side, the case that kills its process

    def __call__(
        self,
        side: Side,
        arguments: Sequence[str],
        *,
        stem: Path,
        names: Sequence[str] | None,
        left_out: Collection[str],
        steps: str | None,
        until_s: float | None,
    ) -> Ended:
        """Write what a process would."""
        self.asked.append((side.name, names, steps, tuple(arguments)))
        ended = Ended(
            status=0,
            stopped=self.stop_at == len(self.asked),
            seconds=self.seconds,
            run_file=stem.with_suffix(".json"),
            output=stem.with_suffix(".log"),
            code=code(self.code[side.name]),
            collected={},
            running=name_of(self.sizes[-1]),
        )
        ended.output.write_text("the end\n")
        if self.silent == side.name or len(self.asked) in self.silent_at:
            return replace(ended, status=3)
        outcome = self.state.get(side.name, Outcome.OK)
        records = [
            record(size, int(steps or 4), outcome, self.round_s)
            for size in self.sizes
            if names is None or name_of(size) in names
            if name_of(size).replace("-s4-", f"-s{steps}-") not in left_out
        ]
        deadly = [at for at, size in enumerate(self.sizes) if name_of(size) == self.deadly.get(side.name)]
        if deadly and len(records) > deadly[0]:
            records[deadly[0] :] = [record(self.sizes[deadly[0]], 4, Outcome.CRASHED, 0.0)]
            ended = replace(ended, code=None, status=134, died=True)
        environment = Environment(must_match={"device_kind": "cpu"}, drift={}, shown={})
        run = Run(
            id=f"run{len(self.asked)}", started_at="now", environment=environment, options={}, records=tuple(records)
        )
        write_run(ended.run_file, [run])
        return ended


def record(batch_size: int, steps: int, outcome: Outcome, round_s: float) -> Record:
    """Return a case of ten rounds, if it went well."""
    rounds = (
        tuple(Round(wall_s=round_s, cpu_s=0.0, call_s=(round_s,)) for _ in range(10)) if outcome.has_numbers else ()
    )
    case = Case(
        model=None, dtype="fp32", device="cpu", height=8, width=8, steps=steps, batch_size=batch_size, batch_count=1
    )
    reason = None if outcome is Outcome.OK else "broken"
    return Record(test="test_x.py::test_it", case=case, outcome=outcome, rounds=rounds, reason=reason)


def code(digest: str, plugin: str = "p") -> Code:
    """Return what a process imported."""
    return Code(plugin_version="1", plugin_hash=plugin, modules={"app": ("/x/tree/app.py", digest)}, rest={})


class Job:
    """A runner, its processes, and what it said."""

    def __init__(
        self, folder: Path, processes: Processes, *, minutes: float | None = None, fixed_steps: bool = False
    ) -> None:
        side = Side(name="base", label="main", python=Path("python"), called_in=folder, variables=None)
        cases = dict.fromkeys(map(name_of, processes.sizes))
        places = {name: Place(test="test_x.py::test_it", case=name) for name in cases}
        self.said: list[str] = []
        self.runner = PairRunner(
            Sides(
                base=side,
                candidate=replace(side, name="candidate", label="the working tree"),
                collected=Collected(
                    cases=cases, budgets={}, places=places, files=(), conftests=(), configuration=None, root=folder
                ),
                callers_tree=Path("/work"),
            ),
            ["benchmarks/"],
            folder=folder,
            plugin=code("x"),
            deadline_s=None if minutes is None else time.monotonic() + 60 * minutes,
            fixed_steps=fixed_steps,
            say=self.said.append,
            run=processes,
        )


def test_sides_take_turns(tmp_path: Path) -> None:
    """AB BA to screen, AB BA BA AB and BA AB AB BA to decide: what drifts meets both alike at each look."""
    processes = Processes(1)
    job = Job(tmp_path, processes)

    first, more = job.runner.more(None, 2), job.runner.more((name_of(1),), 8)

    assert (len(first), len(more)) == (2, 8)
    assert "".join(side[0] for side, *_ in processes.asked) == "bccb" + "bccbcbbc" + "cbbcbccb"
    assert first[0][0].file == "main"
    assert {names and tuple(names) for _, names, *_ in processes.asked[4:]} == {(name_of(1),)}


def test_progress_and_time_are_told(tmp_path: Path) -> None:
    """What a process did, what the job takes once that is known, and what is left."""
    job = Job(tmp_path, Processes(1, 4))

    job.runner.more(None, 2)

    assert job.said == [
        "pair 1, base: 2 cases in 10.0 s",
        "pair 1, candidate: 2 cases in 10.0 s",
        "in all about 1 min 52 s where 4 more pairs of one case decide, 3 min 20 s where 10 pairs of 2 cases do",
        "1 more pair of all cases: about 20 s left, then what looks slower or faster",
        "pair 2, candidate: 2 cases in 10.0 s",
        "pair 2, base: 2 cases in 10.0 s",
    ]
    job.said.clear()

    job.runner.more((name_of(1),), 4)
    job.runner.more((name_of(1),), 4)

    assert [line for line in job.said if "decide" in line] == [
        "1 case: 4 pairs to decide",
        "1 case: 4 more pairs to decide",
    ]


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_stopped_it_gives_the_whole_pairs(tmp_path: Path, at: int) -> None:
    """Half a pair is none, and its file is gone; nothing is run after that."""
    processes = Processes(1)
    processes.stop_at = at
    job = Job(tmp_path, processes)

    came = job.runner.more(None, 2)

    assert len(came) == (at - 1) // 2
    assert job.runner.interrupted
    assert not job.runner.out_of_time
    assert len(list(tmp_path.glob("*.json"))) == 2 * len(came)


def test_a_side_that_hangs_until_the_time_is_over_is_named(tmp_path: Path) -> None:
    """No pair came; who stopped it was the clock."""
    processes = Processes(1, 4)
    processes.stop_at = 2
    job = Job(tmp_path, processes, minutes=1e-9, fixed_steps=True)

    assert job.runner.more(None, 2) == []
    assert job.runner.out_of_time
    assert job.runner.hung == f"the candidate was at {name_of(4)}"
    assert not job.runner.interrupted


def test_a_pair_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    """What was run by then is given."""
    job = Job(tmp_path, Processes(1, seconds=100.0, round_s=0.01), minutes=3)

    assert len(job.runner.more(None, 2)) == 1
    assert job.runner.out_of_time
    assert not job.runner.interrupted


def test_where_time_is_short_the_first_cases_run_on(tmp_path: Path) -> None:
    """In the order in which they are asked for; of the pairs that come later all take part."""
    processes = Processes(1, 2, 4, seconds=30.0, round_s=1.0)  # three cases of 10 s
    job = Job(tmp_path, processes, minutes=220 / 60, fixed_steps=True)  # four pairs of all take 240 s
    job.runner.more(None, 2)

    job.runner.more((name_of(4), name_of(1), name_of(2)), 4)

    assert {names for _, names, _, _ in processes.asked[4:]} == {(name_of(4), name_of(1))}
    assert "to end in time: 2 of 3 cases run on" in job.said

    job.runner.more((name_of(1), name_of(2)), 4)

    assert processes.asked[-1][1] == (name_of(1), name_of(2))


def test_a_short_time_is_fitted_into(tmp_path: Path) -> None:
    """Fewer rounds and steps from the first process on, which is run again; then without the longest cases."""
    processes = Processes(1, 4, seconds=60.0, round_s=2.9)  # two cases of 29 s, 2 s of its own
    job = Job(tmp_path, processes, minutes=1)

    came = job.runner.more(None, 2)

    assert [steps for _, _, steps, _ in processes.asked][:2] == ["4", "1"]
    assert processes.asked[1][3] == ("benchmarks/", "-o", "sd_max_rounds=5")
    assert "to end in time: at most 5 rounds, 1 step; the base runs again" in job.said
    assert len(job.runner.left_out) == 1
    assert {len(run.cases) for run in came[-1]} == {1}
    assert all(set(run.cases).isdisjoint(job.runner.left_out) for pair in came for run in pair)


def test_steps_that_were_asked_for_stay(tmp_path: Path) -> None:
    """Then cases are left out sooner; nobody runs a process again for that."""
    processes = Processes(1, 4, seconds=60.0, round_s=2.9)
    job = Job(tmp_path, processes, minutes=3, fixed_steps=True)

    job.runner.more(None, 1)

    assert {steps for _, _, steps, _ in processes.asked} == {None}
    assert len(processes.asked) == 2


def refused(job: Job) -> NoComparison:
    """Return why the first pairs are refused."""
    with pytest.raises(NoComparison) as found:
        job.runner.more(None, 2)
    return found.value


def test_a_base_that_ran_nothing_ends_the_job(tmp_path: Path) -> None:
    """Without a run, or with broken cases alone; its last words are in the message."""
    silent, broken = Processes(1), Processes(1)
    silent.silent = "base"
    broken.state = {"base": Outcome.CRASHED}

    for number, processes in enumerate((silent, broken)):
        folder = tmp_path / str(number)
        folder.mkdir()
        error = refused(Job(folder, processes))
        assert error.what.startswith("the base ran none of 1 case that the candidate runs")
        assert "the end" in error.why


def test_broken_on_both_sides_is_no_comparison(tmp_path: Path) -> None:
    """Else a job in which nothing runs would be green. Why it broke comes before what was printed."""
    processes = Processes(1)
    processes.state = dict.fromkeys(("base", "candidate"), Outcome.CRASHED)

    error = refused(Job(tmp_path, processes))

    assert error.what == "no case ran to its end on either side"
    assert error.why.splitlines()[0] == "crashed: broken"
    assert "the end" in error.why


def test_a_candidate_that_leaves_no_run_ends_the_job(tmp_path: Path) -> None:
    """A process that dies is no verdict."""
    processes = Processes(1)
    processes.silent = "candidate"

    assert refused(Job(tmp_path, processes)).what == "a process of the candidate left no run (exit status 3)"


def test_the_same_code_ends_the_job_after_a_pair(tmp_path: Path) -> None:
    """Before anything else is run."""
    processes = Processes(1)
    processes.code = dict.fromkeys(("base", "candidate"), "same")

    assert refused(Job(tmp_path, processes)).what == "both sides ran the same code"
    assert len(processes.asked) == 2


def test_of_a_process_that_dies_another_takes_over_the_rest(tmp_path: Path) -> None:
    """The case that killed it is crashed, those before it are kept, those behind it are run; the proof is there."""
    processes = Processes(1, 4, 8)
    processes.deadly = {"candidate": name_of(4)}
    job = Job(tmp_path, processes)

    came = job.runner.more(None, 2)

    assert [[m.state for m in candidate.cases.values()] for _, candidate in came] == [["ok", "crashed", "ok"]] * 2
    assert "".join(side[0] for side, *_ in processes.asked) == "bccccb"
    assert f"pair 1, candidate: the process died in {name_of(4)}" in job.said


def test_a_case_that_kills_its_process_is_run_alone_once(tmp_path: Path) -> None:
    """Nothing is left for another process; what is the same code is not refused before it is known."""
    processes = Processes(1)
    processes.deadly = {"candidate": name_of(1)}

    came = Job(tmp_path, processes).runner.more(None, 2)

    assert [candidate.cases[name_of(1)].state for _, candidate in came] == ["crashed", "crashed"]
    assert len(processes.asked) == 4


def test_a_short_time_is_fitted_into_by_the_neighbour_of_a_process_that_died(tmp_path: Path) -> None:
    """By what leaves the names of cases alone, since the other side has its run; both have the same cases."""
    processes = Processes(1, 4, seconds=60.0, round_s=2.9)
    processes.deadly = {"base": name_of(4)}
    job = Job(tmp_path, processes, minutes=1)

    ((base, candidate),) = job.runner.more(None, 2)

    assert {steps for _, _, steps, _ in processes.asked} == {"4"}
    assert list(base.cases) == list(candidate.cases) == [name_of(1)]
    assert list(job.runner.left_out) == [name_of(4)]


@pytest.mark.parametrize(("silent", "came"), [((3,), 2), ((3, 4), 1)])
def test_a_later_process_that_leaves_nothing_costs_no_verdict(
    tmp_path: Path, silent: tuple[int, ...], came: int
) -> None:
    """It is run again; the second one in its place ends the job with the pairs that are there."""
    processes = Processes(1)
    processes.silent_at = silent
    job = Job(tmp_path, processes)

    assert len(job.runner.more(None, 2)) == came
    assert (job.runner.gave_up is not None) == (came == 1)
    assert not job.runner.interrupted
