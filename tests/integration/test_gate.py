"""--sd-baseline and --sd-gate in one process: what fails whose test, and what is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmark_run import RunBenchmark
from gated import GATE, SIZES, RecordBaseline, device, ended

from pytest_sdbatch import cli

MIB = 2**20


def test_a_run_like_its_baseline_passes_and_is_shown(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """Exit status 0, a row for each case, and a last line that says how many were compared."""
    record()

    result = run_benchmark(*GATE, device=device(1.001))

    assert ended(result) == (0, "sdbatch: gate: 2 cases compared, none regressed")
    assert "sdbatch: gate against" in result.text
    assert "2 cases compared: 0 regressed, 0 improved, 2 unchanged, 0 inconclusive" in result.text


def test_a_run_that_regressed_keeps_its_figures(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """Its tests failed by the gate's own verdict: the cases are measured, on its page and in a later comparison."""
    base = record()

    result = run_benchmark(*GATE, "--sd-report=gate.json,gate.html", device=device(model_bytes=1100 * MIB))
    status = cli.main(["report", "gate.json", "--baseline", str(base), "-o", "later.md", "-o", "later.html"])

    assert (int(result.run.ret), status) == (1, 0)
    ended = {(one.test_outcome, one.reason) for one in result.records.values()}
    assert ended == {("regressed", "regressed against main")}
    assert "test failed" not in Path("later.md").read_text(encoding="utf-8")
    for page in ("gate.html", "later.html"):
        whole = Path(page).read_text(encoding="utf-8")
        boxes = whole.partition("<main")[2].partition("<div class=choose")[0]
        assert "fastest is batch size" in boxes
        assert "What each choice costs" in boxes
        assert "regressed against main, so this is no baseline" in whole


def test_without_the_gate_a_slower_run_is_shown_and_passes(
    run_benchmark: RunBenchmark, record: RecordBaseline, pytester: pytest.Pytester
) -> None:
    """--sd-baseline compares, with a block for each case that regressed; but no such run becomes a baseline."""
    record()

    result = run_benchmark("--sd-baseline=main", SIZES, device=device(1.2))
    saved = run_benchmark("--sd-baseline=main", "--sd-save=new", SIZES, device=device(1.2))

    assert result.run.ret == 0
    assert "2 cases compared: 2 regressed" in result.text
    block = r"^regressed: test_it.py::test_generate\[.*-b1x1\]\n  peak memory: .*\n  time: 200 ms -> 240 ms"
    block = r"^regressed: test_it.py::test_generate\[.*-b1x1\]\n  peak memory: .*\n  time: 200 ms -> 240 ms"
    assert re.search(block, result.text, re.MULTILINE)
    assert saved.run.ret == 1
    assert "2 cases regressed against main" in saved.text
    assert not list(pytester.path.glob("benchmarks/baselines/new/*"))


