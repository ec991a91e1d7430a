"""Applications whose one call makes several batches: what they are given, and what is made of it."""

from __future__ import annotations

import pytest
from benchmark_run import RunBenchmark

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice

APPLICATION = """
    import numpy as np

    def test_app(sd_benchmark, fake_device):
        calls = []

        def generate(batch):
            calls.append((batch.size, batch.count, batch.seeds))
            return np.concatenate([fake_device.generate(batch.size) for _ in range(batch.count)])

        outputs = sd_benchmark(generate, count_inside=True)
        case = sd_benchmark.case
        assert [len(output) for output in outputs] == [case.images]
        assert set(calls) == {(case.batch_size, case.batch_count, tuple(range(case.images)))}
"""


def device() -> FakeDevice:
    """Return a device on which a batch takes 0.1 s and 0.1 s an image."""
    return FakeDevice(seconds_per_call=0.1, seconds_per_image=0.1)


def test_one_call_makes_all_batches_of_a_round(run_benchmark: RunBenchmark) -> None:
    """Times are those of one batch, the record says that a call made several, and the table says what that means."""
    result = run_benchmark("--sd-batch-sizes=2", "--sd-batch-counts=1,3", device=device(), source=APPLICATION)

    assert result.outcomes == {"b2x1": "ok", "b2x3": "ok"}
    one, several = result.records.values()
    assert one.count_inside
    assert several.count_inside
    assert [len(reading.call_s) for reading in several.rounds] == [1] * len(several.rounds)
    assert several.rounds[0].wall_s == pytest.approx(0.9)
    text = " ".join(result.text.split())
    assert text.count("300 ms ±") == 2
    assert text.count("one call made all batches of a round") == 1


def test_a_round_is_made_once_where_nothing_is_measured(run_benchmark: RunBenchmark) -> None:
    """Under --benchmark-disable the application is asked for the same, and its images are counted."""
    result = run_benchmark("--sd-images=6", "--benchmark-disable", device=device(), source=APPLICATION)

    result.run.assert_outcomes(passed=1)


def test_images_of_one_batch_alone_are_too_few(run_benchmark: RunBenchmark) -> None:
    """An application that forgets the count would pass for a fast one."""
    source = """
        def test_app(sd_benchmark, fake_device):
            sd_benchmark(lambda batch: fake_device.generate(batch.size), count_inside=True)
    """
    result = run_benchmark("--sd-batch-sizes=2", "--sd-batch-counts=3", device=device(), source=source)

    assert result.outcomes == {"b2x3": "invalid-output"}
    assert "2 images where 6 were asked for" in result.text


def test_a_pipeline_is_refused(run_benchmark: RunBenchmark) -> None:
    """It would make one batch and be timed as several; the error says what to do."""
    source = """
        def test_app(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline, count_inside=True)
    """
    result = run_benchmark("--sd-models=tiny-sd", "--sd-batch-sizes=1", device=CpuDevice(), source=source)

    assert result.outcomes == {"b1x1": "crashed"}
    assert "with count_inside=True" in result.text
    assert "leave out count_inside: each batch is then a call" in result.text
