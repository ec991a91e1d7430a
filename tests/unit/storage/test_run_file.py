"""Run files: what is written is read again, and by pytest-benchmark's own command line; damage is never believed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.records import Compilation, Environment, Outcome, Record, Round, Run
from pytest_sdbatch.storage.run_file import read_run_file, write_run

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]
FROZEN = Path(__file__).parent / "frozen"


def test_what_is_written_is_read_again(tmp_path: Path, two_runs: tuple[Run, Run]) -> None:
    """Runs, their order, the order of their records and every outcome survive."""
    path = write_run(tmp_path / "run.json", two_runs)

    assert read_run_file(path) == two_runs


def test_the_rounds_of_all_runs_stand_where_pytest_benchmark_looks(tmp_path: Path, two_runs: tuple[Run, Run]) -> None:
    """One entry per case with numbers, its data all kept rounds; cases without numbers are no entries."""
    document = json.loads(write_run(tmp_path / "run.json", two_runs).read_text())

    entries = {entry["params"]["sd_batch_size"]: entry for entry in document["benchmarks"]}
    assert {size: entry["stats"]["data"] for size, entry in entries.items()} == {
        4: [0.5, 0.25, 0.75, 0.5, 0.5, 0.5],
        8: [1.0, 1.25, 1.5],
    }
    assert entries[4]["fullname"] == "benchmarks/test_x.py::test_text_to_image[tiny-sd-fp32-64x64-s4-b4x1]"
    assert entries[4]["name"] == "test_text_to_image[tiny-sd-fp32-64x64-s4-b4x1]"
    assert [stored["run"] for stored in entries[8]["sdbatch"]["runs"]] == ["run-1", "run-2"]
    assert len(document["sdbatch"]["without_numbers"]) == 1


def test_a_wrong_output_never_counts_as_fast(tmp_path: Path, make_record: MakeRecord, make_run: MakeRun) -> None:
    """The rounds of invalid output are kept, but pytest-benchmark and its readers do not see them."""
    run = make_run(make_record(0.001, 0.001, 0.001, outcome=Outcome.INVALID_OUTPUT, reason="constant"))

    path = write_run(tmp_path / "run.json", [run])

    assert json.loads(path.read_text())["benchmarks"] == []
    assert read_run_file(path) == (run,)


def test_numbers_are_finite_for_a_single_round(tmp_path: Path, make_record: MakeRecord, make_run: MakeRun) -> None:
    """github-action-benchmark breaks on NaN: the spread of one round is 0."""
    path = write_run(tmp_path / "run.json", [make_run(make_record(0.5))])

    (entry,) = json.loads(path.read_text(), parse_constant=pytest.fail)["benchmarks"]
    assert entry["stats"]["stddev"] == 0.0
    assert entry["stats"]["ops"] == 2.0


def pytest_benchmark(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest-benchmark's command line."""
    command = [sys.executable, "-m", "pytest_benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)


def test_pytest_benchmarks_command_line_compares_our_files(
    tmp_path: Path, two_runs: tuple[Run, Run], make_record: MakeRecord, make_run: MakeRun
) -> None:
    """`pytest-benchmark compare A B` shows both files case by case, also grouped by our parameters, also as CSV."""
    write_run(tmp_path / "base.json", two_runs[:1])
    write_run(tmp_path / "new.json", [make_run(make_record(0.75, 0.75, 0.75, batch_size=4), id="run-3")])

    result = pytest_benchmark(
        "compare", "base.json", "new.json", "--group-by=param:sd_batch_size", "--csv=out", cwd=tmp_path
    )

    assert result.returncode == 0, result.stderr
    assert "sd_batch_size=4': 2 tests" in result.stdout
    assert "sd_batch_size=8': 1 tests" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if "b4x1" in line and "new" in line]
    assert "750.0000" in row
    assert "tiny-sd" in (tmp_path / "out.csv").read_text()


def test_readers_of_the_two_actions_find_their_fields(tmp_path: Path, two_runs: tuple[Run, Run]) -> None:
    """github-action-benchmark and Bencher read these keys, all of them numbers."""
    document = json.loads(write_run(tmp_path / "run.json", two_runs).read_text())

    assert {"machine_info", "commit_info", "datetime", "version"} <= set(document)
    assert document["commit_info"]["id"] == "0123abc"
    for entry in document["benchmarks"]:
        assert isinstance(entry["fullname"], str)
        for name in ("ops", "stddev", "mean", "rounds", "median", "iqr"):
            assert isinstance(entry["stats"][name], (int, float))


