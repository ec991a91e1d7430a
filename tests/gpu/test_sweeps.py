"""Full-size models on the card: built in seconds, measured, out of memory and back."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from pytest_sdbatch import Outcome, read_run_file
from pytest_sdbatch.analysis.forecast import growths, largest_that_fits
from pytest_sdbatch.devices.cuda import CudaDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.pool import PipelinePool

Note = Callable[[str, object], None]


@pytest.mark.parametrize("model", ["sd15", "sdxl"])
def test_a_full_size_model_is_built_in_seconds(model: str, device: CudaDevice, record_property: Note) -> None:
    """Random weights are made on the card: no minutes of initialization, and bytes as the parameters have them."""
    pool = PipelinePool(device, ModelCatalog())
    case = Case(
        model=model, dtype="fp16", device=device.name, height=512, width=512, steps=1, batch_size=1, batch_count=1
    )
    loaded = pool.acquire(case)
    record_property("load_s", loaded.load_s)
    record_property("model_bytes", loaded.model_bytes.value)

    assert loaded.load_s < 60
    assert loaded.model_bytes.value == pytest.approx(2 * loaded.parameters, rel=0.1)
    del loaded  # it holds the pipeline too
    pool.release(case.pool_key)
    device.release_memory()
    assert torch.cuda.memory_allocated(0) < 64 << 20


def test_out_of_memory_is_a_row_and_the_next_case_is_as_before(pytester: pytest.Pytester) -> None:
    """A batch that cannot fit any card ends as oom; the same size measured before and after has the same peak."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.sdbatch(batch_sizes=[1])
        def test_before(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)

        @pytest.mark.sdbatch(batch_sizes=[4096])
        def test_too_large(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)

        @pytest.mark.sdbatch(batch_sizes=[1])
        def test_after(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)
        """
    )

    result = pytester.runpytest_subprocess(
        "--sd-models=sd15", "--sd-device=cuda", "--sd-steps=2", "-o", "sd_rounds=5", "--sd-report=run.json"
    )

    result.assert_outcomes(passed=2, skipped=1)
    (run,) = read_run_file(pytester.path / "run.json")
    before, too_large, after = run.records
    assert too_large.outcome is Outcome.OOM
    assert before.rounds[-1].peak_allocated_bytes == after.rounds[-1].peak_allocated_bytes
    assert before.rounds[-1].stage_s is not None
    assert sum(before.rounds[-1].stage_s.values()) <= 1.05 * before.rounds[-1].wall_s


@pytest.mark.parametrize("granted_gib", [9, 11, 12, 13, 15])
def test_the_predicted_largest_batch_runs_and_half_as_many_again_do_not(
    granted_gib: int, pytester: pytest.Pytester, record_property: Note
) -> None:
    """Under what torch grants the process, predicted from batch sizes 1 to 8 of sd15: its VAE overtakes at 2 or 3."""
    free, total = torch.cuda.mem_get_info(0)
    if free < granted_gib * 2**30:
        pytest.skip(f"{free / 2**30:.1f} GiB are free")
    pytester.makeconftest(
        f"import torch\n\ndef pytest_collection_finish(session):\n"
        f"    torch.cuda.set_per_process_memory_fraction({granted_gib * 2**30 / total!r}, 0)\n"
    )
    pytester.makepyfile("def test_it(sd_benchmark, sd_pipeline):\n    sd_benchmark(sd_pipeline)")
    options = ["--sd-models=sd15", "--sd-dtypes=fp16", "--sd-device=cuda", "--sd-steps=1", "-o", "sd_rounds=3"]

    pytester.runpytest_subprocess(*options, "--sd-batch-sizes=1,2,4,8", "--sd-report=probes.json")
    (run,) = read_run_file(pytester.path / "probes.json")
    found = largest_that_fits(growths(run.records))
    assert found is not None
    assert found.estimate is not None
    beyond = math.ceil(1.5 * found.estimate)  # with 1.2 cuDNN makes do with less workspace
    record_property("largest", found.estimate)
    sizes = f"--sd-batch-sizes={found.estimate},{beyond}"
    pytester.runpytest_subprocess(*options, sizes, "--sd-report=tried.json")

    (tried,) = read_run_file(pytester.path / "tried.json")
    assert [record.outcome for record in tried.records] == [Outcome.OK, Outcome.OOM]
    assert found.estimate >= 10


def test_compiled_rounds_do_not_compile(pytester: pytest.Pytester) -> None:
    """A compiled case is warm when it is timed: compiling is told apart, and no timed round compiles."""
    pytester.makepyfile("def test_it(sd_benchmark, sd_pipeline):\n    sd_benchmark(sd_pipeline)")

    result = pytester.runpytest_subprocess(
        "--sd-models=tiny-sd", "--sd-device=cuda", "--sd-variants=compile", "--sd-batch-sizes=1,2",
        "-o", "sd_rounds=5", "--sd-report=run.json",
    )  # fmt: skip

    result.assert_outcomes(passed=2)
    (run,) = read_run_file(pytester.path / "run.json")
    for record in run.records:
        assert record.compilation is not None
        assert record.compilation.graphs > 0
        assert record.compilation.recompiles_in_rounds == 0
