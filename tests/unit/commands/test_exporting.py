"""``sdbatch report --format``: what is written, what is said, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from readers import bencher_metrics, custom_benchmark

from pytest_sdbatch.cli import main
from pytest_sdbatch.commands.exporting import FORMATS, export_runs
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.report.exports import EXPORTS
from pytest_sdbatch.storage.run_file import write_run

GOOD, FAILED, USAGE_ERROR = 0, 1, 2


def record(batch_size: int, outcome: Outcome = Outcome.OK) -> Record:
    """Return a case of a second per call."""
    case = Case(
        model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=batch_size, batch_count=1
    )
    rounds = tuple(Round(wall_s=1.0, cpu_s=0.0, call_s=(1.0,)) for _ in range(6)) if outcome is Outcome.OK else ()
    return Record(test="test_x.py::test_it", case=case, outcome=outcome, rounds=rounds)


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Store a run of three cases, of which one did not fit, in the current folder."""
    monkeypatch.chdir(tmp_path)
    where = Environment(must_match={"device_name": "Card"}, drift={}, shown={})
    records = (record(1), record(4), record(8, Outcome.OOM))
    return write_run(
        Path("run.json"), [Run(id="1", started_at="2026-11-28", environment=where, options={}, records=records)]
    )


def test_every_format_can_be_named() -> None:
    """The command line and the writers know the same."""
    assert set(FORMATS) == set(EXPORTS)


def test_a_file_says_who_reads_it_and_what_is_not_in_it(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for the file, one for the cases that a tracker cannot be told of."""
    assert export_runs("github-action-benchmark", [run_file], [Path("speed.json")]) == GOOD

    said = capsys.readouterr()
    assert said.out == "speed.json: 2 figures (images per second); to be read by tool: customBiggerIsBetter\n"
    assert said.err == "left out, without figures: 1 case (1 oom)\n"
    assert [entry["value"] for entry in custom_benchmark(Path("speed.json").read_text())] == [1.0, 4.0]


def test_without_a_file_it_is_printed_alone(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a pipe; a run that is named twice counts once."""
    assert export_runs("bencher", [run_file, run_file], []) == GOOD

    assert len(bencher_metrics(capsys.readouterr().out)) == 2


def test_an_earlier_export_is_replaced_and_nothing_else(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A job that runs again finds its file; a run file or a note of somebody's is not written over."""
    for name in FORMATS:
        assert export_runs(name, [run_file], [Path("out.json")]) == GOOD
    before = run_file.read_bytes()
    Path("note.json").write_text("{}")

    assert export_runs("bencher", [run_file], [run_file]) == FAILED
    assert export_runs("bencher", [run_file], [Path("note.json")]) == FAILED

    assert run_file.read_bytes() == before
    assert Path("note.json").read_text() == "{}"
    assert "run.json exists" in capsys.readouterr().err


def test_the_command_writes_it_and_refuses_what_it_has_no_use_for(
    run_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is pasted from the page on trackers."""
    words = ["report", str(run_file), "--format", "bencher"]

    assert main([*words, "-o", "metrics.json"]) == GOOD
    assert len(bencher_metrics(Path("metrics.json").read_text())) == 2
    assert main([*words, "--price", "2/h", "--baseline", "b.json"]) == USAGE_ERROR
    assert "--format with --baseline and --price" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outputs", "said", "status"),
    [
        (("a.json", "b.json"), "with 2 files", USAGE_ERROR),
        (("report.html",), "name it report.json", USAGE_ERROR),
        (("no/a.json",), "does not exist", FAILED),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    outputs: tuple[str, ...], said: str, status: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The run file is not even there."""
    assert export_runs("bencher", [tmp_path / "missing.json"], list(map(Path, outputs))) == status
    assert said in capsys.readouterr().err
