"""What a run answers: the splits of N images, by the objective and at the price that were given."""

from __future__ import annotations

import pytest
from benchmark_run import Result, RunBenchmark

from pytest_sdbatch.devices.fake import FakeDevice

GIB = 2**30


def device(**changes: object) -> FakeDevice:
    """Return a device on which a call takes 0.1 s and 0.1 s an image, and an image 1 GiB."""
    return FakeDevice(seconds_per_call=0.1, seconds_per_image=0.1, bytes_per_image=GIB, **changes)  # type: ignore[arg-type]


def words(result: Result) -> str:
    """Return what was printed with single spaces: sentences are wrapped."""
    return " ".join(result.text.split())


def test_every_split_is_planned_and_one_is_recommended(run_benchmark: RunBenchmark) -> None:
    """8x1 is fastest; 16 images are too many for the device, and no split that it cannot make is shown."""
    result = run_benchmark("--sd-images=16", device=device(capacity_images=8))

    assert "16 images: 8x2, 1.80 s, 78 % faster than 1x16; first image after 900 ms" in words(result)
    shown = [line.split() for line in result.text.splitlines() if line.endswith(("measured", "recommended"))]
    assert [row[0] for row in shown] == ["1x16", "2x8", "4x4", "8x2"]
    assert shown[-1][-1] == "recommended"


def test_a_remainder_is_planned_as_another_call(run_benchmark: RunBenchmark) -> None:
    """10 images at 4 are 4+4+2, with the measured call of 2."""
    result = run_benchmark("--sd-images=10", "--sd-batch-sizes=2,4", device=device())

    assert result.outcomes == {"b2x5": "ok", "b4x2": "ok"}
    assert "10 images: 4+4+2, 1.30 s, 15 % faster than 2x5" in words(result)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sd-objective=memory"], "16 images, for memory: 1x16, 3.20 s"),
        (["--sd-price=fake:3.6/h"], "per 1000"),
        (["-o", "sd_sweet_spot=20%"], "16 images: 4x4, 2.00 s"),
        (["-o", "sd_start=cold"], "16 images: 16x1, 1.70 s"),
    ],
)
def test_what_decides_is_an_option(run_benchmark: RunBenchmark, arguments: list[str], says: str) -> None:
    """Objective, price, share and start."""
    result = run_benchmark("--sd-images=16", *arguments, device=device())

    assert says in words(result)


def test_latency_is_told_as_what_one_waits(run_benchmark: RunBenchmark) -> None:
    """The median and the longest round; finished images are no matter of this device."""
    arguments = ["--sd-batch-sizes=1,4", "--sd-objective=latency", "-osd_output_type=pil"]

    result = run_benchmark(*arguments, device=device())

    assert "least latency has batch size 1, 200 ms a call (median; at most 200 ms in 5 rounds" in words(result)
    assert "fastest is batch size 4, 500 ms a call and 8.00 images/s" in words(result)
    assert "without making PIL images" not in words(result)


def test_a_device_without_a_price_has_no_costs(run_benchmark: RunBenchmark) -> None:
    """A price by name is for devices of that name."""
    result = run_benchmark("--sd-images=4", "--sd-price=H100:3.6/h", device=device())

    assert "4 images: 4x1" in words(result)
    assert "per 1000" not in result.text


def test_images_that_stronger_axes_set_aside_are_not_planned(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """Sizes that were typed win over the images of the file, in the grid and in the answer."""
    (pytester.path / "pytest.ini").write_text("[pytest]\nsd_images = 16")

    result = run_benchmark("--sd-batch-sizes=1,4", device=device())

    assert "16 images" not in result.text
    assert "fastest is batch size 4" in words(result)


@pytest.mark.parametrize("argument", ["--sd-price=2.49", "--sd-objective=speed", "-osd_start=hot"])
def test_what_cannot_be_read_is_refused_at_once(run_benchmark: RunBenchmark, argument: str) -> None:
    """Before anything is measured."""
    result = run_benchmark(argument)

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert argument.removeprefix("-o").removeprefix("--").partition("=")[0] in result.text
    assert result.records == {}


@pytest.mark.parametrize(
    ("limit", "outcomes", "reason"),
    [
        ("latency:0.4s", ["ok", "ok", "over-limit", "skipped"], "batch size 4 took 500 ms per call, at most 400 ms"),
        ("peak-memory:2.5GiB", ["ok", "over-limit", "skipped", "skipped"], "batch size 2 took peak memory 3.00 GiB"),
        ("images-per-s:6", ["over-limit", "ok", "ok", "ok"], "at least 6.00 images/s"),
    ],
)
def test_a_limit_that_grows_with_the_batch_ends_the_ladder(
    run_benchmark: RunBenchmark, limit: str, outcomes: list[str], reason: str
) -> None:
    """Larger sizes break it by more, and are skipped with the reason; images per second may rise yet."""
    result = run_benchmark("--sd-batch-sizes=1,2,4,8", f"--sd-limit={limit}", device=device())

    assert list(result.outcomes.values()) == outcomes
    assert reason in words(result)