def test_the_file_is_made_for_diffs(
    tmp_path: Path, two_runs: tuple[Run, Run], make_record: MakeRecord, make_run: MakeRun
) -> None:
    """A line per case, a newline at the end; the same text when written twice, and after reading."""
    text = write_run(tmp_path / "a.json", two_runs).read_text()
    again = write_run(tmp_path / "b.json", read_run_file(tmp_path / "a.json")).read_text()
    other = [make_record(0.5, batch_size=1), make_record(0.25, batch_size=2)]
    one = write_run(tmp_path / "1.json", [make_run(*other)]).read_text().splitlines()
    changed = [other[0], make_record(0.75, batch_size=2)]
    two = write_run(tmp_path / "2.json", [make_run(*changed)]).read_text().splitlines()

    assert again == text
    assert text.endswith("}\n")
    assert [before != after for before, after in zip(one, two, strict=True)].count(True) == 1


def test_a_record_of_thirty_rounds_is_small(tmp_path: Path, make_record: MakeRecord, make_run: MakeRun) -> None:
    """A case more costs less than 5,000 bytes, so that the 10,000 cases of the largest grid fit what is read."""
    seconds = [0.123456789 + index / 977 for index in range(30)]
    sizes = []
    for count in (1, 11):
        records = [make_record(*seconds, batch_size=size) for size in range(1, count + 1)]
        sizes.append(write_run(tmp_path / f"{count}.json", [make_run(*records)]).stat().st_size)

    assert (sizes[1] - sizes[0]) / 10 < 5000


def test_nothing_is_no_run_file(tmp_path: Path, make_run: MakeRun, make_record: MakeRecord) -> None:
    """No run, the same run twice, the same case twice: refused, and nothing is left behind."""
    record = make_record(0.5)
    for runs, message in (
        ([], "no run to store"),
        ([make_run(), make_run()], "two runs have the id"),
        ([make_run(record, record)], "two records of"),
    ):
        with pytest.raises(RunFileError, match=message):
            write_run(tmp_path / "run.json", runs)
    assert list(tmp_path.iterdir()) == []


def test_two_devices_of_one_case_are_two_entries(tmp_path: Path, make_run: MakeRun, make_record: MakeRecord) -> None:
    """Rounds of a CPU and a GPU never end up in one list, though test and id are the same."""
    runs = (make_run(make_record(0.5), id="a"), make_run(make_record(0.25, device="cuda:0"), id="b"))

    path = write_run(tmp_path / "run.json", runs)

    assert [entry["stats"]["data"] for entry in json.loads(path.read_text())["benchmarks"]] == [[0.5], [0.25]]
    assert read_run_file(path) == runs