def test_a_case_that_no_longer_fits_fails_its_own_test(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """Out of memory is a skip, but not where the baseline was ok; nor is a size that was not tried because of it."""
    record("--sd-batch-sizes=1,2,4")

    result = run_benchmark(
        "--sd-baseline=main", "--sd-gate", "--sd-batch-sizes=1,2,4", device=device(capacity_images=1)
    )

    result.run.assert_outcomes(passed=1, failed=2)
    assert result.run.ret == 1
    assert "outcome: ok before, oom now: " in result.text
    assert result.outcomes == {"b1x1": "ok", "b2x1": "oom", "b4x1": "skipped"}


def test_without_the_gate_a_case_that_no_longer_fits_is_skipped(
    run_benchmark: RunBenchmark, record: RecordBaseline
) -> None:
    """As it is without a baseline; the comparison says regressed."""
    record()

    result = run_benchmark("--sd-baseline=main", SIZES, device=device(capacity_images=1))

    result.run.assert_outcomes(passed=1, skipped=1)
    assert (result.run.ret, "1 regressed" in result.text) == (0, True)


@pytest.mark.parametrize(("budget", "failed"), [("", 2), ("@pytest.mark.sdbatch(budget={'peak_memory': '20%'})", 0)])
def test_memory_over_its_budget_fails_its_own_test(
    run_benchmark: RunBenchmark, record: RecordBaseline, budget: str, failed: int
) -> None:
    """Peak allocated memory repeats to the byte: half a percent is allowed, or what the marker says."""
    record()
    source = f"import pytest\n{budget}\ndef test_generate(sd_benchmark, fake_device):\n" + " " * 4
    source += "sd_benchmark(fake_device.generate)\n"

    result = run_benchmark(*GATE, device=device(model_bytes=1100 * MIB), source=source)

    result.run.assert_outcomes(passed=2 - failed, failed=failed)
    assert result.run.ret == (1 if failed else 0)
    assert ("budget: 0.5 %, at least 2.00 MiB" in result.text) is bool(failed)


LIMITED = """
    import pytest

    @pytest.mark.sdbatch(limit={"images_per_s": 6, "peak_memory": "2GiB"})
    def test_generate(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)
"""


def test_a_limit_ends_its_case_and_under_the_gate_fails_it(run_benchmark: RunBenchmark) -> None:
    """No baseline is needed for that: one image makes 5 a second, four make 8."""
    shown = run_benchmark(SIZES, source=LIMITED, device=device())
    gated = run_benchmark(SIZES, "--sd-gate", source=LIMITED, device=device())

    shown.run.assert_outcomes(passed=1, skipped=1)
    assert shown.outcomes == {"b1x1": "over-limit", "b4x1": "ok"}
    assert "5.00 images/s, at least 6.00 images/s" in shown.text
    gated.run.assert_outcomes(passed=1, failed=1)
    assert ended(gated) == (1, "sdbatch: gate: limits alone, of 2 cases; no baseline was named")


def test_a_limit_from_the_command_line_holds_for_all(run_benchmark: RunBenchmark) -> None:
    """``-o sd_limit`` has the same grammar, and wins over a marker as every option does."""
    result = run_benchmark(SIZES, "-o", "sd_limit=latency:400ms", source=LIMITED, device=device())

    assert result.outcomes == {"b1x1": "ok", "b4x1": "over-limit"}


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("limit={'peak_memroy': '2GiB'}", "did you mean peak_memory?"),
        ("limit={'peak_memory': '2GB'}", "no amount of memory"),
        ("budget={'time': 3}", "not a share between 0 and 1"),
        ("budget={'images_per_s': '3%'}", "use one of time, peak_memory"),
    ],
)
def test_a_bad_budget_or_limit_ends_the_run_before_it_measures(
    run_benchmark: RunBenchmark, marker: str, said: str
) -> None:
    """Exit status 4, one error that names the test, no row."""
    source = f"import pytest\n@pytest.mark.sdbatch({marker})\ndef test_generate(sd_benchmark): pass\n"

    result = run_benchmark(SIZES, source=source)

    assert result.run.ret == 4
    assert said in result.text
    assert "test_it.py::test_generate" in result.text
    assert not result.records


