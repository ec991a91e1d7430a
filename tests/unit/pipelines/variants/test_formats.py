"""Weights stored in fewer bits."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.pipelines.variants import apply, check


def has(package: str) -> bool:
    """Return whether *package* is installed."""
    return importlib.util.find_spec(package) is not None


def test_float8_is_stored_and_computed_in_the_dtype_of_the_case(
    tiny: Callable[..., Any], images: Callable[..., Any]
) -> None:
    """Between calls most weights take one byte; the images are other ones, and finite."""
    import torch

    pipeline = tiny()

    apply(pipeline, "layerwise-fp8", device="cpu")
    made = images(pipeline, side=64)

    sizes = [parameter.element_size() for parameter in pipeline.unet.parameters() if parameter.ndim > 1]
    assert sizes.count(1) > len(sizes) / 2
    assert pipeline.unet.dtype == torch.float32
    assert made.isfinite().all()
    assert 0 < abs(made - images(tiny(), side=64)).max() < 0.5


def test_a_cpu_can_convert_to_float8() -> None:
    """Nothing is refused that runs."""
    check("layerwise-fp8", device="cpu", weights="random")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "package"),
    [
        pytest.param("nf4", "bitsandbytes", marks=pytest.mark.skipif(not has("bitsandbytes"), reason="extra nf4")),
        pytest.param("int8", "torchao", marks=pytest.mark.skipif(not has("torchao"), reason="extra int8")),
    ],
)
@pytest.mark.filterwarnings("ignore")  # importing these packages is their business
def test_linear_layers_are_stored_in_fewer_bits(
    variant: str, package: str, tiny: Callable[..., Any], images: Callable[..., Any]
) -> None:
    """The denoiser's linear weights are of the package's type, the text encoder's are not, and images are finite."""
    check(variant, device="cpu", weights="random")
    pipeline = tiny()

    apply(pipeline, variant, device="cpu")

    attention = pipeline.unet.mid_block.attentions[0].transformer_blocks[0].attn1
    assert type(attention.to_q.weight).__module__.startswith(package)
    assert not any(package in type(weight).__module__ for weight in pipeline.text_encoder.parameters())
    assert images(pipeline, side=64).isfinite().all()
