"""A sweep on a cluster from its nodes to its results, on a cluster whose tasks end at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from clusters import Bench, FakeCluster, grid, node, result
from configured import host_with

from pytest_sdbatch.commands.cluster import handshake, ray_cluster
from pytest_sdbatch.commands.cluster.asked import ask
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.job import _measured, measure
from pytest_sdbatch.commands.cluster.machines import Facts, Result, Task
from pytest_sdbatch.commands.cluster.results import Results
from pytest_sdbatch.commands.cluster.runner import Pace
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.measure.repository import Repository

GRID = grid(sd15=(1, 2), sdxl=(1, 2))
HERE = Repository(commit="feed", dirty=True)
Said = list[str]
Sweep = Callable[..., tuple[Results, Said, FakeCluster]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return what nodes hand in of a grid of two pipelines."""
    return Bench(tmp_path, *GRID)


@pytest.fixture
def sweep(pytester: pytest.Pytester, bench: Bench) -> Sweep:
    """Measure the grid on a cluster of two nodes."""

    def run(
        *words: str, work: Callable[[Task, str], Result | str] | None = None, nodes: Sequence[str] = ("a", "b"),
        facts: Facts | None = None, lives: int | None = None,
    ) -> tuple[Results, Said, FakeCluster]:  # fmt: skip
        cluster = FakeCluster(*nodes, work=work or bench, lives=lives)
        if facts is not None:
            cluster.facts["b"] = facts
        said: Said = []
        asked = ask(host_with(pytester, *words))
        results = measure(
            cluster,
            ["benchmarks/", *words],
            asked,
            say=said.append,
            pace=Pace(look_s=0.0, patience_s=0.0),
            repository=HERE,
        )
        results.kept.end(whole=False)  # its files are not written
        return results, said, cluster

    return run


def test_a_node_collects_and_all_measure(sweep: Sweep) -> None:
    """With the arguments that were typed, each group its own cases; the figures carry the commit that was sent."""
    results, said, cluster = sweep("--sd-batch-sizes=1,2")

    assert [task.arguments for task in cluster.submitted] == [
        ("benchmarks/", "--sd-batch-sizes=1,2", "--sd-device=cuda")
    ] * 3
    assert [task.names is None for task in cluster.submitted] == [True, False, False]
    assert (results.left, results.stopped, results.status) == (0, False, 0)
    assert sorted(results.order.values()) == [0, 1, 2, 3]
    assert said[0] == "2 places: a (GPU), b (GPU)"
    assert "2 groups, the longest first" in said
    assert any(line.startswith("cuda:0 (NVIDIA H100 80GB HBM3)") for line in said)
    assert [run.environment.shown["commit"] for run in results.runs] == ["feed", "feed"]


@pytest.mark.parametrize(("kind", "word", "added"), [("CPU", "auto", []), ("L4", "cpu", []), ("L4", "auto", ["cuda"])])
def test_nodes_with_gpus_never_measure_on_their_cpus(
    pytester: pytest.Pytester, bench: Bench, kind: str, word: str, added: list[str]
) -> None:
    """A torch without CUDA on one of them is an error there, unless CPUs are asked for."""
    cluster = FakeCluster("a", work=bench)
    cluster.alive = [node("a", kind=kind)]
    words = [f"--sd-device={word}"]

    measure(cluster, words, ask(host_with(pytester, *words)), say=Said().append, repository=HERE)

    assert cluster.submitted[0].arguments[1:] == tuple(f"--sd-device={one}" for one in added)