@given(name=st.text(min_size=1, max_size=12))
def test_any_model_name_survives(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Brackets, ../, control characters and HTML in names change nothing but the text."""
    case = Case(model=name, dtype="fp32", device="cpu", height=8, width=8, steps=1, batch_size=1, batch_count=1)
    record = Record(
        test=f"t.py::{name}", case=case, outcome=Outcome.OK, rounds=(Round(wall_s=1, cpu_s=1, call_s=(1,)),)
    )
    run = Run(
        id="a",
        started_at="",
        environment=Environment(must_match={}, drift={}, shown={}),
        options={},
        records=(record,),
    )

    path = write_run(tmp_path_factory.mktemp("names") / "run.json", [run])

    assert path.read_bytes().isascii()
    assert read_run_file(path) == (run,)


def damage(path: Path, change: Callable[[Any], object]) -> None:
    """Let *change* edit the document of the file at *path*."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


DAMAGE: dict[str, tuple[Callable[[Any], object], str]] = {
    "unknown key at the top": (lambda d: d.update(extra=1), r"extra: unknown key"),
    "unknown key of a benchmark": (lambda d: d["benchmarks"][0].update(x=1), r"benchmarks\[0\]\.x: unknown key"),
    "unknown key of a record": (
        lambda d: d["benchmarks"][1]["sdbatch"]["runs"][0]["record"].update(x=1),
        r"benchmarks\[1\]\.sdbatch\.runs\[0\]\.record\.x: unknown key",
    ),
    "unknown key of the environment": (
        lambda d: d["sdbatch"]["runs"][0]["environment"].update(x=1),
        r"sdbatch\.runs\[0\]\.environment\.x: unknown key",
    ),
    "wrong type": (
        lambda d: d["benchmarks"][0]["sdbatch"]["runs"][0]["record"]["case"].update(batch_size="4"),
        r"record\.case\.batch_size: Expected `int`, got `str`",
    ),
    "negative time": (
        lambda d: d["benchmarks"][0]["sdbatch"]["runs"][0]["record"]["rounds"]["wall_ns"].__setitem__(0, -5),
        r"record\.rounds\.wall_ns\[0\]: Expected `int` >= 0",
    ),
    "NaN": (
        lambda d: d["benchmarks"][0]["stats"]["data"].__setitem__(2, float("nan")),
        r"benchmarks\[0\]\.stats\.data\[2\]: not a finite number",
    ),
    "data that is not the rounds": (
        lambda d: d["benchmarks"][0]["stats"]["data"].__setitem__(2, 0.1),
        r"benchmarks\[0\]\.stats\.data: not the rounds",
    ),
    "data of text": (lambda d: d["benchmarks"][0]["stats"].update(data="x"), r"data: not the rounds"),
    "no statistics": (lambda d: d["benchmarks"][0].update(stats=None), r"Expected `object`"),
    "another name": (lambda d: d["benchmarks"][0].update(fullname="x"), r"benchmarks\[0\]\.fullname"),
    "a record that is gone": (lambda d: d["benchmarks"].pop(0), r"lacks records"),
    "a record twice": (lambda d: d["benchmarks"].append(d["benchmarks"][0]), r"order: 0 appears twice"),
    "a case twice": (
        lambda d: d["sdbatch"]["without_numbers"][0]["runs"].append(
            {**d["sdbatch"]["without_numbers"][0]["runs"][0], "order": 3}
        ),
        r"two records of one test and case",
    ),
    "a run twice": (
        lambda d: d["sdbatch"]["runs"].append(d["sdbatch"]["runs"][0]),
        r"two runs have the same id",
    ),
    "a run that is not there": (lambda d: d["sdbatch"].update(runs=[]), r"no run has the id 'run-1'"),
    "no record at all": (lambda d: d["benchmarks"][0]["sdbatch"].update(runs=[]), r"not of one test and case"),
    "a later schema": (lambda d: d["sdbatch"].update(schema=5), r"sdbatch\.schema: 5, and this version reads up to 4"),
    "no schema": (lambda d: d["sdbatch"].pop("schema"), r"sdbatch\.schema: None is no version"),
    "a schema of text": (lambda d: d["sdbatch"].update(schema="1"), r"sdbatch\.schema: '1' is no version"),
    "a schema that is true": (lambda d: d["sdbatch"].update(schema=True), r"sdbatch\.schema: True is no version"),
    "no block of ours": (lambda d: d.pop("sdbatch"), r"sdbatch: the key is missing"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_refused_with_its_name_and_key(tmp_path: Path, two_runs: tuple[Run, Run], name: str) -> None:
    """Whatever was edited, the error names the file and the place, and no half of the file is believed."""
    path = write_run(tmp_path / "run.json", two_runs)
    change, message = DAMAGE[name]
    damage(path, change)

    with pytest.raises(RunFileError, match=message) as caught:
        read_run_file(path)
    assert str(path) in caught.value.what


@pytest.mark.parametrize("digits", ["9223372036854775808", "18446744073709551616", "1" + "0" * 400])
@pytest.mark.parametrize("key", ["wall_ns", "host_peak_bytes", "warmup_ns", "height"])
def test_a_number_that_no_measurement_gives_is_refused_with_its_key(
    tmp_path: Path, make_run: MakeRun, key: str, digits: str
) -> None:
    """Also in a file that is written as ours are, which is not looked at value by value."""
    path = write_run(tmp_path / "run.json", [make_run()])
    text = path.read_text()
    path.write_text(re.sub(rf'("record":.*?"{key}":\[?)\d+', rf"\g<1>{digits}", text, count=1, flags=re.DOTALL))
    assert path.read_text() != text

    with pytest.raises(RunFileError, match=rf"(?s)run\.json cannot be read: benchmarks.*{key}"):
        read_run_file(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, two_runs: tuple[Run, Run], share: float) -> None:
    """Half a file is no file, an empty one neither."""
    path = write_run(tmp_path / "run.json", two_runs)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])

    with pytest.raises(RunFileError, match="it is empty" if share == 0 else "it is no JSON"):
        read_run_file(path)


def test_only_plain_files_of_a_sane_size_are_read(tmp_path: Path, make_run: MakeRun) -> None:
    """Missing, a folder, a link, a pipe (which would block), too large: refused at once."""
    path = write_run(tmp_path / "run.json", [make_run()])
    link, pipe = tmp_path / "link.json", tmp_path / "pipe.json"
    link.symlink_to(path)
    os.mkfifo(pipe)

    for other, message in (
        (tmp_path / "none.json", "does not exist"),
        (tmp_path, "it is a folder"),
        (link, "it is a symbolic link"),
        (pipe, "it is no plain file"),
    ):
        with pytest.raises(RunFileError, match=message):
            read_run_file(other)
    with pytest.raises(RunFileError, match="it is larger than"):
        read_run_file(path, most_bytes=1000)


def test_a_file_larger_than_64_mib_is_not_even_parsed(tmp_path: Path) -> None:
    """The default limit is 64 MiB."""
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)

    with pytest.raises(RunFileError, match="larger than 64 MiB"):
        read_run_file(path)


