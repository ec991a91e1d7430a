"""Attention back ends and fused projections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.errors import CannotRun, ModelError, OptionError
from pytest_sdbatch.pipelines.variants import apply
from pytest_sdbatch.pipelines.variants.attention import backend_variant, backends

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without")


def global_state() -> dict[str, object]:
    """Return what of torch and diffusers holds for the whole process and could change attention."""
    import torch
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    return {
        "back end": _AttentionBackendRegistry.get_active_backend()[0],
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "math": torch.backends.cuda.math_sdp_enabled(),
        "efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "cudnn": torch.backends.cuda.cudnn_sdp_enabled(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "dtype": torch.get_default_dtype(),
        "precision": torch.get_float32_matmul_precision(),
        "grad": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("backend", ["_native_math", "flex"])
def test_a_back_end_is_that_of_its_pipeline_only(
    backend: str, tiny: Callable[..., Any], images: Callable[..., Any]
) -> None:
    """The library sets it for the whole process as well: the next pipeline must not run with it."""
    before = global_state()
    pipeline, other = tiny("tiny-flux"), tiny("tiny-flux")

    apply(pipeline, f"attn:{backend}", device="cpu")
    images(pipeline, side=64)

    def taken(of: Any) -> set[Any]:
        return {processor._attention_backend for processor in of.transformer.attn_processors.values()}

    assert taken(pipeline) == {backend}
    assert taken(other) == {None}
    assert global_state() == before


@pytest.mark.parametrize(
    "variant", ["channels-last+vae-slicing+vae-tiling+attention-slicing", "fuse-qkv+layerwise-fp8+group-offload"]
)
def test_no_variant_leaves_anything_behind_in_the_process(
    variant: str, tiny: Callable[..., Any], images: Callable[..., Any], needs: Callable[[str], None]
) -> None:
    """What runs next runs as if it were first."""
    needs(variant)
    before = global_state()
    pipeline = tiny()

    apply(pipeline, variant, device="cpu")
    images(pipeline, side=64)

    assert global_state() == before


@pytest.mark.parametrize(
    ("backend", "reason"), [("_native_cudnn", "No viable backend"), ("xformers", ""), ("sage", ""), ("flash", "")]
)
def test_a_back_end_that_this_machine_lacks_cannot_run(backend: str, reason: str, tiny: Callable[..., Any]) -> None:
    """Whether a package or the hardware is missing shows before the first measured call, with diffusers' reason."""
    before = global_state()

    with pytest.raises(CannotRun, match=f"attn:{backend} cannot run on cpu") as error:
        apply(tiny("tiny-flux"), f"attn:{backend}", device="cpu")

    assert error.value.why
    assert reason in error.value.why
    assert global_state() == before


@pytest.mark.parametrize("model", ["tiny-sd", "tiny-sd3"])
def test_a_denoiser_that_ignores_back_ends_says_so(model: str, tiny: Callable[..., Any]) -> None:
    """A UNet has the method, and does nothing with it."""
    with pytest.raises(ModelError, match="attn:native cannot be applied") as error:
        apply(tiny(model), "attn:native", device="cpu")

    assert "does not go through these back ends" in error.value.why


def test_names_are_those_of_the_installed_diffusers() -> None:
    """Every name it knows makes a variant, any other is refused with the near ones."""
    assert {backend_variant(f"attn:{backend}").name for backend in backends()} >= {"attn:native", "attn:flash"}
    with pytest.raises(OptionError, match="unknown attention back end 'naive'") as error:
        backend_variant("attn:naive")

    assert "attn:native" in error.value.fix


def test_projections_are_really_fused(tiny: Callable[..., Any]) -> None:
    """Each attention of the denoiser computes query, key and value together."""
    pipeline = tiny()

    apply(pipeline, "fuse-qkv", device="cpu")

    fused = [module.fused_projections for module in pipeline.unet.modules() if hasattr(module, "fused_projections")]
    assert fused
    assert all(fused)


def test_attention_that_diffusers_cannot_call_once_fused_is_refused(tiny: Callable[..., Any]) -> None:
    """SD3.5 medium has attention without text beside the joint one, which the fused processor does not know."""
    with pytest.raises(ModelError, match="fuse-qkv cannot be applied"):
        apply(tiny("tiny-sd3"), "fuse-qkv", device="cpu")
