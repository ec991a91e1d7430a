"""Variants: the words, and that each changes what it says and nothing that is seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.variants import (
    VARIANTS,
    apply,
    canonical,
    compiled_graphs,
    private_compiler_cache,
    reset_compiler,
)

COMBINABLE = [name for name in VARIANTS if name != "eager"]


def tiny() -> Any:
    """Return the same pipeline each time."""
    return build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)


def images(pipeline: Any, *, size: int = 2) -> Any:
    """Return seeded images of 80x80, larger than a tile of the tiny VAE."""
    import torch

    return pipeline(
        ["a cat"] * size,
        height=80,
        width=80,
        num_inference_steps=2,
        output_type="pt",
        generator=[torch.Generator().manual_seed(seed) for seed in range(size)],
    ).images


@given(st.permutations(COMBINABLE), st.integers(1, len(COMBINABLE)))
def test_order_of_names_does_not_matter(names: list[str], length: int) -> None:
    """Equal variants have equal texts, and a canonical text is its own canonical form."""
    chosen = names[:length]

    text = canonical("+".join(chosen))

    assert text == "+".join(name for name in VARIANTS if name in chosen)
    assert canonical(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("compiled", "did you mean compile"),
        ("vae-slicing+tilling", "unknown variant 'tilling' in"),
        ("quantum", "use eager, channels-last"),
        ("", "unknown variant ''"),
        ("compile+", "unknown variant ''"),
        ("compile+compile", "names compile twice"),
        ("eager+compile", "use compile"),
        ("Eager", "did you mean eager"),
    ],
)
def test_text_that_names_no_variant_is_refused(text: str, message: str) -> None:
    """The error names the word and what to write instead."""
    with pytest.raises(OptionError) as error:
        canonical(text)

    assert message in str(error.value)


@pytest.mark.parametrize("variant", ["channels-last", "vae-slicing", "attention-slicing"])
def test_a_variant_makes_the_same_images(variant: str) -> None:
    """Variants trade time and memory, not pictures (rounding aside)."""
    pipeline = tiny()
    expected = images(tiny())

    apply(pipeline, variant)

    assert abs(images(pipeline) - expected).max() < 1e-4


def test_each_variant_changes_its_part() -> None:
    """None is applied in name only."""
    import torch

    pipeline = tiny()
    sdpa = type(next(iter(pipeline.unet.attn_processors.values())))

    apply(pipeline, "channels-last+vae-slicing+vae-tiling+attention-slicing")

    for module in (pipeline.unet, pipeline.vae.decoder):
        assert module.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert pipeline.vae.use_slicing
    assert pipeline.vae.use_tiling
    assert sdpa not in {type(processor) for processor in pipeline.unet.attn_processors.values()}


def test_tiles_are_really_decoded() -> None:
    """Above the tile size a tiled VAE decodes in parts, which shows at the seams."""
    pipeline = tiny()
    expected = images(tiny())

    apply(pipeline, "vae-tiling")
    tiled = images(pipeline)

    assert tiled.shape == expected.shape
    assert 0 < abs(tiled - expected).mean() < 0.1


def test_eager_changes_nothing() -> None:
    """The default variant is the pipeline as it was loaded."""
    pipeline = tiny()

    apply(pipeline, "eager")

    assert images(pipeline).equal(images(tiny()))


@pytest.mark.parametrize("variant", COMBINABLE)
def test_a_pipeline_that_lacks_the_part_is_refused(variant: str) -> None:
    """A variant is never recorded for a pipeline that ignored it."""
    with pytest.raises(ModelError, match=variant):
        apply(SimpleNamespace(unet=None, vae=None), variant)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # compiling is torch's business
def test_compile_makes_one_graph_a_shape_and_leaves_the_module_itself() -> None:
    """Equal shapes reuse the graph, the count starts anew with the cache, and parameters keep their names."""
    pipeline = tiny()
    names = list(pipeline.unet.state_dict())
    expected = images(tiny(), size=1)

    with private_compiler_cache():
        assert compiled_graphs() == 0
        apply(pipeline, "compile")
        compiled = images(pipeline, size=1)
        graphs = compiled_graphs()
        images(pipeline, size=1)

        assert graphs >= 1
        assert compiled_graphs() == graphs
    assert abs(compiled - expected).max() < 1e-4
    assert list(pipeline.unet.state_dict()) == names

    reset_compiler()
    assert compiled_graphs() == 0
