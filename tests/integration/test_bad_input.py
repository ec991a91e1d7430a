"""Bad input ends a run with pytest's usage error, in words one can act on, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_run import RunBenchmark

USAGE_ERROR = 4
PIPELINE = """
    def test_it(sd_benchmark, sd_pipeline):
        sd_benchmark(sd_pipeline)
"""


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1,,4", "1,1", "4:1", "1:8:x1", "", "1.5", "1;4", "1:8:-1"])
def test_batch_sizes_that_are_none_end_the_run(run_benchmark: RunBenchmark, text: str) -> None:
    """One error that names the option as typed and says what it takes."""
    result = run_benchmark(f"--sd-batch-sizes={text}")

    assert result.run.ret == USAGE_ERROR
    errors = [line for line in result.text.splitlines() if line.startswith("ERROR:")]
    assert len(errors) == 1
    assert "--sd-batch-sizes" in errors[0]
    assert "do:" in result.text
    assert "Traceback" not in result.text


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--sd-models=sd16", "sd15"),
        ("--sd-models=./nowhere", "nowhere"),
        ("--sd-variants=fp16", "dtype"),
        ("--sd-variants=chanels-last", "channels-last"),
        ("--sd-variants=eager+compile", "eager"),
        ("--sd-dtypes=float16", "fp16"),
        ("--sd-dtypes=int8", "fp32, fp16, bf16"),
        ("--sd-resolutions=64x", "HEIGHTxWIDTH"),
        ("--sd-images=0", "--sd-images"),
        ("--sd-report=out.pdf", ".json, .html, .md or .csv"),
        ("--sd-report=out.json,out", "no suffix"),
        ("--sd-report=no/such/folder/out.json", "no/such/folder"),
        ("--sd-save=../up", "no name for a stored run"),
        ("-osd_precision=2", "sd_precision"),
        ("-osd_rounds=1", "rounds"),
        ("-osd_max_rounds=2", "sd_max_rounds"),
        ("-osd_nonsense=1", "sd_nonsense"),
        ("-osd_output_type=jpeg", "pil"),
        ("--sd-batch-sizes=1:10001", "max_cases"),
    ],
)
def test_what_was_typed_is_checked_before_collection(run_benchmark: RunBenchmark, argument: str, says: str) -> None:
    """Unknown names, impossible values and targets that cannot be written are refused at once, with the way out."""
    result = run_benchmark(argument, source=PIPELINE)

    assert result.run.ret == USAGE_ERROR
    assert says in result.text
    assert "collected" not in result.text
    assert "Traceback" not in result.text


@pytest.mark.parametrize("text", ["tpu", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_ends_the_run(pytester: pytest.Pytester, text: str) -> None:
    """An unknown device is refused, and cuda never falls back to the CPU."""
    pytester.makepyfile(PIPELINE)

    result = pytester.runpytest_inprocess(f"--sd-device={text}")

    assert result.ret == USAGE_ERROR
    assert text in result.stderr.str()


def test_a_resolution_that_the_model_cannot_make_ends_the_run(run_benchmark: RunBenchmark) -> None:
    """The factor is the model's: a test with a pipeline of its own takes any resolution."""
    refused = run_benchmark("--sd-resolutions=60", source=PIPELINE)
    own = run_benchmark("--sd-resolutions=60", "--sd-batch-sizes=1")

    assert refused.run.ret == USAGE_ERROR
    assert "multiples of 8" in refused.text
    assert "use 64x64" in refused.text
    assert own.run.ret == 0


def test_images_that_fill_no_batch_are_refused(run_benchmark: RunBenchmark) -> None:
    """10 images do not fill a batch of 16, and the message names the sizes that fit."""
    result = run_benchmark("--sd-images=10", "--sd-batch-sizes=16")

    assert result.run.ret == USAGE_ERROR
    assert "1,2,5,10" in result.text


def test_a_wrong_value_in_the_file_does_not_break_runs_that_measure_nothing(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """An unknown model in the ini file matters where a benchmark is collected, and only there."""
    pytester.makeini("[pytest]\nsd_models = sd16")

    plain = run_benchmark(source="def test_plain(): pass")
    measured = run_benchmark(source=PIPELINE)

    assert plain.run.ret == 0
    assert measured.run.ret == USAGE_ERROR
    assert "sd15" in measured.text


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("batch_sizes='0'", "batch_sizes"),
        ("batch_szes=4", "batch_szes"),
        ("device='cpu'", "whole run"),
        ("models='sd16'", "sd15"),
        ("prompts='missing.txt'", "missing.txt"),
        ("precision='x'", "precision"),
    ],
)
def test_a_wrong_marker_ends_the_run(run_benchmark: RunBenchmark, marker: str, says: str) -> None:
    """Markers are checked when tests are collected: exit 4, no traceback, nothing measured."""
    source = f"""
        import pytest

        @pytest.mark.sdbatch({marker})
        def test_it(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)
    """
    result = run_benchmark(source=source)

    assert result.run.ret == USAGE_ERROR
    assert says in result.text
    assert "Traceback" not in result.text


def test_own_parametrization_of_our_names_is_refused(run_benchmark: RunBenchmark) -> None:
    """The message names the marker that does it."""
    source = """
        import pytest

        @pytest.mark.parametrize("sd_batch_size", [1, 2])
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark(source=source)

    assert result.run.ret == USAGE_ERROR
    assert "@pytest.mark.sdbatch(batch_sizes=" in result.text


def test_a_run_file_that_exists_is_refused_and_left_alone(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """Nothing is measured, and the file keeps its content."""
    target = tmp_path / "run.json"
    target.write_text("mine")

    result = run_benchmark(f"--sd-report={target}")

    assert result.run.ret == USAGE_ERROR
    assert "exists" in result.text
    assert target.read_text() == "mine"


def test_a_folder_that_is_no_pipeline_is_refused(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """A folder without model_index.json is named, with what is missing."""
    result = run_benchmark(f"--sd-models={tmp_path}", source=PIPELINE)

    assert result.run.ret == USAGE_ERROR
    assert "model_index.json" in result.text
