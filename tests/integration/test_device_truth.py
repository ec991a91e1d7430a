"""What the device tells decides what is believed: memory rounds, neighbours, heat, faults, memory that spilled."""

from __future__ import annotations

import json

import pytest
from benchmark_run import RunBenchmark

from pytest_sdbatch import read_run_file
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.records import Outcome

GIB = 1 << 30


def generate(*lines: str, before: str = "") -> str:
    """Return a benchmark whose calls do *lines* to the device's sensors (``s``), and *before* once, before them."""
    body = "\n            ".join(lines or ("pass",))
    return f"""
    def test_generate(sd_benchmark, fake_device):
        s = fake_device.sensors
        {before or "pass"}
        def call(batch):
            {body}
            return fake_device.generate(batch)
        assert sd_benchmark(call)
"""


def test_a_record_has_its_memory_round(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """Context, peak and time line are in the run file, and are what was in it when it was written."""
    device = FakeDevice(model_bytes=2 * GIB, bytes_per_image=GIB, context_bytes=GIB, watts=100.0)
    result = run_benchmark("--sd-batch-sizes=1,4", "--sd-report=run.json", device=device)

    (run,) = read_run_file(pytester.path / "run.json")
    assert {record.case.id: record for record in run.records} == result.records
    made = [record.memory_round for record in run.records]
    assert [one.peak.value for one in made if one] == [4 * GIB, 7 * GIB]
    assert all(one and one.context.value == GIB and one.used_bytes[0] == 3 * GIB for one in made)
    assert [record.process_bytes.value for record in run.records] == [4 * GIB, 7 * GIB]


def test_the_memory_round_is_one_more_round_of_the_same_calls(run_benchmark: RunBenchmark) -> None:
    """It costs one round, and is no round: the timed ones are as many with it and without it."""
    source = """
        def test_generate(sd_benchmark, fake_device):
            calls = []
            def call(batch):
                calls.append(batch.index)
                return fake_device.generate(batch)
            sd_benchmark(call)
            print("calls:", calls)
    """
    arguments = ("-s", "--sd-batch-sizes=1", "--sd-batch-counts=2", "-o", "sd_rounds=3", "-o", "sd_warmup_calls=1")
    with_it = run_benchmark(*arguments, source=source)
    without = run_benchmark(*arguments, "-o", "sd_memory_round=no", source=source)

    assert f"calls: {[0] + [0, 1] * 4}\n" in with_it.text
    assert f"calls: {[0] + [0, 1] * 3}\n" in without.text
    (one,), (other,) = with_it.records.values(), without.records.values()
    assert one.rounds == other.rounds
    assert (other.memory_round, other.memory_round_reason) == (None, "left out (memory_round=no)")


def test_a_marker_leaves_the_memory_round_out(run_benchmark: RunBenchmark) -> None:
    """A test whose calls are long may do without."""
    source = """
        import pytest

        @pytest.mark.sdbatch(memory_round=False)
        def test_generate(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    (record,) = run_benchmark("--sd-batch-sizes=1", source=source).records.values()

    assert record.memory_round is None


def test_out_of_memory_in_the_memory_round_loses_nothing(run_benchmark: RunBenchmark) -> None:
    """The case is ok with all its rounds, the test passes with its outputs, and a note says what happened."""
    source = """
        from pytest_sdbatch.devices.fake import OutOfMemory

        def test_generate(sd_benchmark, fake_device):
            calls = []
            def call(batch):
                calls.append(1)
                if len(calls) == 7:
                    raise OutOfMemory("no room for an eighth")
                return fake_device.generate(batch)
            assert len(sd_benchmark(call)) == 1
    """
    result = run_benchmark("--sd-batch-sizes=1", "-o", "sd_rounds=5", "-o", "sd_warmup_calls=1", source=source)

    (record,) = result.records.values()
    result.run.assert_outcomes(passed=1)
    assert (record.outcome, len(record.rounds)) == (Outcome.OK, 5)
    assert record.memory_round_reason == "in the memory round: OutOfMemory: no room for an eighth"
    assert "(1) in the memory round: OutOfMemory" in result.text


def test_an_error_in_the_memory_round_is_the_targets(run_benchmark: RunBenchmark) -> None:
    """The test fails with it, the rounds before are kept."""
    source = generate("n.append(1)", "assert len(n) < 5", before="n = []")
    arguments = ("--sd-batch-sizes=1", "-o", "sd_rounds=3", "-o", "sd_warmup_calls=1")
    result = run_benchmark(*arguments, source=source)

    (record,) = result.records.values()
    result.run.assert_outcomes(failed=1)
    assert (record.outcome, len(record.rounds)) == (Outcome.CRASHED, 3)


def test_energy_is_in_table_and_files(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """Watts times seconds per image, where rounds are long enough for the counter; else one line says why not."""
    device = FakeDevice(seconds_per_call=1.0, seconds_per_image=1.0, watts=150.0)
    result = run_benchmark("--sd-batch-sizes=1,4", "--benchmark-json=b.json", device=device)
    short = run_benchmark("--sd-batch-sizes=1,4", device=FakeDevice(watts=150.0))

    assert [record.joules_per_image for record in result.records.values()] == pytest.approx([300.0, 187.5])
    stored = json.loads((pytester.path / "b.json").read_text())["benchmarks"]
    assert [row["stats"]["joules_per_image"] for row in stored] == pytest.approx([300.0, 187.5])
    assert [record.joules_per_image for record in short.records.values()] == [None, None]
    assert short.text.count("energy is not known of every case: rounds last less than 2.00 s") == 1


def test_a_counter_of_energy_that_fails_meanwhile_is_said(run_benchmark: RunBenchmark) -> None:
    """The rounds before keep theirs, and the figure of the case says of how many rounds it is not."""
    source = generate(
        "calls.append(1)", "s.energy_joules = len(calls) * 300.0 if len(calls) < 5 else None",
        before="calls, s.energy_joules = [], 0.0",
    )  # fmt: skip
    device = FakeDevice(seconds_per_call=2.0)
    device.sensors.energy_joules = 0.0
    arguments = ("--sd-batch-sizes=1", "-o", "sd_rounds=5", "-o", "sd_warmup_calls=1", "-o", "sd_memory_round=no")
    result = run_benchmark(*arguments, device=device, source=source)

    (record,) = result.records.values()
    assert [one.energy_joules for one in record.rounds] == [300.0] * 3 + [None] * 2
    assert record.joules_per_image == 300.0
    assert record.energy_reason == "the counter of energy failed or was reset in 2 of 5 rounds"
    assert f"energy is not known of every case: {record.energy_reason}" in " ".join(result.text.split())


def test_a_figure_that_a_device_stops_telling_has_its_reason(run_benchmark: RunBenchmark) -> None:
    """It was known as the run began, so that the header says nothing; the row does."""
    source = generate("calls.append(1)", "s.temperature_celsius = 40 if len(calls) < 5 else None", before="calls = []")
    device = FakeDevice()
    device.sensors.temperature_celsius = 40
    arguments = ("--sd-batch-sizes=1", "-o", "sd_rounds=5", "-o", "sd_warmup_calls=1", "-o", "sd_memory_round=no")
    result = run_benchmark(*arguments, device=device, source=source)

    (record,) = result.records.values()
    assert [one.temperature_celsius for one in record.rounds] == [40] * 3 + [None] * 2
    assert record.unread == {"temperature": "this fake device was not told"}
    assert "not known of every round: temperature (this fake device was not told)" in " ".join(result.text.split())


def test_other_processes_are_noted(run_benchmark: RunBenchmark) -> None:
    """By default the case counts, with a note; with ignore nobody looks."""
    warned = run_benchmark("--sd-batch-sizes=1", source=generate("s.neighbours = 2"))
    ignored = run_benchmark(
        "--sd-batch-sizes=1", "-o", "sd_foreign_processes=ignore", source=generate("s.neighbours = 2")
    )

    warned.run.assert_outcomes(passed=1)
    assert warned.outcomes == ignored.outcomes == {"b1x1": "ok"}
    assert "(1) 2 other processes used the device" in warned.text
    assert "other processes used" not in ignored.text


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_other_processes_fail_a_case_where_asked(when: str, run_benchmark: RunBenchmark) -> None:
    """Those that were there before: nothing is measured. Those that came: the rounds are kept and count for nothing."""
    source = generate(before="s.neighbours = 1") if when == "before" else generate("s.neighbours = 1")
    result = run_benchmark("--sd-batch-sizes=1", "-o", "sd_foreign_processes=fail", "--sd-save=main", source=source)

    (record,) = result.records.values()
    result.run.assert_outcomes(failed=1)
    assert record.outcome is Outcome.INVALID_ENVIRONMENT
    assert bool(record.rounds) is (when == "meanwhile")
    assert "invalid-environment: 1 other process used the device (foreign_processes=fail)" in result.text
    assert "was not written" in result.text


def test_a_case_that_heat_slowed_throughout_is_throttled(run_benchmark: RunBenchmark) -> None:
    """Its numbers are shown, its test passes, and it is no baseline."""
    source = generate("s.sw_thermal_s = (s.sw_thermal_s or 0.0) + 0.25", before="s.sw_thermal_s = 0.0")
    result = run_benchmark("--sd-batch-sizes=1", "--sd-save=main", source=source)

    (record,) = result.records.values()
    result.run.assert_outcomes(passed=1)
    assert record.outcome is Outcome.THROTTLED
    assert record.reason == "5 of 5 rounds slowed down by heat (the driver) for 1.25 s"
    assert "9.09  " in result.text
    assert "was not written" in result.text


def test_rounds_that_heat_slowed_are_counted(run_benchmark: RunBenchmark) -> None:
    """One round at full speed is enough for a speed; the others stay, and are said."""
    lines = ("n.append(1)", "s.hw_thermal_s += 0.1 * (len(n) == 3)")
    source = generate(*lines, before="n = []; s.hw_thermal_s = 0.0")
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    assert result.outcomes == {"b1x1": "ok"}
    assert "(1) 1 of 5 rounds slowed down by heat (the hardware) for 100 ms" in result.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("s.ecc_uncorrected += batch.size == 2", "memory errors that ECC could not correct"),
        ("s.xids = s.xids + [48] * (batch.size == 2)", "the driver reported XID 48, 48"),
    ],
)
def test_a_fault_of_the_device_makes_a_case_invalid(change: str, said: str, run_benchmark: RunBenchmark) -> None:
    """A figure made on a device that lost bits is no figure; the next case is not to blame."""
    source = generate(change, before="s.ecc_uncorrected = s.ecc_uncorrected or 0; s.xids = s.xids or []")
    result = run_benchmark("--sd-batch-sizes=1,2,4", source=source)

    result.run.assert_outcomes(passed=2, failed=1)
    assert result.outcomes == {"b1x1": "ok", "b2x1": "invalid-environment", "b4x1": "ok"}
    assert said in result.text


def test_a_fault_in_the_memory_round_is_this_cases(run_benchmark: RunBenchmark) -> None:
    """Five rounds are timed and one is not: what happens in that one makes this case invalid, and not the next."""
    source = generate(
        "calls.append(1)",
        "if len(calls) == 8 and batch.size == 2: s.xids = [48]",
        before="calls = []; s.xids = s.xids or []",
    )
    given = ["-o", "sd_rounds=5", "-o", "sd_warmup_calls=2"]
    result = run_benchmark("--sd-batch-sizes=1,2,4", *given, source=source)

    assert result.outcomes == {"b1x1": "ok", "b2x1": "invalid-environment", "b4x1": "ok"}
    assert "XID 48" in result.text


def test_memory_that_spilled_ends_a_ladder(run_benchmark: RunBenchmark) -> None:
    """A full device that becomes slow where drivers do that: numbers shown, larger sizes skipped, the setting named."""
    source = """
        def test_generate(sd_benchmark, fake_device):
            def call(batch):
                if batch.size >= 4:
                    fake_device.submit(9.0)
                return fake_device.generate(batch)
            sd_benchmark(call)
    """
    windows, linux = (
        run_benchmark(
            "--sd-batch-sizes=1,2,4,8",
            source=source,
            device=FakeDevice(model_bytes=8 * GIB, bytes_per_image=GIB, spills_beyond_bytes=limit),
        )
        for limit in (12 * GIB, None)
    )

    assert windows.outcomes == {"b1x1": "ok", "b2x1": "ok", "b4x1": "spilled", "b8x1": "skipped"}
    windows.run.assert_outcomes(passed=3, skipped=1)
    assert "Sysmem" in windows.text
    assert "batch size 4 spilled into the host's memory" in windows.text
    assert set(linux.outcomes.values()) == {"ok"}


def test_what_is_not_known_is_said_once(run_benchmark: RunBenchmark) -> None:
    """In the header, and in no row."""
    result = run_benchmark("--sd-batch-sizes=1,2,4")

    assert result.text.count("not known here: energy, throttling, SM clock, temperature") == 1
    assert result.text.count("this fake device was not told") == 1


def test_memory_rounds_survive_resuming(run_benchmark: RunBenchmark) -> None:
    """What was taken over has its time line, and another setting of the round is refused."""
    source = """
        def test_generate(sd_benchmark, fake_device):
            if sd_benchmark.case.batch_size == 2:
                raise KeyboardInterrupt
            sd_benchmark(fake_device.generate)
    """
    run_benchmark("--sd-batch-sizes=1,2", source=source)
    refused = run_benchmark("--sd-batch-sizes=1,2", "--sd-resume", "-o", "sd_memory_round=no")
    resumed = run_benchmark("--sd-batch-sizes=1,2", "--sd-resume")

    assert refused.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "memory_round was not given and is no" in refused.text
    (kept, made) = resumed.records.values()
    assert kept.memory_round is not None
    assert made.memory_round is not None
    assert kept.memory_round.peak == kept.memory_round.after
    assert len(kept.memory_round.time_s) == len(kept.memory_round.used_bytes) >= 2
