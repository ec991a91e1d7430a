"""Stages of real diffusers pipelines with tiny networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.memory import measure_memory
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.output import check_output

pytestmark = pytest.mark.slow  # the import of diffusers alone takes 5 s


@pytest.fixture(scope="module")
def tiny_sd() -> Any:
    """Stable Diffusion with tiny random networks."""
    return build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)


@pytest.fixture
def ddpm() -> Any:
    """Unconditional diffusion with a tiny network."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    unet = UNet2DModel(sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4, **blocks)
    pipeline = DDPMPipeline(unet.eval(), DDPMScheduler(num_train_timesteps=8))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_stages_of_stable_diffusion_add_up_to_nearly_all_of_a_call(tiny_sd: Any) -> None:
    """Four steps of a guided batch of 2 are four denoiser calls with 4 samples; the output passes its check."""
    case = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=2, batch_count=2)
    device = CpuDevice()
    with StageClock(tiny_sd, device) as clock:
        result = measure(GenerationWorkload(tiny_sd, case), device, Rules(rounds=3), stages=clock)

    assert result.stages is None
    assert (result.denoiser_batch, result.denoiser_calls) == (4, 4)
    for reading in result.rounds:
        assert list(reading.stage_s or {}) == ["text_encoder", "denoiser", "scheduler", "vae_decode"]
        assert 0.4 < sum((reading.stage_s or {}).values()) / reading.wall_s < 1.0
    verdict = check_output(result.outputs, case)
    assert (verdict.status, verdict.problem) == ("checked", None)


def test_the_memory_round_tells_the_peak_of_each_stage(tiny_sd: Any) -> None:
    """At 256x256 the VAE of tiny-sd takes more than its denoiser, and what lies between the stages is one of them."""
    case = Case(
        model="tiny-sd", dtype="fp32", device="cpu", height=256, width=256, steps=1, batch_size=4, batch_count=1
    )
    device = CpuDevice()
    with StageClock(tiny_sd, device) as clock:
        made, reason = measure_memory(GenerationWorkload(tiny_sd, case), device, loading=None, stages=clock)
    if made.stage_peak_bytes is None:
        pytest.skip(str(made.stage_peak_reason))  # no resident peak that can be reset: not Linux

    assert reason is None
    assert set(made.stage_peak_bytes) == {"text_encoder", "denoiser", "scheduler", "vae_decode", "other"}
    # Between the stages a process that ran much before may hold more: its allocator gives back when it likes.
    stages = {stage: size for stage, size in made.stage_peak_bytes.items() if stage != "other"}
    assert max(stages, key=stages.__getitem__) == "vae_decode"


def test_an_attached_pipeline_is_saved_and_loaded_like_a_plain_one(tiny_sd: Any, tmp_path: Path) -> None:
    """The files name the original classes, and loading them gives those."""
    plain = {name: type(part) for name, part in tiny_sd.components.items()}
    with StageClock(tiny_sd, CpuDevice()):
        tiny_sd.save_pretrained(tmp_path)
        again = type(tiny_sd).from_pretrained(tmp_path)

    assert {name: type(part) for name, part in again.components.items()} == plain
    assert {name: type(part) for name, part in tiny_sd.components.items()} == plain


def test_an_unconditional_pipeline_has_two_stages(ddpm: Any) -> None:
    """DDPM has a denoiser and a scheduler, and makes as many images as asked for."""
    with StageClock(ddpm, CpuDevice()) as clock:
        output = ddpm(batch_size=3, num_inference_steps=4, output_type="np")
        split = clock.read()
        assert clock.denoiser_batch == 3

    assert list(split.seconds or {}) == ["denoiser", "scheduler"]
    case = Case(model="x", dtype="fp32", device="cpu", height=8, width=8, steps=4, batch_size=3, batch_count=1)
    assert check_output([output], case).problem is None


def test_all_components_of_the_catalog_s_tiny_pipelines_are_restored() -> None:
    """Attaching and detaching leaves no trace on any component of any tiny pipeline."""
    for name in [name for name in ARCHITECTURES if name.startswith("tiny-")]:
        pipeline = build(ARCHITECTURES[name], device="cpu", dtype="fp32", seed=0)
        parts = [part for part in pipeline.components.values() if hasattr(part, "__dict__")]
        before = [(type(part), set(vars(part))) for part in parts]
        with StageClock(pipeline, CpuDevice()) as clock:
            assert {"text_encoder", "denoiser", "scheduler", "vae_decode"} <= set(clock.stages)

        assert [(type(part), set(vars(part))) for part in parts] == before
