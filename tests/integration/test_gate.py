"""--sd-baseline and --sd-gate in one process: what fails whose test, and the exit status of each end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_run import GENERATE, Result, RunBenchmark

from pytest_sdbatch import read_run_file
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.records import Run
from pytest_sdbatch.storage.baselines import save_baseline
from pytest_sdbatch.storage.names import baseline_path

QUIET = (1.0, 1.002, 0.999, 1.001, 0.998)  # what processes differ by
SIZES = "--sd-batch-sizes=1,4"
GATE = ("--sd-baseline=main", "--sd-gate", SIZES)
MIB = 2**20

Record = Callable[..., Path]
MEASURED: dict[tuple[str, str], Run] = {}  # by arguments and source: measured once, for all tests


def device(factor: float = 1.0, **changes: int) -> FakeDevice:
    """Return a device that is slower by *factor* than another one."""
    return FakeDevice(seconds_per_call=0.1 * factor, seconds_per_image=0.1 * factor, **changes)  # type: ignore[arg-type]


@pytest.fixture
def record(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> Record:
    """Store runs under the name main, one for each factor."""

    def run(
        arguments: str = SIZES, *, factors: Sequence[float] = QUIET, source: str = GENERATE, name: str = "main"
    ) -> Path:
        if (arguments, source) not in MEASURED:
            report = pytester.path / "measured.json"
            run_benchmark(f"--sd-report={report}", arguments, device=device(), source=source)
            MEASURED[arguments, source] = read_run_file(report)[0]
        runs = [scaled(MEASURED[arguments, source], factor) for factor in factors]
        path = baseline_path(pytester.path / "benchmarks" / "baselines", name, runs[0].environment)
        save_baseline(path, runs, anyway=True)
        return path

    return run


def scaled(run: Run, factor: float) -> Run:
    """Return *run* as a process that is slower by *factor* would have measured it."""
    records = tuple(
        replace(r, rounds=tuple(replace(reading, wall_s=reading.wall_s * factor) for reading in r.rounds))
        for r in run.records
    )
    return replace(run, id=f"{run.id}-{factor}", records=records)


def ended(result: Result) -> tuple[int, str]:
    """Return the exit status and the last line of a run."""
    return int(result.run.ret), result.run.stdout.str().rstrip().splitlines()[-1]


def test_a_run_like_its_baseline_passes_and_is_shown(run_benchmark: RunBenchmark, record: Record) -> None:
    """Exit status 0, a row for each case, and a last line that says how many were compared."""
    record()

    result = run_benchmark(*GATE, device=device(1.001))

    assert ended(result) == (0, "sdbatch: gate: 2 cases compared, none regressed")
    assert "sdbatch: gate against" in result.text
    assert "2 cases compared: 0 regressed, 0 improved, 2 unchanged, 0 inconclusive" in result.text


def test_without_the_gate_a_slower_run_is_shown_and_passes(
    run_benchmark: RunBenchmark, record: Record, pytester: pytest.Pytester
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


def test_a_case_that_no_longer_fits_fails_its_own_test(run_benchmark: RunBenchmark, record: Record) -> None:
    """Out of memory is a skip, but not where the baseline was ok; nor is a size that was not tried because of it."""
    record("--sd-batch-sizes=1,2,4")

    result = run_benchmark(
        "--sd-baseline=main", "--sd-gate", "--sd-batch-sizes=1,2,4", device=device(capacity_images=1)
    )

    result.run.assert_outcomes(passed=1, failed=2)
    assert result.run.ret == 1
    assert "outcome: ok before, oom now: " in result.text
    assert result.outcomes == {"b1x1": "ok", "b2x1": "oom", "b4x1": "skipped"}


def test_without_the_gate_a_case_that_no_longer_fits_is_skipped(run_benchmark: RunBenchmark, record: Record) -> None:
    """As it is without a baseline; the comparison says regressed."""
    record()

    result = run_benchmark("--sd-baseline=main", SIZES, device=device(capacity_images=1))

    result.run.assert_outcomes(passed=1, skipped=1)
    assert (result.run.ret, "1 regressed" in result.text) == (0, True)


@pytest.mark.parametrize(("budget", "failed"), [("", 2), ("@pytest.mark.sdbatch(budget={'peak_memory': '20%'})", 0)])
def test_memory_over_its_budget_fails_its_own_test(
    run_benchmark: RunBenchmark, record: Record, budget: str, failed: int
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


def test_a_wrong_output_fails_as_it_always_does(run_benchmark: RunBenchmark, record: Record) -> None:
    """Its own test, once; the gate adds no second report."""
    record()
    source = """
        def test_generate(sd_benchmark, fake_device):
            sd_benchmark(lambda batch: fake_device.generate(batch)[:0])
    """

    result = run_benchmark(*GATE, source=source, device=device())

    result.run.assert_outcomes(failed=2)
    assert "2 regressed" in ended(result)[1]


@pytest.mark.parametrize("gate", [(), ("--sd-gate",)])
def test_a_missing_baseline_ends_with_12_and_the_command_that_records_one(
    run_benchmark: RunBenchmark, record: Record, gate: tuple[str, ...]
) -> None:
    """Before anything is measured, with the gate and without; what is stored is named."""
    record(name="other")

    result = run_benchmark("--sd-baseline=main", SIZES, *gate)

    assert result.run.ret == 12
    assert "no baseline main of this device" in result.text
    assert "stored for some device: other" in result.text
    assert "sdbatch sweep --processes=5 --sd-save=main -- " in result.text
    assert not result.records


def test_a_baseline_of_other_devices_alone_is_missing(run_benchmark: RunBenchmark, record: Record) -> None:
    """The name is there, the file of this device is not: that is known once the device is."""
    record()

    result = run_benchmark(*GATE, device=FakeDevice(name="another"))

    assert result.run.ret == 12
    assert "no baseline main of this device" in result.text
    assert not result.records


def test_a_baseline_that_cannot_be_read_ends_with_12(run_benchmark: RunBenchmark, record: Record) -> None:
    """The message names the file and the key; nothing is measured."""
    path = record()
    path.write_text(path.read_text().replace('"started_at":', '"started_att":', 1))

    result = run_benchmark(*GATE)

    assert result.run.ret == 12
    assert path.name in result.text
    assert "started_att" in result.text
    assert not result.records


def test_a_baseline_can_be_any_file(run_benchmark: RunBenchmark, record: Record) -> None:
    """A path ends in .json; it is looked for when pytest is configured."""
    path = record()

    found = run_benchmark(f"--sd-baseline={path}", "--sd-gate", SIZES, device=device())
    missing = run_benchmark("--sd-baseline=other.json", SIZES)

    assert found.run.ret == 0
    assert missing.run.ret == 12
    assert "other.json" in missing.text


def test_a_gate_without_anything_to_keep_ends_with_12(run_benchmark: RunBenchmark) -> None:
    """Nothing is ever silently ungated."""
    result = run_benchmark("--sd-gate", SIZES)

    assert result.run.ret == 12
    assert "no baseline was named, and none of them has a limit" in result.text
    assert not result.records


def test_a_gate_in_the_configuration_file_is_no_matter_of_other_tests(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """A plain pytest passes though the baseline is missing; one that would measure ends with 12."""
    pytester.makeini("[pytest]\nsd_gate = yes\nsd_baseline = main\n")

    plain = run_benchmark("-x", source="def test_plain(): pass\n")
    measuring = run_benchmark(SIZES)

    assert (plain.run.ret, measuring.run.ret) == (0, 12)
    assert not measuring.records


def test_a_gate_that_measured_nothing_ends_with_12(run_benchmark: RunBenchmark, record: Record) -> None:
    """All benchmarks skipped, or none collected: a green end would be a lie."""
    record()
    plain = "def test_plain(): pass\n"

    result = run_benchmark(*GATE, source=plain)

    assert ended(result) == (12, "sdbatch: gate: no benchmark was measured, so nothing was compared (exit status 12)")


def test_incomparable_runs_end_with_12(run_benchmark: RunBenchmark, record: Record) -> None:
    """Another seed is another picture; the last line counts what could not be compared."""
    record()

    shown = run_benchmark("--sd-baseline=main", SIZES, "-o", "sd_seed=7", device=device())
    gated = run_benchmark(*GATE, "-o", "sd_seed=7", device=device())

    assert shown.run.ret == 0
    assert ended(gated) == (12, "sdbatch: gate: 0 cases compared, 2 incomparable (exit status 12)")
    assert "incomparable: seed 0 -> 7" in gated.text


def test_inconclusive_is_the_last_line_and_fails_only_where_asked(run_benchmark: RunBenchmark, record: Record) -> None:
    """Runs that differ by several percent exclude no slowdown; the command that settles it is printed."""
    record(factors=(1.0, 1.06, 0.95, 1.03, 0.97))

    passed = run_benchmark(*GATE, device=device(0.99))
    failed = run_benchmark(*GATE, "-o", "sd_fail_on=inconclusive", device=device(0.99))

    assert (ended(passed)[0], ended(failed)[0]) == (0, 11)
    for result in (passed, failed):
        assert "inconclusive: 2 cases" in ended(result)[1]
        assert "sdbatch ab --base REF -- " in ended(result)[1]
        assert "--sd-gate" not in ended(result)[1].partition("--base")[2]
    assert "(exit status 11)" in ended(failed)[1]


def test_foreign_processes_end_with_13(run_benchmark: RunBenchmark, record: Record) -> None:
    """What the device told of itself was not this code's alone; without the gate a mark in the table is enough."""
    record()
    crowded = device()
    crowded.sensors.neighbours = 1

    assert run_benchmark("--sd-baseline=main", SIZES, device=crowded).run.ret == 0
    status, last = ended(run_benchmark(*GATE, device=crowded))
    assert status == 13
    assert "other processes used the device during 2 cases (exit status 13)" in last