def test_schema_1_is_still_read() -> None:
    """A file written by the first release means today what it meant then."""
    run, again = read_run_file(FROZEN / "schema-1.json")

    assert (run.id, run.plugin_version, again.interrupted) == ("run-1", "0.1.0", True)
    assert [record.outcome for record in run.records] == [Outcome.OK, Outcome.OOM, Outcome.OK]
    assert [record.outcome for record in again.records] == [Outcome.OK, Outcome.OOM, Outcome.SKIPPED]
    assert [r.wall_s for r in run.records[0].rounds] == [0.5, 0.25, 0.75]
    assert run.records[0].rounds[0].stage_s == {"denoiser": 0.25}
    assert run.environment.must_match["device_name"] == "Some CPU @ 2.00GHz"
    assert run.records[0].compilation == Compilation(seconds=12.5, graphs=2, recompiles_in_rounds=0)
    assert run.records[0].cold_start_s.value == 1.5
    assert run.records[0].derived.denoiser_batch == 8
    # What a file of before does not hold is unknown.
    assert run.records[0].memory_round is None
    assert run.records[0].foreign_processes is None
    assert run.records[0].joules_per_image is None
    assert run.records[0].case.training is None
    assert run.records[0].trained is None


def test_schema_2_is_still_read() -> None:
    """It came with training: how a case trains, and what that adds to its record."""
    (run,) = read_run_file(FROZEN / "schema-2.json")
    trained, diverged = run.records

    assert trained.case.id == "tiny-sd-fp32-64x64-lora16-a2-p2-b2x25"
    assert trained.case.training == Training(accumulation=2, processes=2)
    assert trained.trained is not None
    assert (trained.trained.effective_batch, trained.trained.images, trained.trained.repeats) == (8, 100, 1)
    assert (trained.trained.objective, trained.trained.optimizer_bytes) == ("noise", 104_704)
    assert [r.stage_s for r in trained.rounds[:1]] == [{"forward": 0.125, "backward": 0.25, "optimizer": 0.0625}]
    assert (diverged.outcome, diverged.case.images) == (Outcome.DIVERGED, 4)


def test_schema_3_is_still_read() -> None:
    """It came with how long threads waited for a core in a round; before, that is unknown."""
    (run,) = read_run_file(FROZEN / "schema-3.json")
    (before,) = read_run_file(FROZEN / "schema-2.json")

    assert [r.run_delay_s for r in run.records[0].rounds] == [0.0, 0.1875, 0.0]
    assert (
        run.records[0].contention
        == "for 188 ms of 1.59 s a thread was ready and had no core: something else was running"
    )
    assert {r.run_delay_s for record in before.records for r in record.rounds} == {None}


def test_schema_4_is_still_read() -> None:
    """It came with what a GPU's allocator cannot give back; before, that is unknown. Made from what a card gave."""
    (run,) = read_run_file(FROZEN / "schema-4.json")
    (before,) = read_run_file(FROZEN / "schema-3.json")
    (record,) = run.records

    assert run.environment.must_match["device_name"] == "NVIDIA H200"
    assert record.memory_round is not None
    assert record.memory_round.unreleasable_bytes == 198_180_864
    assert record.memory_round.reserved_bytes == 3_495_952_384
    assert record.rounds[0].energy_joules == pytest.approx(2816, rel=0.1)
    assert before.records[0].memory_round is None
