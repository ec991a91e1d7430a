"""``sdbatch compare`` as a script runs it: a process of its own, its exit status, and what it prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.cli import main
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.storage.run_file import write_run

COMMAND = (sys.executable, "-c", "import sys; from pytest_sdbatch.cli import main; sys.exit(main())")
QUIET = (0.0, 0.001, -0.001, 0.002, -0.002)
ENVIRONMENT = Environment(must_match={"device_name": "Card"}, drift={"torch": "2.13"}, shown={"commit": "abc"})


def sdbatch_compare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*."""
    command = [*COMMAND, "compare", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def record(call_s: float, **fields: Any) -> Record:
    """Return a case of six rounds."""
    case = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=1, batch_count=1)
    rounds = tuple(Round(wall_s=call_s, cpu_s=0.0, call_s=(call_s,), peak_allocated_bytes=2**30) for _ in range(6))
    usual = {"test": "test_x.py::test_it", "outcome": Outcome.OK, "memory_source": "peak_allocated_bytes"}
    return Record(**{**usual, "case": case, "rounds": rounds, **fields})


def write(path: Path, call_s: float, *, runs: int = 1, environment: Environment = ENVIRONMENT, **fields: Any) -> Path:
    """Write a file of quiet runs of one case."""
    made = Run(id="", started_at="2026-11-25", environment=environment, options={}, records=())
    return write_run(
        path,
        [
            replace(made, id=f"{path.stem}{number}", records=(record(call_s * (1 + luck), **fields),))
            for number, luck in enumerate(QUIET[:runs])
        ],
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Store five runs."""
    return write(tmp_path / "base.json", 1.0, runs=5)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["main", "--candidate", "new.json"], "did you mean benchmarks/baselines/main/card.json?"),
        (["benchmarks/baselines/main", "--candidate", "new.json"], "did you mean benchmarks/baselines/main/card.json?"),
        (["two", "--candidate", "new.json"], "benchmarks/baselines/two/a.json, benchmarks/baselines/two/b.json"),
        (["base.json", "new.json"], "do:  sdbatch compare base.json --candidate new.json"),
        (["base.json"], "do:  sdbatch compare base.json --candidate NEW.json"),
    ],
)
def test_the_file_or_the_command_that_was_meant_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """The gate knows baselines by name; here the files are named."""
    monkeypatch.chdir(tmp_path)
    for file in ("main/card.json", "two/a.json", "two/b.json"):
        path = tmp_path / "benchmarks" / "baselines" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert main(["compare", *words]) in (ExitStatus.NOT_COMPARED, ExitStatus.USAGE)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call_s", "arguments", "status", "last"),
    [
        (1.0, (), ExitStatus.GOOD, "1 case compared: 0 regressed, 0 improved, 1 unchanged"),
        (0.8, (), ExitStatus.GOOD, "1 case compared: 0 regressed, 1 improved"),
        (1.1, (), ExitStatus.REGRESSED, "1 case compared: 1 regressed"),
        (1.1, ("--drift=20%",), ExitStatus.GOOD, "inconclusive: 1 case"),
        (1.1, ("--tolerance=12%",), ExitStatus.GOOD, "inconclusive: 1 case"),
        (1.1, ("--tolerance=15%",), ExitStatus.GOOD, "1 case compared: 0 regressed, 0 improved, 1 unchanged"),
        (1.02, (), ExitStatus.GOOD, "inconclusive: 1 case"),
        (1.02, ("--fail-on=inconclusive",), ExitStatus.INCONCLUSIVE, "inconclusive: 1 case"),
    ],
)
def test_the_exit_status_is_the_verdict(
    tmp_path: Path, base: Path, call_s: float, arguments: tuple[str, ...], status: int, last: str
) -> None:
    """A script needs nothing else; the last lines say the same in words."""
    write(tmp_path / "new.json", call_s)

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json", *arguments)

    assert (done.returncode, done.stderr) == (status, "")
    assert any(line.startswith(last) for line in done.stdout.splitlines()[-4:])


def test_a_regression_goes_before_what_is_inconclusive(tmp_path: Path, base: Path) -> None:
    """10 is the first that applies of 10 and 11: memory decides here, time does not."""
    rounds = tuple(Round(wall_s=1.02, cpu_s=0.0, call_s=(1.02,), peak_allocated_bytes=2**31) for _ in range(6))
    write(tmp_path / "new.json", 1.02, rounds=rounds)

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json", "--fail-on=inconclusive")

    assert done.returncode == ExitStatus.REGRESSED
    assert "1.00 GiB before, 2.00 GiB now" in done.stdout


def test_out_of_memory_where_the_base_was_well_is_a_regression(tmp_path: Path, base: Path) -> None:
    """There is no time to compare, and none is needed."""
    write(tmp_path / "new.json", 1.0, outcome=Outcome.OOM, rounds=(), reason="no memory")

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json")

    assert done.returncode == ExitStatus.REGRESSED
    assert "outcome: ok before, oom now: no memory" in done.stdout


def test_another_device_is_incomparable_before_it_is_regressed(tmp_path: Path, base: Path) -> None:
    """12 is the first that applies; the fact that moved is named."""
    other = replace(ENVIRONMENT, must_match={"device_name": "Other card"})
    write(tmp_path / "new.json", 9.0, environment=other)

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json")

    assert done.returncode == ExitStatus.NOT_COMPARED
    assert "incomparable: device name Card -> Other card" in done.stdout


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"foreign_processes": 1}, "other processes used the device during 1 case"),
        ({"outcome": Outcome.THROTTLED, "reason": "heat"}, "1 case throttled in every round"),
        ({"outcome": Outcome.INVALID_ENVIRONMENT, "rounds": (), "reason": "crowded"}, "invalid environment: crowded"),
    ],
)
def test_a_candidate_in_an_invalid_environment_is_13(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    """Before another device, and before slower: what was measured says nothing of the code. The reason comes last."""
    write(tmp_path / "base.json", 1.0, runs=5)
    write(tmp_path / "new.json", 9.0, environment=replace(ENVIRONMENT, must_match={"device_name": "Other"}), **fields)

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json")
    data = json.loads(sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json", "--json").stdout)

    assert done.returncode == data["exit_status"] == ExitStatus.INVALID_ENVIRONMENT
    assert done.stdout.splitlines()[-1] == f"sdbatch: {said}"
    assert data["notes"] == [said]


def test_the_base_may_have_had_company(tmp_path: Path) -> None:
    """That was to be said when it was recorded, and blames nothing on the candidate's code."""
    write(tmp_path / "base.json", 1.0, runs=5, foreign_processes=1)
    write(tmp_path / "new.json", 1.0, foreign_processes=0)

    assert sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json").returncode == ExitStatus.GOOD


def test_skipped_by_both_sides_is_not_compared(tmp_path: Path) -> None:
    """Nothing compared never ends with 0."""
    for name in ("base", "new"):
        write(tmp_path / f"{name}.json", 1.0, outcome=Outcome.SKIPPED, rounds=(), reason="no GPU")

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json")

    assert done.returncode == ExitStatus.NOT_COMPARED
    assert "0 cases compared" in done.stdout


def test_several_files_are_several_runs(tmp_path: Path) -> None:
    """In any shell: a list behind each, or the option again."""
    for number in range(5):
        write(tmp_path / f"run{number}.json", 1.0 + QUIET[number])

    lists = sdbatch_compare(tmp_path, "run0.json", "run1.json", "--candidate", "run2.json", "run3.json", "run4.json")
    again = sdbatch_compare(tmp_path, "run0.json", *(f"--candidate=run{number}.json" for number in (1, 2, 3, 4)))

    assert (lists.returncode, again.returncode) == (ExitStatus.GOOD, ExitStatus.GOOD)
    assert "base: 2 runs in run0.json, run1.json" in lists.stdout
    assert "candidate: 4 runs" in again.stdout
    assert "1 unchanged" in lists.stdout


def test_machines_read_the_same(tmp_path: Path, base: Path) -> None:
    """--json prints one object on stdout, with the exit status in it."""
    write(tmp_path / "new.json", 1.1)

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json", "--json")

    data = json.loads(done.stdout)
    assert done.returncode == data["exit_status"] == ExitStatus.REGRESSED
    assert data["cases"][0]["verdict"] == "regressed"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_cannot_be_believed_ends_with_12(tmp_path: Path, base: Path, as_json: bool) -> None:
    """File and key are in the message, on stderr; for machines in an object on stdout too."""
    new = write(tmp_path / "new.json", 1.0)
    new.write_text(new.read_text().replace('"outcome":"ok"', '"outcome":"fine"', 1))

    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "new.json", *(["--json"] if as_json else []))

    assert done.returncode == ExitStatus.NOT_COMPARED
    assert done.stderr.startswith("ERROR: new.json cannot be read: benchmarks[0].sdbatch.runs[0].record.outcome")
    assert ("exit_status" in done.stdout) is as_json
    if as_json:
        assert "new.json" in json.loads(done.stdout)["error"]


