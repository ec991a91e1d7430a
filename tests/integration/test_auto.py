"""``--sd-batch-sizes=auto``: grows as far as memory is predicted to do, and says how far that is.

Its commands stand in docs/how-to/largest-batch.md.
"""

from __future__ import annotations

import pytest
from benchmark_run import Result, RunBenchmark

from pytest_sdbatch.devices.fake import FakeDevice

MIB = 2**20


def device(images: int | None) -> FakeDevice:
    """Return a device of 1 GiB and *images* of 100 MiB each."""
    return FakeDevice(bytes_per_image=100 * MIB, capacity_images=images)


def words(result: Result) -> str:
    """Return what was printed with single spaces: sentences are wrapped."""
    return " ".join(result.text.split())


def test_sizes_grow_until_one_is_predicted_not_to_fit(run_benchmark: RunBenchmark) -> None:
    """32 and more are not tried; 24, between the last that fits and the first that does not, is, and fits."""
    result = run_benchmark("--sd-batch-sizes=auto:64", device=device(27))

    assert {split: outcome for split, outcome in result.outcomes.items() if outcome == "ok"}.keys() == {
        "b1x1",
        "b2x1",
        "b4x1",
        "b8x1",
        "b16x1",
        "b24x1",
    }
    reasons = {record.case.batch_size: record.reason for record in result.records.values() if record.reason}
    assert reasons == {
        12: "a larger batch size fits",
        32: "predicted not to fit: needs 3.12 GiB more than is in use, 2.64 GiB free",
        64: "predicted not to fit: needs 6.25 GiB more than is in use, 2.64 GiB free",
        48: "predicted not to fit: needs 4.69 GiB more than is in use, 2.64 GiB free",
    }
    assert "oom" not in result.outcomes.values()


def test_what_is_free_is_said_once_and_the_largest_at_the_end(run_benchmark: RunBenchmark) -> None:
    """Both in words; what was not measured is marked as predicted."""
    result = run_benchmark("--sd-batch-sizes=auto:64", device=device(27))

    assert words(result).count("predicted to fit: 2.64 GiB of memory free now") == 1
    assert "; 24 is the largest measured that fits, about 27 (26 or more) would" in words(result)


@pytest.mark.parametrize("images", [1, 3, 9, 12, 16])
def test_nothing_is_tried_that_does_not_fit(run_benchmark: RunBenchmark, images: int) -> None:
    """From the third size on; before it nothing is known, and running out of memory is a result."""
    result = run_benchmark("--sd-batch-sizes=auto:16", device=device(images))

    tried = {size: result.outcomes[f"b{size}x1"] for size in (1, 2, 4, 8, 12, 16)}
    assert all(outcome == "ok" for size, outcome in tried.items() if size <= images and (size, images) != (12, 16))
    assert [size for size, outcome in tried.items() if outcome == "oom"] == ([2] if images == 1 else [])


def test_where_memory_is_without_end_the_bound_is_the_end(run_benchmark: RunBenchmark) -> None:
    """All doubled sizes run, none between them, and nothing is claimed."""
    result = run_benchmark("--sd-batch-sizes=auto:16", device=device(None))

    assert result.outcomes == {
        "b1x1": "ok",
        "b2x1": "ok",
        "b4x1": "ok",
        "b8x1": "ok",
        "b16x1": "ok",
        "b12x1": "skipped",
    }
    assert "what is free is not known here" in words(result)
    assert "would" not in words(result).partition("fastest is")[2]


def test_sizes_that_are_written_out_are_all_tried(run_benchmark: RunBenchmark) -> None:
    """Nobody's explicit wish is left out for a prediction; beyond what was measured it is told."""
    result = run_benchmark("--sd-batch-sizes=1,2,4,8", device=device(6))
    smaller = run_benchmark("--sd-batch-sizes=1,2,4", device=device(6))

    assert result.outcomes["b8x1"] == "oom"
    assert "4 is the largest measured that fits, about 6 (5 or more) would" in words(result)
    assert "at least 4 fit, about 6 (5 or more) would" in words(smaller)


def test_a_marker_may_ask_for_it(run_benchmark: RunBenchmark) -> None:
    """As for every axis."""
    source = """
        import pytest

        @pytest.mark.sdbatch(batch_sizes="auto:8")
        def test_generate(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """

    result = run_benchmark(device=device(6), source=source)

    assert result.outcomes == {"b1x1": "ok", "b2x1": "ok", "b4x1": "ok", "b8x1": "skipped"}
