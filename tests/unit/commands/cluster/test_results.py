"""What is shown and written of a sweep on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clusters import grid, planned
from configured import host_with
from reported import record, run

from pytest_sdbatch import read_run_file
from pytest_sdbatch.commands.cluster.asked import Asked, ask
from pytest_sdbatch.commands.cluster.kept import Kept
from pytest_sdbatch.commands.cluster.results import Results, show
from pytest_sdbatch.records import Outcome, Run

GRID = grid(sd15=(1, 2), sdxl=(1, 2))


@pytest.fixture
def asked(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Return what a sweep is asked for that writes a run file and a report."""
    monkeypatch.setenv("COLUMNS", "100")
    return ask(host_with(pytester, "--sd-report=all.json", "--sd-report=all.md"))


def results(*runs: Run, **changes: Any) -> Results:
    """Return results of *runs*."""
    usual: dict[str, Any] = {
        "runs": runs, "order": {one.key: number for number, one in enumerate(GRID)}, "kept_from": {}, "left": 0,
        "stopped": False, "status": 0, "kept": Kept.begin(Path.cwd(), planned(*GRID), selection=""), "over": (),
    }  # fmt: skip
    return Results(**{**usual, **changes})


def test_the_table_has_the_order_of_the_grid_and_the_file_all_runs(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever group came first."""
    status = show(results(run(*GRID[2:], number=1), run(*GRID[:2], number=2)), asked)

    printed = capsys.readouterr().out
    assert status == 0
    assert printed.index("sd15-random") < printed.index("sdxl-random")
    assert "sdbatch: run file: " in printed
    assert ": 2 runs, 4 cases" in printed
    assert "sdbatch: runs and last lines of each process: .sdbatch/sweep-2" in printed
    assert [len(one.records) for one in read_run_file(Path("all.json"))] == [2, 2]
    assert Path("all.md").exists()
    assert "\non " not in printed
    assert [path.name for path in Path(".sdbatch").glob("sweep-*/whole")] == ["whole"]


def test_kinds_of_devices_have_a_table_each(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """Their figures are not for comparing."""
    other = run(*GRID[2:], number=2, where={"device_name": "NVIDIA L4", "device_uuid": "b"})

    show(results(run(*GRID[:2], number=1), other), asked)

    printed = capsys.readouterr().out
    assert "\non NVIDIA H100 80GB HBM3:" in printed
    assert "\non NVIDIA L4:" in printed


def test_what_was_stopped_says_how_to_go_on(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """With pytest's exit status for it; what came is written."""
    status = show(results(run(*GRID[:2]), left=2, stopped=True), asked)

    assert status == pytest.ExitCode.INTERRUPTED
    assert "interrupted with 2 cases to go: the same command with --sd-resume" in capsys.readouterr().out
    assert len(read_run_file(Path("all.json"))) == 1


def test_cases_without_an_outcome_are_no_success(asked: Asked) -> None:
    """As where no node was left."""
    assert show(results(run(*GRID[:2]), left=2), asked) == pytest.ExitCode.TESTS_FAILED


def test_a_bad_status_of_a_node_is_the_exit_status(asked: Asked) -> None:
    """A test failed there."""
    bad = run(record(1, model="sd15", outcome=Outcome.CRASHED, rounds=(), test_outcome="failed"))

    assert show(results(bad, status=1), asked) == 1


def test_a_file_that_cannot_be_written_is_said(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """What came is kept beside the journals all the same."""
    Path("all.json").touch()

    came = results(run(*GRID))

    assert show(came, asked) == pytest.ExitCode.TESTS_FAILED
    out, err = capsys.readouterr()
    assert "ERROR: " in err
    assert "nothing is lost: the same command with --sd-resume writes what could not be written" in out
    assert not (came.kept.folder / "whole").exists()


def test_of_nothing_nothing_is_written(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """Stopped before the first group came."""
    show(results(left=4, stopped=True), asked)

    assert not Path("all.json").exists()
    assert "run file" not in capsys.readouterr().out