def test_the_base_is_no_candidate(tmp_path: Path, base: Path) -> None:
    """A file against itself would always be unchanged."""
    done = sdbatch_compare(tmp_path, "base.json", "--candidate", "./base.json")

    assert done.returncode == ExitStatus.NOT_COMPARED
    assert "a run is given twice" in done.stderr


@pytest.mark.parametrize(
    ("node", "status", "said"),
    [
        ("host", ExitStatus.REGRESSED, "1 case compared: 1 regressed"),
        ("other", ExitStatus.NOT_COMPARED, "incomparable: node host -> other"),
    ],
)
def test_plain_files_of_pytest_benchmark_are_compared(tmp_path: Path, node: str, status: int, said: str) -> None:
    """Where machine_info tells the same machine; else they are incomparable."""
    for number, luck in enumerate(QUIET):
        slower, machine = (2.0, node) if number == 4 else (1.0, "host")
        benchmark = {"fullname": "t.py::test_a", "stats": {"data": [slower * (1 + luck)] * 6}}
        text = json.dumps({"benchmarks": [benchmark], "machine_info": {"node": machine}})
        (tmp_path / f"{number}.json").write_text(text)

    done = sdbatch_compare(tmp_path, *(f"{number}.json" for number in range(4)), "--candidate=4.json")

    assert done.returncode == status
    assert said in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("base.json",), "--candidate"),
        (("--candidate", "new.json"), "BASE.json"),
        (("base.json", "--candidate", "new.json", "--drift=3"), "--drift=3: not a share"),
        (("base.json", "--candidate", "new.json", "--fail-on=improved"), "improved"),
    ],
)
def test_a_wrong_command_line_is_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Before any file is opened."""
    done = sdbatch_compare(tmp_path, *arguments)

    assert done.returncode == ExitStatus.USAGE
    assert said in done.stderr


def test_the_help_lists_every_exit_status(tmp_path: Path) -> None:
    """Whoever writes the script looks there."""
    text = sdbatch_compare(tmp_path, "--help").stdout

    statuses = re.findall(r"^ +(\d+)  ", text.partition("the first that applies:")[2], re.MULTILINE)
    assert [int(number) for number in statuses] == [status for status in ExitStatus if status != ExitStatus.STOPPED]
