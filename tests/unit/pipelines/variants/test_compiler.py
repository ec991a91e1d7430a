"""Compiling the denoiser, and the compiler's state."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.variants import apply, compiled_graphs, private_compiler_cache, reset_compiler
from pytest_sdbatch.pipelines.variants.compiler import regional


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # compiling is torch's business
def test_compiling_makes_the_same_images_and_each_shape_once(
    tiny: Callable[..., Any], images: Callable[..., Any]
) -> None:
    """The count of graphs starts anew with the cache, a shape seen again makes none, parameters keep their names."""
    pipeline = tiny()
    names = list(pipeline.unet.state_dict())

    with private_compiler_cache():
        assert compiled_graphs() == 0
        apply(pipeline, "compile-regional", device="cpu")
        made = images(pipeline, size=1, side=64)
        graphs = compiled_graphs()
        images(pipeline, size=1, side=64)

        assert graphs >= 1
        assert compiled_graphs() == graphs
    assert abs(made - images(tiny(), size=1, side=64)).max() < 1e-4
    assert list(pipeline.unet.state_dict()) == names

    reset_compiler()
    assert compiled_graphs() == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own, when it is first imported
@pytest.mark.parametrize(
    ("variant", "autotuned"), [("compile", False), ("compile:max-autotune", True), ("compile-regional", False)]
)
def test_the_mode_reaches_the_compiler(variant: str, autotuned: bool, tiny: Callable[..., Any]) -> None:
    """Nothing is compiled before the first call; the modules keep their names, and only the asked one is searched."""
    pipeline = tiny()
    names = list(pipeline.unet.state_dict())

    apply(pipeline, variant, device="cpu")

    compiled = [module._compiled_call_impl for module in pipeline.unet.modules() if module._compiled_call_impl]
    assert compiled
    assert {bool(call.get_compiler_config().get("max_autotune")) for call in compiled} == {autotuned}
    assert (pipeline.unet._compiled_call_impl is None) is (variant == "compile-regional")
    assert list(pipeline.unet.state_dict()) == names
    reset_compiler()


def test_a_denoiser_whose_blocks_are_not_known_is_refused() -> None:
    """Diffusers names the repeated blocks of each class, or none."""

    def refuse(**_: object) -> None:
        raise ValueError("`_repeated_blocks` attribute is empty.")

    with pytest.raises(ModelError, match="compile-regional") as error:
        regional(SimpleNamespace(transformer=SimpleNamespace(compile_repeated_blocks=refuse)))

    assert "which blocks SimpleNamespace repeats" in error.value.why
