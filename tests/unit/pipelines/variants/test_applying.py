"""Variants applied to real pipelines: each changes what it says, and nothing that is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sdbatch.errors import CannotRun, ModelError
from pytest_sdbatch.pipelines.variants import VARIANTS, Variant, apply, check, is_compiled, load_device

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # diffusers' Euler scheduler
    pytest.mark.filterwarnings("ignore:flex_attention called without"),
]

NAMES = [name for name in VARIANTS if name not in ("eager", "attn:BACKEND")] + ["attn:native"]
EXACT = ["channels-last", "vae-slicing", "attention-slicing", "fuse-qkv", "group-offload"]
NOT_FOR_TRANSFORMERS = {"attention-slicing"}


@pytest.fixture(scope="module")
def expected(tiny: Callable[..., Any], images: Callable[..., Any]) -> Mapping[str, Any]:
    """Return what the pipelines make as they are."""
    return {name: images(tiny(name), side=64) for name in ("tiny-sd", "tiny-sdxl", "tiny-flux")}


@pytest.mark.parametrize(
    ("model", "variant"),
    [
        *(("tiny-sd", variant) for variant in EXACT),
        *(("tiny-sdxl", variant) for variant in EXACT),
        *(("tiny-flux", variant) for variant in EXACT if variant not in NOT_FOR_TRANSFORMERS),
        *(("tiny-flux", f"attn:{backend}") for backend in ("native", "_native_math", "flex")),
        ("tiny-sd", "channels-last+vae-slicing+fuse-qkv+group-offload"),
    ],
)
def test_a_variant_makes_the_same_images(
    model: str,
    variant: str,
    tiny: Callable[..., Any],
    images: Callable[..., Any],
    expected: Mapping[str, Any],
    needs: Callable[[str], None],
) -> None:
    """Variants trade time and memory, not pictures (rounding aside)."""
    needs(variant)
    pipeline = tiny(model)

    apply(pipeline, variant, device="cpu")

    assert abs(images(pipeline, side=64) - expected[model]).max() < 1e-4


def test_each_variant_changes_its_part(tiny: Callable[..., Any], needs: Callable[[str], None]) -> None:
    """None is applied in name only."""
    needs("group-offload")
    import torch

    pipeline = tiny()
    sdpa = type(next(iter(pipeline.unet.attn_processors.values())))

    apply(pipeline, "channels-last+vae-slicing+vae-tiling+attention-slicing+layerwise-fp8+group-offload", device="cpu")

    for module in (pipeline.unet, pipeline.vae.decoder):
        assert module.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert pipeline.vae.use_slicing
    assert pipeline.vae.use_tiling
    assert sdpa not in {type(processor) for processor in pipeline.unet.attn_processors.values()}
    assert torch.float8_e4m3fn in {parameter.dtype for parameter in pipeline.unet.parameters()}
    assert hasattr(pipeline.unet.conv_in, "_diffusers_hook")


def test_tiles_are_really_decoded(tiny: Callable[..., Any], images: Callable[..., Any]) -> None:
    """Above the tile size a tiled VAE decodes in parts, which shows at the seams."""
    pipeline = tiny()
    whole = images(tiny(), side=80)

    apply(pipeline, "vae-tiling", device="cpu")
    tiled = images(pipeline, side=80)

    assert tiled.shape == whole.shape
    assert 0 < abs(tiled - whole).mean() < 0.1


def test_eager_changes_nothing(
    tiny: Callable[..., Any], images: Callable[..., Any], expected: Mapping[str, Any]
) -> None:
    """The default variant is the pipeline as it was loaded."""
    pipeline = tiny()

    apply(pipeline, "eager", device="cpu")

    assert images(pipeline, side=64).equal(expected["tiny-sd"])


@pytest.mark.parametrize("variant", [name for name in NAMES if "offload" not in name and name not in ("nf4", "int8")])
def test_a_pipeline_that_lacks_the_part_is_refused(variant: str) -> None:
    """A variant is never recorded for a pipeline that ignored it."""
    with pytest.raises(ModelError, match=variant):
        apply(SimpleNamespace(unet=None, vae=None), variant, device="cpu")


def test_a_projects_variant_is_applied_in_its_place(tiny: Callable[..., Any], needs: Callable[[str], None]) -> None:
    """After what ships, before the pipeline is moved; what comes before and after it is done as well."""
    needs("group-offload")
    seen: list[tuple[bool, bool]] = []

    def look(pipeline: Any) -> None:
        seen.append((pipeline.vae.use_slicing, hasattr(pipeline.unet.conv_in, "_diffusers_hook")))

    pipeline = tiny()
    apply(
        pipeline,
        "vae-slicing+mine+group-offload",
        device="cpu",
        extra={"mine": Variant(name="mine", what="looks", apply=look)},
    )

    assert seen == [(True, False)]
    assert hasattr(pipeline.unet.conv_in, "_diffusers_hook")


@pytest.mark.parametrize("variant", ["model-offload", "channels-last+sequential-offload"])
def test_an_accelerator_is_needed_to_offload_to_the_host(variant: str) -> None:
    """On a CPU the two places are one; the error says so and what does run there."""
    with pytest.raises(CannotRun, match="offload cannot run on cpu") as error:
        check(variant, device="cpu", weights="random")

    assert "accelerator" in error.value.why
    assert "group-offload" in error.value.fix


@pytest.mark.parametrize(
    ("variant", "package", "extra"),
    [("nf4", "bitsandbytes", "nf4"), ("int8", "torchao", "int8")],
)
def test_a_missing_package_names_the_extra(
    variant: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has to be installed is said as a command."""
    monkeypatch.setitem(__import__("sys").modules, package, None)

    with pytest.raises(CannotRun, match=f"{variant} cannot run on cuda:0") as error:
        check(variant, device="cuda:0", weights="random")

    assert package in error.value.why
    assert error.value.fix == f'pip install "pytest-sdbatch[{extra}]"'


def test_a_residual_cache_says_nothing_with_random_weights() -> None:
    """It leaves out work depending on values; trained weights, and a project's own, may be asked."""
    with pytest.raises(ModelError, match="not measured with random weights") as error:
        check("vae-slicing+cache:first-block", device="cpu", weights="random")

    assert "depending on values" in error.value.why
    check("cache:first-block", device="cpu", weights="trained")
    check("cache:first-block", device="cpu", weights="own")


@pytest.mark.parametrize(
    ("variant", "where"),
    [
        ("eager", "cuda:1"),
        ("channels-last+compile", "cuda:1"),
        ("vae-slicing+group-offload", "cpu"),
        ("nf4", "cpu"),
        ("a-projects-own", "cuda:1"),
    ],
)
def test_what_is_moved_or_converted_is_loaded_on_the_host(variant: str, where: str) -> None:
    """A model that does not fit on the device as it is must not be loaded there."""
    assert load_device(variant, device="cuda:1") == where


@pytest.mark.parametrize(
    ("variant", "compiled"),
    [
        ("compile", True),
        ("channels-last+compile:max-autotune", True),
        ("group-offload+compile-regional", True),
        ("eager", False),
        ("attn:native", False),
        ("a-projects-own", False),
    ],
)
def test_every_kind_of_compiling_counts(variant: str, compiled: bool) -> None:
    """All of them start from an empty compiler and have their recompiles counted."""
    assert is_compiled(variant) is compiled
