"""The page on batch size and batch count shows what the run files in docs/results say."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Fact, Outcome, Record, Round, Run

ROOT = Path(__file__).parents[2]
CASE = Case(model="sd15", dtype="fp32", device="cpu", height=64, width=64, steps=2, batch_size=1, batch_count=1)
FACTS: dict[str, Fact] = {"device_kind": "cpu", "device_name": "A CPU", "threads": 2}
VERSIONS: dict[str, Fact] = {"pytest-sdbatch": "1", "torch": "2", "diffusers": "3"}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/answers_page.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("answers_page_tool", ROOT / "tools" / "answers_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_of(seconds: dict[int, float], *, contention: str | None = None, number: int = 0) -> Run:
    """Return a run in which calls took so many *seconds* by batch size."""
    records = tuple(
        Record(
            test="test_sweep.py::test_generation",
            case=replace(CASE, batch_size=size),
            outcome=Outcome.OK,
            output_check="checked",
            rounds=tuple(Round(wall_s=s * x, cpu_s=s, call_s=(s * x,)) for x in (0.999, 1.0, 1.0, 1.0, 1.001)),
            contention=contention,
        )
        for size, s in seconds.items()
    )
    environment = Environment(must_match=FACTS, drift=VERSIONS, shown={})
    return Run(id=str(number), started_at="2026-01-02T00:00:00", environment=environment, options={}, records=records)


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    """Whoever changes an answer or its words runs ``python tools/answers_page.py --only-write``."""
    page = tool.PAGE.read_text(encoding="utf-8")

    assert list(tool.RESULTS.glob("*.json"))
    assert page == tool.filled(page), "out of date: run python tools/answers_page.py --only-write"


def test_a_section_tells_the_line_its_numbers_and_the_answer(tool: ModuleType) -> None:
    """Calls of 0.3, 0.4, 0.6 and 1 s are a = 200 ms, c = 100 ms and h = 2."""
    text = tool.section("a.json", [run_of({1: 0.3, 2: 0.4, 4: 0.6, 8: 1.0})])

    assert "### A CPU, 2 threads" in text
    assert (
        "2026-01-02, 1 process, pytest-sdbatch 1, torch 2, diffusers 3; run file [a.json](../results/a.json)." in text
    )
    assert "| 4 | 600 ms | 6.67 | 150 ms | 600 ms | 0 % | - |" in text
    assert "| a, paid per call | 200 ms | " in text
    assert "| c, paid per image | 100 ms | " in text
    assert "| h = a / c | 2.00 | " in text
    assert "95 % limits, within this run" in text
    assert "fastest is batch size 8 at 8.00 images/s" in text
    assert "8x2" in text.rpartition("16 images, from the calls above:")[2]
    assert "do not rely" not in text


def test_several_processes_and_other_work_are_told(tool: ModuleType) -> None:
    """Intervals are those between processes; figures that were measured beside other work carry a warning."""
    runs = [run_of({1: 0.3, 2: 0.4, 4: 0.6}), run_of({1: 0.31, 2: 0.4, 4: 0.61}, contention="busy", number=1)]

    text = tool.section("a.json", runs)

    assert "2 processes" in text
    assert "95 % limits, between runs" in text
    assert "**Something else used the machine meanwhile (batch size 1, 2, 4): do not rely on these figures.**" in text


def test_only_what_is_between_the_marks_is_written(tool: ModuleType) -> None:
    """The rest of the page is written by hand."""
    made = tool.filled(f"before\n{tool.BEGIN}old\n{tool.END}after\n")

    assert made.startswith(f"before\n{tool.BEGIN}\n### ")
    assert made.endswith(f"\n{tool.END}after\n")
    assert "old" not in made
    with pytest.raises(ValueError, match="lacks"):
        tool.filled("no marks")
