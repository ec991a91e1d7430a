"""Variants that store the denoiser's weights in fewer bits. Their images differ from those of the full weights."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from pytest_sdbatch.pipelines.variants.entry import Variant, cannot_run, denoisers

_PACKAGES = {"nf4": "bitsandbytes", "int8": "torchao"}  # each has an extra of the variant's name


def check_package(device: str, *, variant: str) -> None:
    """Raise CannotRun where the package behind *variant* is not installed."""
    if importlib.util.find_spec(_PACKAGES[variant]) is None:
        raise cannot_run(
            variant,
            device,
            why=f"the package {_PACKAGES[variant]} is not installed",
            fix=f'pip install "pytest-sdbatch[{variant}]"',
        )


def check_float8(device: str) -> None:
    """Raise CannotRun where *device* cannot convert to and from float8."""
    import torch

    try:
        torch.zeros(8, device=device).to(torch.float8_e4m3fn).to(torch.float32)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise cannot_run("layerwise-fp8", device, why=str(error).splitlines()[0]) from error


def layerwise_fp8(pipeline: Any) -> None:
    """Store weights as float8 and compute in the dtype they had; norms and embeddings keep theirs."""
    import torch

    for denoiser in denoisers(pipeline, variant="layerwise-fp8", method="enable_layerwise_casting"):
        denoiser.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=denoiser.dtype)


def int8(pipeline: Any) -> None:
    """Store the weights of linear layers as int8, one scale a row."""
    quantization = importlib.import_module(f"{_PACKAGES['int8']}.quantization")
    for denoiser in denoisers(pipeline, variant="int8"):
        quantization.quantize_(denoiser, quantization.Int8WeightOnlyConfig())


def nf4(pipeline: Any) -> None:
    """Store the weights of linear layers as 4-bit normal floats; they are converted on their way to the device."""
    layers = importlib.import_module(_PACKAGES["nf4"]).nn
    for denoiser in denoisers(pipeline, variant="nf4"):
        for owner, name, linear in list(_linears(denoiser)):
            small = layers.Linear4bit(
                linear.in_features,
                linear.out_features,
                bias=linear.bias is not None,
                compute_dtype=linear.weight.dtype,
                quant_type="nf4",
                device="meta",
            )
            small.weight = layers.Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
            small.bias = linear.bias
            setattr(owner, name, small)


def _linears(module: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield each linear layer within *module*, with its owner and the name it has there."""
    import torch

    for owner in module.modules():
        for name, child in owner.named_children():
            if type(child) is torch.nn.Linear:
                yield owner, name, child


VARIANTS = (
    Variant(
        name="layerwise-fp8",
        what="the denoiser's weights stored as float8, computed in the dtype of the case",
        apply=layerwise_fp8,
        check=check_float8,
    ),
    Variant(
        name="nf4",
        what="the denoiser's linear layers in 4 bits; extra nf4 (bitsandbytes)",
        apply=nf4,
        check=functools.partial(check_package, variant="nf4"),
        on_host=True,
    ),
    Variant(
        name="int8",
        what="the denoiser's linear layers in 8 bits; extra int8 (torchao)",
        apply=int8,
        check=functools.partial(check_package, variant="int8"),
        on_host=True,
    ),
)
