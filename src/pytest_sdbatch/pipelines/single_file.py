"""One ``.safetensors`` file with a whole checkpoint in the layout of the original Stable Diffusion."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES, Architecture
from pytest_sdbatch.pipelines.build import make_component
from pytest_sdbatch.pipelines.dtypes import torch_dtype
from pytest_sdbatch.pipelines.safetensors_header import Tensor, read_header
from pytest_sdbatch.pipelines.tokenizers import make_tokenizer

_DENOISER = "model.diffusion_model."
_VAE = "first_stage_model."
_TEXT = ("cond_stage_model.", "conditioner.embedders.")


def recognise(
    path: Path, *, source: str, architectures: Mapping[str, Architecture] = ARCHITECTURES
) -> tuple[Architecture, int]:
    """Return the architecture that *path* holds weights for, and its number of parameters.

    The header names no architecture. It is recognised by the number of parameters of the denoiser, which must be
    one of *architectures* to the parameter.

    Raises:
        ModelError: for a file that is no whole checkpoint, or of an architecture that is not known.

    """
    tensors = read_header(path)
    denoiser = _parameters(tensors, (_DENOISER,))
    missing = [
        word
        for word, prefixes in (("denoiser", (_DENOISER,)), ("VAE", (_VAE,)), ("text encoder", _TEXT))
        if not _parameters(tensors, prefixes)
    ]
    if missing:
        raise ModelError(
            f"model {source!r} is no whole checkpoint",
            why=f"it holds no {' and no '.join(missing)} in the layout of the original Stable Diffusion",
            fix="give the folder of the pipeline instead: pipeline.save_pretrained(FOLDER)",
        )
    known = {name: entry for name, entry in architectures.items() if "unet" in entry.components}
    for entry in known.values():
        if entry.components["unet"].parameters == denoiser:
            return entry, _parameters(tensors, (_DENOISER, _VAE, *_TEXT))
    raise ModelError(
        f"model {source!r}: its architecture is not known",
        why=f"its denoiser has {denoiser:,} parameters; known are {', '.join(known)}",
        fix="load it once with diffusers and save it as a folder: pipeline.save_pretrained(FOLDER)",
    )


def load_single_file(path: Path, entry: Architecture, *, device: str, dtype: str) -> Any:
    """Return the pipeline of *entry* with the weights of *path*.

    Configurations and tokenizer are the catalog's, so that nothing is fetched: prompts are spelled in single letters,
    which takes the same time and memory and gives other pictures.
    """
    import diffusers

    plain: dict[str, Any] = {name: make_tokenizer(recipe) for name, recipe in entry.tokenizers.items()}
    for name, component in entry.components.items():
        if not component.parameters:
            plain[name] = make_component(component, device=device, dtype=dtype)
    with tempfile.TemporaryDirectory(prefix="sdbatch-") as folder:
        _write_configs(Path(folder), entry)
        return getattr(diffusers, entry.pipeline_class).from_single_file(
            str(path),
            config=folder,
            local_files_only=True,
            torch_dtype=torch_dtype(dtype),
            **plain,
            **entry.arguments,
        )


def _write_configs(folder: Path, entry: Architecture) -> None:
    """Write what ``from_single_file`` reads of a pipeline's folder."""
    index: dict[str, object] = {"_class_name": entry.pipeline_class, "_diffusers_version": "0.38.0"}
    index |= {name: ["transformers", "CLIPTokenizer"] for name in entry.tokenizers}
    for name, component in entry.components.items():
        index[name] = [component.library, component.class_name]
        (folder / name).mkdir()
        config = {**component.config, "_class_name": component.class_name}
        if component.library == "transformers":
            config = {**component.config, "model_type": "clip_text_model", "architectures": [component.class_name]}
        (folder / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")


def _parameters(tensors: tuple[Tensor, ...], prefixes: tuple[str, ...]) -> int:
    return sum(tensor.parameters for tensor in tensors if tensor.name.startswith(prefixes))
