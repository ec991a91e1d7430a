"""Random weights: seeded, finite, of the asked dtype, and filled by rule."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build, fill, make_component

TINY = ("tiny-sd", "tiny-sdxl")


def parameters(pipeline: Any) -> dict[str, Any]:
    """Return every parameter of *pipeline* by component and name."""
    return {
        f"{part}.{name}": parameter
        for part, module in pipeline.components.items()
        if hasattr(module, "named_parameters")
        for name, parameter in module.named_parameters()
    }


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", TINY)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' Euler scheduler
def test_tiny_pipelines_run_at_batch_1_and_4(name: str, dtype: str) -> None:
    """A built pipeline makes as many finite, not constant images as it is asked for."""
    pipeline = build(ARCHITECTURES[name], device="cpu", dtype=dtype, seed=0)

    for size in (1, 4):
        images = pipeline(["a cat"] * size, height=64, width=64, num_inference_steps=2, output_type="pt").images
        assert images.shape == (size, 3, 64, 64)
        assert images.isfinite().all()
        assert images.std() > 0


@pytest.mark.parametrize("name", TINY)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_factor_is_the_smallest_that_runs(name: str) -> None:
    """A resolution of any multiple of the factor runs; half a factor more does not."""
    entry = ARCHITECTURES[name]
    pipeline = build(entry, device="cpu", dtype="fp32", seed=0)
    call = {"prompt": "a cat", "num_inference_steps": 1, "output_type": "pt"}

    images = pipeline(height=entry.factor * 3, width=entry.factor * 5, **call).images

    assert images.shape[2:] == (entry.factor * 3, entry.factor * 5)
    with pytest.raises(ValueError, match="divisible"):
        pipeline(height=64 + entry.factor // 2, width=64, **call)


def test_equal_seeds_give_equal_weights_and_others_differ() -> None:
    """The seed decides the values, whatever was drawn before."""
    first, again, other = (
        parameters(build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=seed)) for seed in (1, 1, 2)
    )

    assert all(first[name].equal(again[name]) for name in first)
    drawn = [name for name in first if first[name].ndim > 1]
    assert drawn
    assert not any(first[name].equal(other[name]) for name in drawn)


def test_values_follow_the_rule() -> None:
    """Norms are 1, biases 0, others have stdev min(0.02, 1/sqrt(fan_in)): what keeps outputs finite."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(400, 300), torch.nn.LayerNorm(300), torch.nn.Linear(10_000, 50))
    fill(model, seed=0, salt="test")

    assert model[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model[2].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert model[1].weight.eq(1).all()
    assert all(layer.bias.eq(0).all() for layer in model)


def test_a_parameter_does_not_depend_on_its_neighbours() -> None:
    """Adding a layer changes no other one's values, so the rule survives new versions of the classes."""
    import torch

    small = torch.nn.ModuleDict({"b": torch.nn.Linear(8, 8)})
    large = torch.nn.ModuleDict({"a": torch.nn.Linear(8, 8), "b": torch.nn.Linear(8, 8)})
    for model in (small, large):
        fill(model, seed=5, salt="s")

    assert small["b"].weight.equal(large["b"].weight)
    assert not large["a"].weight.equal(large["b"].weight)


def test_buffers_keep_their_values_and_dtype() -> None:
    """Position tables are part of the architecture and are not drawn."""
    import torch

    encoder = ARCHITECTURES["tiny-sd"].components["text_encoder"]
    module = make_component(encoder, device="cpu", dtype="bf16")
    fill(module, seed=0, salt="x")

    (buffer,) = dict(module.named_buffers()).values()
    assert buffer.equal(torch.arange(77)[None])


def test_parameters_have_the_asked_dtype_and_the_default_is_restored() -> None:
    """Half precision is allocated as such; what user code allocates afterwards is not touched."""
    import torch

    pipeline = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp16", seed=0)

    assert {p.dtype for p in parameters(pipeline).values()} == {torch.float16}
    assert torch.empty(1).dtype == torch.float32
    assert torch.nn.Linear(4, 4).weight.abs().sum() > 0


def test_pipelines_are_ready_to_be_timed() -> None:
    """No dropout, no progress bar, no safety checker and no watermark: nothing but the model is measured."""
    sd = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)
    sdxl = build(ARCHITECTURES["tiny-sdxl"], device="cpu", dtype="fp32", seed=0)

    for module in (sd.unet, sd.vae, sd.text_encoder, sdxl.text_encoder_2):
        assert not module.training
    assert sd.safety_checker is None
    assert sdxl.watermark is None
    assert sd.progress_bar(total=1).disable
