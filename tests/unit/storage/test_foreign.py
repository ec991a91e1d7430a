"""Files of pytest-benchmark without a block of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.foreign import foreign_run, is_foreign, parse_file
from pytest_sdbatch.storage.report_file import MARKS, Kind

BENCHMARK = {"fullname": "t.py::test_a[1]", "stats": {"data": [0.5, 1]}}
MACHINE = {"node": "host", "cpu": {"brand_raw": "Some CPU", "count": 2}, "python_version": "3.11.7"}


def document(*benchmarks: Any, **parts: Any) -> dict[str, Any]:
    """Return a parsed file."""
    return {"benchmarks": list(benchmarks) or [BENCHMARK], "machine_info": MACHINE, "datetime": "2026-11-25", **parts}


@pytest.mark.parametrize("kind", MARKS)
def test_a_report_is_told_from_the_run_file_it_was_made_of(kind: Kind) -> None:
    """Whoever names the one wants the other."""
    with pytest.raises(RunFileError, match="it is a report that was made of run files") as caught:
        parse_file(MARKS[kind].encode() + b"...")

    assert caught.value.fix == "name the run file itself, the .json of --sd-report or --sd-save"


def test_a_file_that_pytest_benchmark_wrote_is_read(tmp_path: Path) -> None:
    """Rounds by fullname, the place as the node id has it, and the machine as far as it is told."""
    (tmp_path / "test_it.py").write_text("def test_sum(benchmark):\n    benchmark(sum, range(10))\n")
    arguments = ["-p", "no:randomly", "--benchmark-json=out.json", "--benchmark-max-time=0.01"]
    subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], cwd=tmp_path, check=True, capture_output=True)
    value = json.loads((tmp_path / "out.json").read_text())

    run = foreign_run(value, run_id="x", file="out.json")

    (name, found), *others = run.cases.items()
    assert (name, others) == ("test_it.py::test_sum", [])
    assert (found.place.test, found.place.case) == ("test_it.py", "test_sum")
    assert found.seconds == value["benchmarks"][0]["stats"]["data"]
    assert found.facts.must_match["node"] == value["machine_info"]["node"]
    assert found.facts.drift["python_version"] == value["machine_info"]["python_version"]
    assert found.facts.must_match["cpu_count"] == value["machine_info"]["cpu"]["count"]


@pytest.mark.parametrize(
    ("value", "foreign"),
    [(document(), True), ({**document(), "sdbatch": {}}, False), ({}, False), ([], False), (None, False)],
)
def test_a_file_with_a_block_of_ours_is_ours(value: object, foreign: bool) -> None:
    """Ours is never read by the looser rules, however damaged its block is."""
    assert is_foreign(value) is foreign


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (document(benchmarks=[]), "benchmarks: there is none"),
        (document(benchmarks={}), "benchmarks: there is none"),
        (document(3), r"benchmarks\[0\].fullname: missing"),
        (document({**BENCHMARK, "fullname": 3}), r"benchmarks\[0\].fullname: missing"),
        (document(BENCHMARK, BENCHMARK), r"benchmarks\[1\].fullname: t.py::test_a\[1\] appears twice"),
        (document({"fullname": "a"}), r"benchmarks\[0\].stats.data: missing"),
        (document({"fullname": "a", "stats": {"mean": 1.0}}), r"benchmarks\[0\].stats.data: missing"),
        (document({"fullname": "a", "stats": {"data": []}}), r"benchmarks\[0\].stats.data: missing"),
        (document({"fullname": "a", "stats": {"data": [1, -1]}}), r"stats.data\[1\]: -1 is no duration"),
        (document({"fullname": "a", "stats": {"data": [0]}}), r"stats.data\[0\]: 0 is no duration"),
        (document({"fullname": "a", "stats": {"data": [True]}}), r"stats.data\[0\]: True is no duration"),
        (document({"fullname": "a", "stats": {"data": ["1"]}}), r"stats.data\[0\]: '1' is no duration"),
        (document({"fullname": "a", "stats": {"data": [float("inf")]}}), r"stats.data\[0\]: inf is no duration"),
        (document({"fullname": "a", "stats": {"data": [float("nan")]}}), r"stats.data\[0\]: nan is no duration"),
        (document({"fullname": "a", "stats": {"data": [1, 1.7e308]}}), r"stats.data\[1\]: 1.7e\+308 is no duration"),
        (document(machine_info=3), "machine_info: no object"),
        (document(machine_info={"cpu": []}), None),
        (document(machine_info={"cpu": [1]}), "machine_info.cpu: no object"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_key(value: dict[str, Any], said: str | None) -> None:
    """A gate that reads nothing and is green would be worse than none."""
    if said is None:
        assert foreign_run(value, run_id="x", file="f").cases
        return
    with pytest.raises(RunFileError, match=said):
        foreign_run(value, run_id="x", file="f")
