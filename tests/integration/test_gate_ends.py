"""How a run with --sd-baseline or --sd-gate ends: each exit status, and what is refused before it measures."""

from __future__ import annotations

import pytest
from benchmark_run import RunBenchmark
from gated import GATE, SIZES, RecordBaseline, device, ended

from pytest_sdbatch.devices.fake import FakeDevice, OutOfMemory
from pytest_sdbatch.records import Reading


@pytest.mark.parametrize("gate", [(), ("--sd-gate",)])
def test_a_missing_baseline_ends_with_12_and_the_command_that_records_one(
    run_benchmark: RunBenchmark, record: RecordBaseline, gate: tuple[str, ...]
) -> None:
    """Before anything is measured, with the gate and without; what is stored is named."""
    record(name="other")

    result = run_benchmark("--sd-baseline=main", SIZES, *gate)

    assert result.run.ret == 12
    assert "no baseline main of this device" in result.text
    assert "stored for some device: other" in result.text
    assert "sdbatch sweep --processes=5 --sd-save=main -- " in result.text
    assert len(result.text.splitlines()) == 3  # what, why, and what to do: nothing of pytest's around it
    assert not result.records


def test_a_baseline_of_other_devices_alone_is_missing(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """The name is there, the file of this device is not: that is known once the device is."""
    record()

    result = run_benchmark(*GATE, device=FakeDevice(name="another"))

    assert result.run.ret == 12
    assert result.text.count("no baseline main of this device") == 1
    assert "Exit" not in result.text
    assert "no tests ran" in result.text
    assert not result.records


def test_a_baseline_that_cannot_be_read_ends_with_12(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """The message names the file and the key; nothing is measured."""
    path = record()
    path.write_text(path.read_text().replace('"started_at":', '"started_att":', 1))

    result = run_benchmark(*GATE)

    assert result.run.ret == 12
    assert path.name in result.text
    assert "started_att" in result.text
    assert not result.records


def test_a_baseline_can_be_any_file(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
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
    assert "no baseline was named, and no benchmark has a limit" in result.text
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


def test_a_gate_that_measured_nothing_ends_with_12(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """All benchmarks skipped, or none collected: a green end would be a lie."""
    record()
    plain = "def test_plain(): pass\n"

    result = run_benchmark(*GATE, source=plain)

    assert ended(result) == (12, "sdbatch: gate: no benchmark was measured, so nothing was compared (exit status 12)")


def test_incomparable_runs_end_with_12(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """Another seed is another picture; the last line counts what could not be compared."""
    record()

    shown = run_benchmark("--sd-baseline=main", SIZES, "-o", "sd_seed=7", device=device())
    gated = run_benchmark(*GATE, "-o", "sd_seed=7", device=device())

    assert shown.run.ret == 0
    assert ended(gated) == (12, "sdbatch: gate: 0 cases compared, 2 incomparable (exit status 12)")
    assert "incomparable: seed 0 -> 7" in gated.text


def test_inconclusive_is_the_last_line_and_fails_only_where_asked(
    run_benchmark: RunBenchmark, record: RecordBaseline
) -> None:
    """Runs that differ by several percent exclude no slowdown; the command that settles it is printed."""
    record(factors=(1.0, 1.06, 0.95, 1.03, 0.97))

    passed = run_benchmark(*GATE, device=device(0.99))
    failed = run_benchmark(*GATE, "-o", "sd_fail_on=inconclusive", device=device(0.99))

    assert (ended(passed)[0], ended(failed)[0]) == (0, 11)
    for result in (passed, failed):
        assert "2 cases compared, 2 inconclusive; both versions side by side settle it: " in ended(result)[1]
        assert "sdbatch ab --base REF -- " in ended(result)[1]
        assert "--sd-gate" not in ended(result)[1].partition("--base")[2]
    assert "(exit status 11)" in ended(failed)[1]


def test_foreign_processes_end_with_13(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """What the device told of itself was not this code's alone; without the gate a mark in the table is enough."""
    record()
    crowded = device()
    crowded.sensors.neighbours = 1

    assert run_benchmark("--sd-baseline=main", SIZES, device=crowded).run.ret == 0
    status, last = ended(run_benchmark(*GATE, device=crowded))
    assert status == 13
    assert "other processes used the device during 2 cases (exit status 13)" in last


def test_a_device_throttled_throughout_ends_with_13(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
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


def test_pytests_own_status_goes_before_all_others(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
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
    run_benchmark: RunBenchmark, record: RecordBaseline, arguments: tuple[str, ...], said: str
) -> None:
    """Exit status 4 with the reason, when pytest is configured."""
    record()

    result = run_benchmark(*GATE, *arguments)

    assert result.run.ret == 4
    assert said in result.text
    assert not result.records


def test_a_plan_or_a_check_compares_nothing(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """--sd-plan runs nothing; --benchmark-disable measures nothing, and says so."""
    record()

    planned = run_benchmark(*GATE, "--sd-plan")
    checked = run_benchmark("--sd-baseline=main", "--benchmark-disable", device=device(9.0))

    assert (planned.run.ret, checked.run.ret) == (0, 0)
    assert "compared" not in planned.text
    assert "nothing is compared or gated: nothing is measured" in checked.text


@pytest.mark.parametrize("typed", [True, False])
def test_a_colon_without_a_commit_ends_with_12(
    run_benchmark: RunBenchmark, record: RecordBaseline, pytester: pytest.Pytester, typed: bool
) -> None:
    """What "$BASE:main" gives with an empty variable: the tree that is gated must not be what it is compared with."""
    record()
    if not typed:
        pytester.makeini("[pytest]\nsd_gate = yes\nsd_baseline = :main\n")

    result = run_benchmark(*(("--sd-baseline=:main", "--sd-gate") if typed else ()), SIZES)

    assert result.run.ret == 12
    assert "ERROR: --sd-baseline=:main names no commit before its colon" in result.text
    assert not result.records


def test_a_baseline_that_a_pull_request_brings_along_is_said_under_ci(
    run_benchmark: RunBenchmark, record: RecordBaseline, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, where git has the file; not for a baseline that no commit holds, and not outside CI."""
    record()
    monkeypatch.setenv("CI", "true")

    said = [run_benchmark(*GATE, device=device()).text]
    for words in (("init", "-q"), ("add", "benchmarks")):
        assert pytester.run("git", *words).ret == 0
    said.append(run_benchmark(*GATE, device=device()).text)
    monkeypatch.delenv("CI")
    said.append(run_benchmark(*GATE, device=device()).text)

    line = "sdbatch: the baseline comes from this tree; name the base commit: --sd-baseline=REF:main"
    assert [text.splitlines().count(line) for text in said] == [0, 1, 0]


class Full(FakeDevice):
    """A device that others filled: it runs out of memory as soon as something is put on it."""

    def used_bytes(self) -> Reading:
        """Be asked when a pipeline is loaded."""
        raise OutOfMemory("no room for the model")


def test_a_pipeline_that_no_longer_fits_while_loading_is_an_error_in_set_up(run_benchmark: RunBenchmark) -> None:
    """The test's own code never ran: pytest's word for that is ERROR, and the gate's is regressed."""
    source = """
        def test_it(sd_benchmark, sd_pipeline, fake_device):
            sd_benchmark(fake_device.generate)
    """
    one = "--sd-batch-sizes=1"
    run_benchmark("--sd-report=base.json", one, source=source, device=FakeDevice(name="cpu"))

    result = run_benchmark("--sd-baseline=base.json", "--sd-gate", one, source=source, device=Full(name="cpu"))

    result.run.assert_outcomes(errors=1)
    assert ended(result) == (1, "sdbatch: gate: 1 case compared, 1 regressed")
    assert "outcome: ok before, oom now: model 'tiny-sd' does not fit on cpu as fp32: no room" in result.text
