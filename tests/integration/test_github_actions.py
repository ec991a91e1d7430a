"""A run of benchmarks in a job of GitHub Actions: its summary, its annotations, and a JUnit file.

Its command stands in docs/how-to/github.md.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmark_run import Result, RunBenchmark
from gated import GATE, SIZES, RecordBaseline, device
from hostile import markup_in
from readers import runner

from pytest_sdbatch.report.bounded import SUMMARY_BYTES


@pytest.fixture
def summary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a job: its variables, and the file of its summary."""
    path = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    return path


def commands(result: Result) -> list[tuple[str, dict[str, str], str]]:
    """Return what a runner reads in what was printed."""
    return [found for line in result.text.splitlines() if (found := runner(line)) is not None]


def test_a_run_that_went_well_writes_its_figures_and_annotates_nothing(
    run_benchmark: RunBenchmark, summary: Path
) -> None:
    """By itself, and the terminal says how to leave it out."""
    result = run_benchmark(SIZES)

    text = summary.read_text(encoding="utf-8")
    assert text.startswith("## sdbatch\n\n**2 cases: 2 ok**\n")
    assert "b4x1 | " in text
    assert commands(result) == []
    assert "summary of the job: written; -o sd_github=no leaves it and annotations out" in result.text


def test_a_gate_that_is_red_says_where_and_why(
    run_benchmark: RunBenchmark, record: RecordBaseline, summary: Path
) -> None:
    """The comparison before the figures, an error at the line of each test, the roll-up first, the last word last."""
    record()
    summary.unlink(missing_ok=True)

    result = run_benchmark(*GATE, device=device(1.2, model_bytes=2 * 2**30))

    assert result.run.ret == 1
    roll_up, *errors = commands(result)
    assert roll_up[0] == "error"
    assert roll_up[2].startswith("2 cases compared: 2 regressed")
    assert [(name, given["file"], given["line"], given["title"]) for name, given, _ in errors] == [
        ("error", "test_it.py", "1", "sdbatch: regressed")
    ] * 2
    assert "peak memory: 1.00 GiB before, 2.00 GiB now" in errors[0][2]
    assert result.run.stdout.str().rstrip().splitlines()[-1].startswith("sdbatch: gate: ")
    text = summary.read_text(encoding="utf-8")
    assert text.index("2 cases compared: 2 regressed") < text.index("## What was measured")
    assert len(text.encode()) < SUMMARY_BYTES


def test_a_case_that_failed_by_itself_is_an_error_with_its_reason(run_benchmark: RunBenchmark, summary: Path) -> None:
    """Without any baseline; the failed case is the first row of the summary."""
    source = """
        import pytest

        @pytest.mark.sdbatch(batch_sizes="1,4", limit={"latency": "150ms"})
        def test_slow(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """

    result = run_benchmark("--sd-gate", source=source)

    (roll_up, *errors), (row, *_) = (
        commands(result),
        [line for line in summary.read_text(encoding="utf-8").splitlines() if line.startswith("| test\\_it")],
    )
    assert roll_up[2].startswith("2 cases: ")
    assert {given["title"] for _, given, _ in errors} == {"sdbatch: over-limit"}
    assert " | over-limit; " in row


@pytest.mark.parametrize("arguments", [("-o", "sd_github=no"), ("--benchmark-disable",)])
def test_who_does_not_want_it_or_measures_nothing_tells_nothing(
    run_benchmark: RunBenchmark, summary: Path, arguments: tuple[str, ...]
) -> None:
    """Neither file nor line."""
    result = run_benchmark(SIZES, *arguments)

    assert not summary.exists()
    assert commands(result) == []


def test_names_in_a_job_are_text(run_benchmark: RunBenchmark, summary: Path, pytester: pytest.Pytester) -> None:
    """No line that is printed is a command but ours, no tag is in the summary, and the JUnit file is XML."""
    source = """
        import pytest

        NAMES = ["::error::pwned", "a ##[error]b", "<img src=x>", "| @team", "x\\n::warning::y", "`z"]

        @pytest.mark.sdbatch(models=NAMES, batch_sizes=1)
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
            raise ValueError("::error::raised ##[error]too")
    """

    result = run_benchmark("--junitxml=junit.xml", "-q", "--tb=no", "-rN", source=source)

    found = commands(result)
    assert [given["title"] for _, given, _ in found] == ["sdbatch", *["sdbatch: test failed"] * 6]
    assert "\nValueError: " in found[1][2]
    text = summary.read_text(encoding="utf-8")
    assert not markup_in(text)
    properties = ET.parse(pytester.path / "junit.xml").findall(".//testcase/properties/property")
    assert [one.get("value") for one in properties if one.get("name") == "sdbatch.outcome"] == ["ok"] * 6
