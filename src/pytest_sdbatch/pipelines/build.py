"""An architecture becomes a pipeline: built on the device, at its dtype, filled with seeded random weights."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_sdbatch.pipelines.architectures import Architecture, Component
from pytest_sdbatch.pipelines.dtypes import torch_dtype
from pytest_sdbatch.pipelines.tokenizers import make_tokenizer

# Part of every record: change it whenever the same seed would give other values.
FILL_RULE = "v2"
_LARGEST_STDEV = 0.02  # SD1.5's UNet filled with N(0, 1) gives NaN
# Values drawn for one parameter, then repeated: drawing all of SD1.5's UNet takes 12 s on one core, repeating 1 s.
# A prime, so that no row of a weight begins where another one does.
_DRAWN = 65_521


def build(entry: Architecture, *, device: str, dtype: str, seed: int) -> Any:
    """Return a diffusers pipeline of *entry* with random weights, ready to be called.

    Args:
        entry: what to build.
        device: as torch names it.
        dtype: ``fp32``, ``fp16`` or ``bf16``; the parameters never exist in another one. Those that diffusers and
            transformers keep in fp32 whatever is asked (T5's in fp16, norms of Wan) are kept so here.
        seed: equal seeds give equal parameters on devices of one kind.

    """
    import diffusers

    parts = {name: make_tokenizer(recipe) for name, recipe in entry.tokenizers.items()}
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
        module = cls(cls.config_class(**config)) if component.library == "transformers" else cls(**config)
    if component.library == "transformers":
        module.tie_weights()  # on the meta device transformers 5.0 leaves T5 with two embeddings
    _keep_in_fp32(module, component.library, dtype)
    return module


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
            elif parameter.ndim < 2 or name.endswith("gamma"):  # the norms of video VAEs have shape (n, 1, 1, 1)
                parameter.fill_(1.0)
            else:
                generator = torch.Generator(parameter.device)
                generator.manual_seed(_derived_seed(seed, salt, name))
                fan_in = parameter.numel() // parameter.shape[0]
                _draw(parameter.view(-1), min(_LARGEST_STDEV, fan_in**-0.5), generator)


def _draw(values: Any, stdev: float, generator: Any) -> None:
    """Fill the vector *values*: the first of them drawn, the others repeating those."""
    drawn = values[:_DRAWN].normal_(0.0, stdev, generator=generator)
    whole = values.numel() // _DRAWN * _DRAWN
    if whole:
        values[_DRAWN:whole].view(-1, _DRAWN).copy_(drawn)
        values[whole:].copy_(drawn[: values.numel() - whole])


def count_parameters(entry: Architecture) -> Mapping[str, int]:
    """Return the parameters of each component that has weights, counted without allocating them."""
    counts = {}
    for name, component in entry.components.items():
        if component.parameters:
            module = make_component(component, device="meta", dtype="fp32")
            counts[name] = sum(parameter.numel() for parameter in module.parameters())
    return counts


def _keep_in_fp32(module: Any, library: str, dtype: str) -> None:
    """Convert the parts that ``from_pretrained`` would not load in a half *dtype*, by the rules of both libraries."""
    import torch

    names = set(getattr(module, "_keep_in_fp32_modules_strict", None) or ())
    if library == "diffusers" or dtype == "fp16":
        names |= set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, parameter in module.named_parameters():
        if names.intersection(name.split(".")):
            parameter.data = parameter.data.to(torch.float32)


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
    from torch.overrides import TorchFunctionMode

    # Some functions of torch.nn.init are handed to a mode whole, others only by the tensor methods they call. By name:
    # while transformers initializes, it is functions of its own that stand in torch.nn.init and are handed over.
    draws = {"erfinv_", "normal_", "trunc_normal_", "uniform_"}
    draws |= {f"{kind}_{shape}_" for kind in ("kaiming", "xavier") for shape in ("normal", "uniform")}

    class SkipInitialization(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if getattr(function, "__name__", "") in draws:
                return args[0] if args else kwargs["tensor"]
            return function(*args, **kwargs)

    return SkipInitialization()
