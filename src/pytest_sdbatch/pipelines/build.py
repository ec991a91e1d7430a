"""An architecture becomes a pipeline: built on the device, at its dtype, filled with seeded random weights."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_sdbatch.pipelines.architectures import Architecture, Component
from pytest_sdbatch.pipelines.dtypes import torch_dtype
from pytest_sdbatch.pipelines.tokenizers import clip_tokenizer

# Part of every record: change it whenever the same seed would give other values.
FILL_RULE = "v1"
_LARGEST_STDEV = 0.02  # SD1.5's UNet filled with N(0, 1) gives NaN


def build(entry: Architecture, *, device: str, dtype: str, seed: int) -> Any:
    """Return a diffusers pipeline of *entry* with random weights, ready to be called.

    Args:
        entry: what to build.
        device: as torch names it.
        dtype: ``fp32``, ``fp16`` or ``bf16``; the parameters never exist in another one.
        seed: equal seeds give equal parameters on devices of one kind.

    """
    import diffusers

    parts = {name: clip_tokenizer(size) for name, size in entry.tokenizers.items()}
    for name, component in entry.components.items():
        part = make_component(component, device=device, dtype=dtype)
        if component.parameters:
            fill(part, seed=seed, salt=name)
            part.eval()
        parts[name] = part
    pipeline = getattr(diffusers, entry.pipeline_class)(**parts, **entry.arguments)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def import_classes(entry: Architecture) -> None:
    """Import what :func:`build` needs: seconds and hundreds of MiB, which are no part of loading a pipeline."""
    import diffusers

    getattr(diffusers, entry.pipeline_class)  # both libraries import a class's module when it is asked for
    for component in entry.components.values():
        getattr(importlib.import_module(component.library), component.class_name)


def make_component(component: Component, *, device: str, dtype: str) -> Any:
    """Return one component; its parameters are allocated on *device* and hold whatever was there."""
    import torch

    cls = getattr(importlib.import_module(component.library), component.class_name)
    config = dict(component.config)
    if not component.parameters:
        return cls(**config)
    with torch.device(device), _default_dtype(torch_dtype(dtype)), _skip_initialization():
        return cls(cls.config_class(**config)) if component.library == "transformers" else cls(**config)


def fill(module: Any, *, seed: int, salt: str) -> None:
    """Fill the parameters of *module* in place: weights of norms 1, biases 0, others N(0, min(0.02, 1/sqrt(fan_in))).

    Each parameter has a generator of its own, seeded from *seed*, *salt* and its name, so its values depend neither
    on the order nor on its neighbours. Buffers are left alone.
    """
    import torch

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim < 2:
                parameter.fill_(1.0)
            else:
                generator = torch.Generator(parameter.device)
                generator.manual_seed(_derived_seed(seed, salt, name))
                fan_in = parameter.numel() // parameter.shape[0]
                parameter.normal_(0.0, min(_LARGEST_STDEV, fan_in**-0.5), generator=generator)


def count_parameters(entry: Architecture) -> Mapping[str, int]:
    """Return the parameters of each component that has weights, counted without allocating them."""
    counts = {}
    for name, component in entry.components.items():
        if component.parameters:
            module = make_component(component, device="meta", dtype="fp32")
            counts[name] = sum(parameter.numel() for parameter in module.parameters())
    return counts


def _derived_seed(seed: int, salt: str, name: str) -> int:
    digest = hashlib.sha256(f"{FILL_RULE}/{seed}/{salt}/{name}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


@contextlib.contextmanager
def _default_dtype(dtype: Any) -> Iterator[None]:
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _skip_initialization() -> Any:
    """Return a context in which drawing initial values does nothing: for SD1.5's UNet it takes 21 s on two cores.

    A mode of torch rather than the ``no_init_weights`` of diffusers and transformers: those are private, and each
    replaces functions of ``torch.nn.init`` for the whole process.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    # Some functions of torch.nn.init are handed to a mode whole, others only by the tensor methods they call.
    whole = ("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_")
    draws = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_}
    draws |= {getattr(torch.nn.init, name) for name in whole}

    class SkipInitialization(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in draws:
                return args[0] if args else kwargs["tensor"]
            return function(*args, **kwargs)

    return SkipInitialization()