def test_a_node_has_the_variables_of_the_caller_or_none(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been started from a shell with options of its own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    variables = sweep()[2].submitted[0].variables

    assert (variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"], variables["PYTEST_ADDOPTS"]) == ("", None)
    assert "HF_HUB_OFFLINE" not in variables


def test_places_without_a_group_are_told(sweep: Sweep) -> None:
    """A curve is not parted for them."""
    assert "2 groups, the longest first; 1 place idle: no curve over batch size is parted" in sweep(nodes="abc")[1]


def test_another_version_on_a_node_ends_it_before_anything_runs(sweep: Sweep) -> None:
    """Not even the collection."""
    ran: list[Task] = []

    def work(task: Task, name: str) -> Result:
        ran.append(task)
        return result()

    facts = Facts(python="3.0", versions=dict(handshake.own_facts().versions))
    with pytest.raises(ClusterError, match="1 node of 2"):
        sweep(work=work, facts=facts)

    assert ran == []


def test_a_node_without_the_files_of_a_model_ends_it_before_anything_is_measured(sweep: Sweep, bench: Bench) -> None:
    """Another node has collected them."""
    ran: list[Task] = []

    def work(task: Task, name: str) -> Result:
        ran.append(task)
        beside = {"seconds": [1.0] * 4, "paths": ["/models/own"]}
        return result(run=bench(task, name).run, plan=json.dumps(beside).encode())

    own = handshake.own_facts()
    with pytest.raises(ClusterError, match="1 node of 2 cannot load a model"):
        sweep(work=work, facts=Facts(python=own.python, versions=own.versions, missing=("/models/own",)))

    assert [task.names for task in ran] == [None]


@pytest.mark.parametrize(
    ("came", "what", "why"),
    [
        (
            result(status=4, said="line\nERROR: model './own': no such folder\n  do:  check the path"),
            "a cannot collect the benchmarks",
            "model './own': no such folder\n  do:  check the path",
        ),
        (result(status=5, said="no tests collected"), "there is no benchmark", "no tests collected"),
        ("a died", "the benchmarks were not collected: a died", ""),
    ],
)
def test_what_cannot_be_collected_is_one_error(sweep: Sweep, came: Result | str, what: str, why: str) -> None:
    """In pytest's words."""
    with pytest.raises(ClusterError) as raised:
        sweep(work=lambda task, name: came)

    assert (raised.value.what, raised.value.why) == (what, why)


def stops(bench: Bench, after: int) -> Callable[[Task, str], Result]:
    """Return what nodes hand in until somebody presses Ctrl-C."""
    done: list[Task] = []

    def work(task: Task, name: str) -> Result:
        if len(done) > after:
            raise KeyboardInterrupt
        done.append(task)
        return bench(task, name)

    return work


def test_what_came_before_it_was_stopped_is_kept_and_gone_on_with(sweep: Sweep, bench: Bench) -> None:
    """Only the rest is measured, and the table says which rows are old."""
    stopped, _, _ = sweep(work=stops(bench, 1))
    assert (stopped.stopped, stopped.left, len(stopped.runs)) == (True, 2, 1)

    results, said, cluster = sweep("--sd-resume")

    assert [task.names and len(task.names) for task in cluster.submitted] == [None, 2]
    assert any(line.startswith("resuming the sweep of ") and line.endswith(": 2 cases kept") for line in said)
    assert {run.id for run in stopped.runs} < {run.id for run in results.runs}
    assert "there are changes that are not committed: the kept cases may have run other code" in said
    assert set(results.kept_from) == {one.key for one in stopped.runs[0].records}
    assert results.left == 0
    results.kept.end(whole=True)
    assert "nothing to resume: the last sweep of these tests ended whole" in sweep("--sd-resume")[1]


def test_a_resumed_sweep_that_is_stopped_early_forgets_nothing(sweep: Sweep, bench: Bench) -> None:
    """It has measured nothing itself, and hands on what it went on with."""
    stopped, _, _ = sweep(work=stops(bench, 1))
    again, _, _ = sweep("--sd-resume", work=stops(bench, 0))
    assert (again.stopped, again.left) == (True, 2)

    results, said, cluster = sweep("--sd-resume")

    assert [task.names and len(task.names) for task in cluster.submitted] == [None, 2]
    assert any(line.endswith(": 2 cases kept") for line in said)
    assert {run.id for run in stopped.runs} < {run.id for run in results.runs}


def test_a_resumed_sweep_in_which_nothing_is_left_measures_nothing(sweep: Sweep, bench: Bench) -> None:
    """Its files could not be written."""
    sweep()

    results, said, cluster = sweep("--sd-resume")

    assert len(cluster.submitted) == 1
    assert "every case was measured before" in said
    assert (results.left, len(results.runs)) == (0, 2)


def test_other_options_are_not_gone_on_with(sweep: Sweep, bench: Bench) -> None:
    """Named, with both values."""
    sweep(work=stops(bench, 1))
    bench.plan = replace(bench.plan, options={"steps": "2"})

    with pytest.raises(RunFileError, match="--sd-resume: batch_sizes was"):
        sweep("--sd-resume")


def test_where_no_node_is_left_what_came_is_kept(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is said, and the sweep can be gone on with."""
    results, _, _ = sweep(lives=2)

    assert (results.left, results.stopped, len(results.runs)) == (2, False, 1)
    assert "ERROR: no node is left" in capsys.readouterr().err


def test_who_does_not_wait_for_what_is_at_work_to_end_loses_nothing(
    pytester: pytest.Pytester, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C, while the tasks of the cluster are taken back."""

    @contextmanager
    def connected(*_: object, **__: object) -> Iterator[FakeCluster]:
        yield FakeCluster("a", work=stops(bench, 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(ray_cluster, "connected", connected)
    monkeypatch.setenv("HOME", "/nowhere")  # the project is no home
    monkeypatch.setenv("USERPROFILE", "/nowhere")

    results = _measured("ray", ["benchmarks/"], ask(host_with(pytester)))

    assert (results.stopped, results.left, len(results.runs)) == (True, 2, 1)


def test_where_the_node_that_collects_dies_another_one_does(sweep: Sweep, bench: Bench) -> None:
    """As with a group."""

    def work(task: Task, name: str) -> Result | str:
        return "a died" if task.names is None and name == "a" else bench(task, name)

    results, said, _ = sweep("--sd-batch-sizes=1,2", work=work)

    assert results.left == 0
    assert "the cases were not collected: a died" in said


def test_where_nobody_is_left_to_collect_it_ends(sweep: Sweep) -> None:
    """Not as if others had all places."""
    with pytest.raises(ClusterError, match="no node is left that could run it"):
        sweep("--sd-batch-sizes=1,2", work=lambda task, name: f"{name} died", lives=1)
