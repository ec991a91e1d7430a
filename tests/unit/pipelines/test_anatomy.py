"""Facts read from a pipeline object."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_sdbatch.pipelines import variants
from pytest_sdbatch.pipelines.anatomy import count, denoiser_name, describe, is_pipeline
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build


def test_a_pipeline_describes_itself() -> None:
    """What the case did not ask for but the pipeline does anyway is in the record."""
    pipeline = build(ARCHITECTURES["tiny-sdxl"], device="cpu", dtype="fp32", seed=0)
    variants.apply(pipeline, "vae-slicing", device="cpu")

    facts = describe(pipeline)

    assert facts.parameters == ARCHITECTURES["tiny-sdxl"].parameters
    assert (facts.vae_slicing, facts.vae_tiling, facts.force_upcast) == (True, False, True)
    assert (facts.safety_checker, facts.watermarker) == (False, False)
    assert (facts.scheduler, facts.pipeline_class) == ("EulerDiscreteScheduler", "StableDiffusionXLPipeline")
    assert facts.denoiser_calls is None


def test_a_pipeline_without_a_vae_has_no_vae_switches() -> None:
    """Unknown stays None; it is not False."""
    facts = describe(SimpleNamespace(components={}))

    assert facts.vae_slicing is None
    assert facts.force_upcast is None
    assert facts.scheduler is None
    assert facts.parameters == 0


def test_shared_parameters_count_once() -> None:
    """Two names for one module are one module's memory."""
    import torch

    layer = torch.nn.Linear(3, 2)

    assert count(SimpleNamespace(components={"a": layer, "b": layer, "c": None, "d": 3})) == 8


@pytest.mark.parametrize(
    ("parts", "name"),
    [({"unet": 1}, "unet"), ({"unet": None, "transformer": 1}, "transformer"), ({"prior": 1}, None)],
)
def test_the_denoiser_is_found_by_its_name(parts: dict[str, object], name: str | None) -> None:
    """UNet and transformer pipelines alike; a pipeline with neither has none."""
    assert denoiser_name(SimpleNamespace(**parts)) == name


def test_functions_and_modules_are_no_pipelines() -> None:
    """Only what is callable and has components is called as a pipeline."""
    assert not is_pipeline(len)
    assert not is_pipeline(SimpleNamespace(components={}))