def test_a_wrong_output_fails_as_it_always_does(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """Its own test, once; the gate adds no second report."""
    record()
    source = """
        def test_generate(sd_benchmark, fake_device):
            sd_benchmark(lambda batch: fake_device.generate(batch)[:0])
    """

    result = run_benchmark(*GATE, source=source, device=device())

    result.run.assert_outcomes(failed=2)
    assert "2 regressed" in ended(result)[1]


TWO = """
    def test_one(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)

    def test_two(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)
"""


@pytest.mark.parametrize(
    ("arguments", "counted"),
    [
        (("--sd-batch-sizes=1,8",), "2 cases compared, 2 new, 2 missing"),
        ((SIZES, "-k", "test_one"), "2 cases compared, none regressed"),
        ((SIZES, "test_it.py::test_two"), "2 cases compared, none regressed"),
    ],
)
def test_missing_is_what_was_asked_for_and_did_not_run(
    run_benchmark: RunBenchmark, record: RecordBaseline, arguments: tuple[str, ...], counted: str
) -> None:
    """A size that is no longer in the grid is missing; what -k or a node id leaves out is not."""
    record(source=TWO)

    result = run_benchmark("--sd-baseline=main", "--sd-gate", *arguments, device=device(), source=TWO)

    assert ended(result) == (0, f"sdbatch: gate: {counted}")


def test_a_test_that_is_gone_is_missing(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """Its file was asked for; nobody shall lose a benchmark unseen."""
    record(source=TWO)

    one = TWO.partition("def test_two")[0]
    result = run_benchmark(*GATE, device=device(), source=one)

    assert ended(result) == (0, "sdbatch: gate: 2 cases compared, 2 missing")


def test_the_baseline_of_another_commit_is_read_from_git(
    run_benchmark: RunBenchmark, record: RecordBaseline, pytester: pytest.Pytester
) -> None:
    """REF:NAME is what the base has, whatever the work tree says of itself: a pull request cannot loosen its gate."""
    path = record()
    git = ("git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "benchmarks"), ("commit", "-q", "-m", "base")):
        assert pytester.run(*git, *words).ret == 0
    path.unlink()

    found = run_benchmark("--sd-baseline=HEAD:main", "--sd-gate", SIZES, device=device())
    missing = run_benchmark("--sd-baseline=origin/main:main", "--sd-gate", SIZES, device=device())

    assert found.run.ret == 0
    assert "sdbatch: gate against HEAD:benchmarks/baselines/main/" in found.text
    assert missing.run.ret == 12
    assert "the commit origin/main is not here" in missing.text


EXPECTED = """
    import pytest

    @pytest.mark.xfail(reason="known")
    def test_generate(sd_benchmark, fake_device):
        {before}
        sd_benchmark(fake_device.generate)
        {after}
"""


@pytest.mark.parametrize(
    ("before", "after", "changes", "counted", "said"),
    [
        ("raise RuntimeError('boom')", "", {}, "2 regressed", "outcome: ok before, crashed now: RuntimeError: boom"),
        ("", "raise RuntimeError('boom')", {}, "2 regressed", "outcome: ok before, test failed now"),
        ("", "", {"model_bytes": 1100 * MIB}, "2 regressed", "budget: 0.5 %, at least 2.00 MiB"),
        ("", "", {"capacity_images": 0}, "1 regressed, 1 missing", "outcome: ok before, oom now"),
    ],
)
def test_a_failure_that_was_expected_does_not_hide_a_regression(
    run_benchmark: RunBenchmark,
    record: RecordBaseline,
    before: str,
    after: str,
    changes: dict[str, int],
    counted: str,
    said: str,
) -> None:
    """The mark is for the test's own assertions: what was ok in the baseline and is not now ends with exit status 1."""
    record()

    result = run_benchmark(
        *GATE, device=device(**changes), source=EXPECTED.format(before=before or "pass", after=after or "pass")
    )

    status, last = ended(result)
    assert (status, last.partition("compared, ")[2]) == (1, counted)
    assert "2 failed" in result.text
    assert said in result.text


def test_a_failure_that_a_plugin_pardons_does_not_hide_a_regression(
    run_benchmark: RunBenchmark, record: RecordBaseline, pytester: pytest.Pytester
) -> None:
    """A report that is failed and expected is none that pytest counts; the second one is."""
    record()
    pytester.makeconftest("""
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport():
            report = yield
            if report.failed:
                report.wasxfail = "quarantined"
            return report
    """)

    result = run_benchmark(*GATE, source="def test_generate(sd_benchmark): raise RuntimeError\n", device=device())

    assert ended(result) == (1, "sdbatch: gate: 2 cases compared, 2 regressed")
