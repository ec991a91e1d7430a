"""One-file checkpoints: recognised by their header, loaded without a configuration from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines import pretrained
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.single_file import recognise

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET = (
    (r"conv_in\.", "input_blocks.0.0."),
    (r"time_embedding\.linear_1\.", "time_embed.0."),
    (r"time_embedding\.linear_2\.", "time_embed.2."),
    (r"conv_norm_out\.", "out.0."),
    (r"conv_out\.", "out.2."),
    (r"mid_block\.resnets\.0\.", "middle_block.0."),
    (r"mid_block\.attentions\.0\.", "middle_block.1."),
    (r"mid_block\.resnets\.1\.", "middle_block.2."),
    # tiny-sd has two blocks of one layer: with attention, then without.
    (r"down_blocks\.0\.resnets\.0\.", "input_blocks.1.0."),
    (r"down_blocks\.0\.attentions\.0\.", "input_blocks.1.1."),
    (r"down_blocks\.0\.downsamplers\.0\.conv\.", "input_blocks.2.0.op."),
    (r"down_blocks\.1\.resnets\.0\.", "input_blocks.3.0."),
    (r"up_blocks\.0\.resnets\.0\.", "output_blocks.0.0."),
    (r"up_blocks\.0\.resnets\.1\.", "output_blocks.1.0."),
    (r"up_blocks\.0\.upsamplers\.0\.", "output_blocks.1.1."),
    (r"up_blocks\.1\.resnets\.0\.", "output_blocks.2.0."),
    (r"up_blocks\.1\.attentions\.0\.", "output_blocks.2.1."),
    (r"up_blocks\.1\.resnets\.1\.", "output_blocks.3.0."),
    (r"up_blocks\.1\.attentions\.1\.", "output_blocks.3.1."),
)
_VAE = (
    (r"down_blocks\.(\d)\.resnets\.(\d)\.", r"down.\1.block.\2."),
    (r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"up_blocks\.(\d)\.resnets\.(\d)\.", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}."),
    (r"up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"up.{3 - int(m[1])}.upsample."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."),
    (r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
    (r"conv_shortcut\.", "nin_shortcut."),
    (r"conv_norm_out\.", "norm_out."),
)

# Seen with transformers 5.23: diffusers 0.38 looks for CLIPTextModel.text_model, which is gone; 0.42 does not.
needs_new_diffusers = pytest.mark.skipif(
    tuple(int(part) for part in version("diffusers").split(".")[:2]) < (0, 42),
    reason="this diffusers cannot read CLIP from one file with transformers 5",
)


def original_layout(pipeline: Any) -> dict[str, Any]:
    """Return the weights of a tiny-sd *pipeline* under the names of the original Stable Diffusion."""
    tensors = {}
    for name, value in pipeline.unet.state_dict().items():
        renamed = _rename(name, _UNET)
        if ".resnets." in name:
            head, _, tail = renamed.partition(next(word for word in _RESNET if f".{word}." in f".{renamed}"))
            word = next(word for word in _RESNET if f".{word}." in f".{renamed}")
            renamed = head + _RESNET[word] + tail
        tensors["model.diffusion_model." + renamed] = value
    for name, value in pipeline.vae.state_dict().items():
        renamed = _rename(name, _VAE)
        as_convolution = re.search(r"attn_1\.(q|k|v|proj_out)\.weight", renamed)
        tensors["first_stage_model." + renamed] = value[:, :, None, None] if as_convolution else value
    for name, value in pipeline.text_encoder.state_dict().items():
        tensors["cond_stage_model.transformer.text_model." + name.removeprefix("text_model.")] = value
    return {name: value.contiguous() for name, value in tensors.items()}


def _rename(name: str, rules: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(r"(?<![a-z_])" + pattern, replacement, name)
    return name


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """Return the pipeline whose weights are in the file."""
    return build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=3)


@pytest.fixture(scope="module")
def checkpoint(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of its weights in the original layout."""
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("single") / "tiny.safetensors"
    save_file(original_layout(pipeline), path)
    return path


def test_the_architecture_is_recognised_by_the_size_of_its_denoiser(checkpoint: Path) -> None:
    """A header names no architecture; the number of parameters does, and the facts follow from it."""
    entry, parameters = recognise(checkpoint, source=str(checkpoint))
    facts = pretrained.inspect(str(checkpoint))

    assert entry.name == "tiny-sd"
    assert parameters == entry.parameters
    assert (facts.weights, facts.height, facts.factor) == ("trained", 64, 8)


@needs_new_diffusers
def test_every_weight_of_a_checkpoint_arrives_where_it_belongs(checkpoint: Path, pipeline: Any) -> None:
    """A checkpoint loads without a download, and each parameter is that of the pipeline it came from."""
    loaded = pretrained.load(str(checkpoint), device="cpu", dtype="fp32")

    for part in ("unet", "vae", "text_encoder"):
        got = dict(getattr(loaded, part).named_parameters())
        expected = dict(getattr(pipeline, part).named_parameters())
        assert got.keys() == expected.keys()
        assert [name for name in got if not got[name].equal(expected[name])] == []


@needs_new_diffusers
def test_a_loaded_checkpoint_runs(checkpoint: Path) -> None:
    """Tokenizer and scheduler are the catalog's, at the dtype that was asked for."""
    loaded = pretrained.load(str(checkpoint), device="cpu", dtype="bf16")
    case = Case(model="m", dtype="bf16", device="cpu", height=64, width=64, steps=2, batch_size=2, batch_count=1)

    (call,) = GenerationWorkload(loaded, case).prepare()
    images: Any = call()

    assert images.shape == (2, 3, 64, 64)
    assert images.isfinite().all()
    assert {str(parameter.dtype) for parameter in loaded.unet.parameters()} == {"torch.bfloat16"}


def test_a_part_of_a_pipeline_is_no_checkpoint(tmp_path: Path, pipeline: Any) -> None:
    """A component's own weights file is refused, with what it lacks and what to give instead."""
    pipeline.unet.save_pretrained(tmp_path)
    path = str(tmp_path / "diffusion_pytorch_model.safetensors")

    with pytest.raises(ModelError, match="no whole checkpoint") as error:
        pretrained.inspect(path)

    assert "no VAE" in error.value.why
    assert "save_pretrained" in error.value.fix


def test_an_unknown_architecture_is_refused_by_its_size(checkpoint: Path) -> None:
    """What cannot be recognised is not guessed at."""
    with pytest.raises(ModelError, match="architecture is not known") as error:
        recognise(checkpoint, source="x", architectures={"sd15": ARCHITECTURES["sd15"]})

    assert "53,284" in error.value.why