def test_a_device_throttled_throughout_ends_with_13(run_benchmark: RunBenchmark, record: Record) -> None:
    """Each round was slowed down by heat: neither slower nor as fast as before is known of the code."""
    record()
    source = """
        def test_generate(sd_benchmark, fake_device):
            def generate(batch):
                fake_device.sensors.hw_thermal_s += 0.01
                return fake_device.generate(batch)

            sd_benchmark(generate)
    """
    hot = device(1.5)
    hot.sensors.hw_thermal_s = 0.0

    status, last = ended(run_benchmark(*GATE, device=hot, source=source))

    assert (status, "2 cases throttled in every round" in last) == (13, True)


def test_pytests_own_status_goes_before_all_others(run_benchmark: RunBenchmark, record: Record) -> None:
    """A failed test is 1, also where the environment was invalid."""
    record()
    source = "def test_generate(sd_benchmark, fake_device):\n    assert not sd_benchmark(fake_device.generate)\n"
    crowded = device()
    crowded.sensors.neighbours = 1

    assert run_benchmark(*GATE, device=crowded, source=source).run.ret == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--benchmark-compare-fail=mean:5%",), "two gates"),
        (("--sd-resume",), "a resumed run has cases of two"),
        (("--benchmark-disable",), "nothing is measured"),
    ],
)
def test_what_contradicts_the_gate_is_refused(
    run_benchmark: RunBenchmark, record: Record, arguments: tuple[str, ...], said: str
) -> None:
    """Exit status 4 with the reason, when pytest is configured."""
    record()

    result = run_benchmark(*GATE, *arguments)

    assert result.run.ret == 4
    assert said in result.text
    assert not result.records


