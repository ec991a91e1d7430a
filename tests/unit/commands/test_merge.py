"""``sdbatch merge``: what is written, what is said, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sdbatch.cli import main
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.storage import run_file
from pytest_sdbatch.storage.run_file import read_run_file, write_run

GOOD, FAILED, USAGE_ERROR = 0, 1, 2


def shard(number: int, *sizes: int) -> Path:
    """Store the run of a shard of three in the current folder."""
    records = []
    for size in sizes:
        case = Case(model="m", dtype="fp32", device="cpu", height=8, width=8, steps=1, batch_size=size, batch_count=1)
        rounds = (Round(wall_s=1.0, cpu_s=0.0, call_s=(1.0,)),)
        records.append(Record(test="test_x.py::test_it", case=case, outcome=Outcome.OK, rounds=rounds))
    where = Environment(must_match={"device_name": "Card"}, drift={}, shown={})
    run = Run(
        id=f"run-{number}",
        started_at=f"2026-11-28T10:0{number}:00+00:00",
        environment=where,
        options={"shard": f"{number}/3"},
        records=tuple(records),
    )
    return write_run(Path(f"shard-{number}.json"), [run])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_all_runs_are_in_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a shard that had nothing to measure, too."""
    files = [shard(1, 1, 4), shard(2, 8), shard(3)]

    assert main(["merge", *map(str, files), "-o", "all.json"]) == GOOD
    assert capsys.readouterr() == ("run file: all.json: 3 runs, 3 cases\n", "")
    assert read_run_file(Path("all.json")) == tuple(run for path in files for run in read_run_file(path))


def test_a_shard_that_is_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """On the error stream, for whoever reads a log; the file is written."""
    assert main(["merge", str(shard(1, 1)), str(shard(1 + 1, 4)), "-o", "all.json"]) == GOOD
    assert capsys.readouterr().err == "WARNING: 1 shard missing: 3/3\n"


def test_a_merged_file_can_be_merged_again(capsys: pytest.CaptureFixture[str]) -> None:
    """With the shard that came late; what both hold counts once."""
    main(["merge", str(shard(1, 1)), str(shard(2, 4)), "-o", "two.json"])
    capsys.readouterr()

    assert main(["merge", "two.json", "shard-1.json", str(shard(3, 8)), "-o", "all.json"]) == GOOD
    assert capsys.readouterr() == (
        "run file: all.json: 3 runs, 3 cases\n1 run given twice or gone on with: counted once\n",
        "",
    )


def test_what_a_later_run_lacks_of_the_one_that_it_went_on_with_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """All cases are in the file, each once."""
    whole, fewer = shard(1, 1, 4), shard(2, 1)
    (later,) = read_run_file(fewer)
    later = replace(later, resumed_from="run-1", options={"shard": "1/1"})
    resumed = write_run(Path("later.json"), [later])
    (run,) = read_run_file(whole)
    begun = write_run(Path("begun.json"), [replace(run, options={"shard": "1/1"})])

    assert main(["merge", str(begun), str(resumed), "-o", "all.json"]) == GOOD
    assert capsys.readouterr() == ("run file: all.json: 2 runs, 2 cases\n", "")
    assert [[one.case.batch_size for one in each.records] for each in read_run_file(Path("all.json"))] == [[4], [1]]


def test_a_file_that_is_there_is_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    """An input that was named as the output by mistake is kept."""
    path = shard(1, 1)
    before = path.read_bytes()

    assert main(["merge", str(path), "-o", str(path)]) == FAILED
    assert "shard-1.json exists" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_the_output_is_a_run_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A page of several files is made by sdbatch report."""
    assert main(["merge", str(shard(1, 1)), "-o", "all.html"]) == USAGE_ERROR
    assert "name it all.json" in capsys.readouterr().err


def test_a_damaged_file_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the runs are no result."""
    path = shard(1, 1)
    Path("torn.json").write_bytes(path.read_bytes()[:200])

    assert main(["merge", str(path), "torn.json", "-o", "all.json"]) == FAILED
    assert "torn.json cannot be read" in capsys.readouterr().err
    assert not Path("all.json").exists()


def test_what_could_not_be_read_again_is_not_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run files have a largest size."""
    files = [str(shard(1, 1)), str(shard(2, 4))]
    monkeypatch.setattr(run_file, "MOST_BYTES", Path(files[0]).stat().st_size + 10)

    assert main(["merge", *files, "-o", "all.json"]) == FAILED
    assert "all.json would be too large" in capsys.readouterr().err
    assert not Path("all.json").exists()