def test_a_plan_or_a_check_compares_nothing(run_benchmark: RunBenchmark, record: Record) -> None:
    """--sd-plan runs nothing; --benchmark-disable measures nothing, and says so."""
    record()

    planned = run_benchmark(*GATE, "--sd-plan")
    checked = run_benchmark("--sd-baseline=main", "--benchmark-disable", device=device(9.0))

    assert (planned.run.ret, checked.run.ret) == (0, 0)
    assert "compared" not in planned.text
    assert "nothing is compared or gated: nothing is measured" in checked.text


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
    run_benchmark: RunBenchmark, record: Record, arguments: tuple[str, ...], counted: str
) -> None:
    """A size that is no longer in the grid is missing; what -k or a node id leaves out is not."""
    record(source=TWO)

    result = run_benchmark("--sd-baseline=main", "--sd-gate", *arguments, device=device(), source=TWO)

    assert ended(result) == (0, f"sdbatch: gate: {counted}")


def test_a_test_that_is_gone_is_missing(run_benchmark: RunBenchmark, record: Record) -> None:
    """Its file was asked for; nobody shall lose a benchmark unseen."""
    record(source=TWO)

    one = TWO.partition("def test_two")[0]
    result = run_benchmark(*GATE, device=device(), source=one)

    assert ended(result) == (0, "sdbatch: gate: 2 cases compared, 2 missing")


def test_the_baseline_of_another_commit_is_read_from_git(
    run_benchmark: RunBenchmark, record: Record, pytester: pytest.Pytester
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
