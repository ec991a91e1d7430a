"""Trained weights: looked at without torch, then loaded, from safetensors only and without remote code."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import ModelError, SdbatchError
from pytest_sdbatch.grid.plan import ModelFacts
from pytest_sdbatch.pipelines import build
from pytest_sdbatch.pipelines import folder as folders
from pytest_sdbatch.pipelines.dtypes import torch_dtype
from pytest_sdbatch.pipelines.single_file import load_single_file, recognise
from pytest_sdbatch.pipelines.sources import Folder, HubId, SingleFile, Source, parse

_LARGEST_SIDE = 1 << 20


def inspect(text: str) -> ModelFacts:
    """Return what is known of the model *text* before it is loaded; a hub id costs the download of its JSON files.

    Raises:
        ModelError: for a text that names no folder, file or hub id, and for a model that must not be loaded.

    """
    source = _parse(text)
    try:
        facts = _inspect(source, text)
    except SdbatchError:
        raise
    except Exception as error:  # files hold anything; whatever they make of our reading is their damage
        raise _damaged(text, f"{type(error).__name__}: {_first_line(error)}") from error
    sides = (facts.height, facts.width, facts.factor, facts.steps, facts.frames or 1)
    if not all(isinstance(side, int) and 1 <= side <= _LARGEST_SIDE for side in sides):
        raise _damaged(text, "its configuration gives a size that no image has")
    return facts


def _damaged(text: str, why: str) -> ModelError:
    return ModelError(f"model {text!r} is damaged", why=why, fix="save it again: pipeline.save_pretrained(FOLDER)")


def _inspect(source: Source, text: str) -> ModelFacts:
    if isinstance(source, Folder):
        return _inspect_folder(source.path, text)
    if isinstance(source, HubId):
        return _inspect_hub(source, text)
    entry, parameters = recognise(source.path, source=text)
    return ModelFacts(
        name=text,
        weights="trained",
        height=entry.height,
        width=entry.width,
        steps=entry.steps,
        factor=entry.factor,
        parameters=parameters,
    )


def load(text: str, *, device: str, dtype: str) -> Any:
    """Return the pipeline *text* names, on *device*, with every component its owner put there (safety checker too).

    Raises:
        ModelError: for what the libraries cannot load.

    """
    source = _parse(text)
    try:
        with _without_progress_bars():
            pipeline = _load(source, text, device=device, dtype=dtype)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, ImportError) as error:
        raise ModelError(
            f"model {text!r} cannot be loaded",
            why=f"{type(error).__name__}: {_first_line(error)}",
            fix="check that diffusers loads it: DiffusionPipeline.from_pretrained(..., use_safetensors=True)",
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def prepare(text: str) -> None:
    """Look at what :func:`load` will load, and import what it needs: that is no part of loading.

    Raises:
        ModelError: as :func:`inspect`; to be called before :func:`load`.

    """
    from diffusers import DiffusionPipeline  # noqa: F401

    source = _parse(text)
    inspect(text)
    if isinstance(source, SingleFile):
        build.import_classes(recognise(source.path, source=text)[0])
    elif isinstance(source, Folder):
        for part in folders.read_index(source.path, source=text):
            if part.library in ("diffusers", "transformers"):
                getattr(importlib.import_module(part.library), part.class_name, None)


def _load(source: Source, text: str, *, device: str, dtype: str) -> Any:
    from diffusers import DiffusionPipeline

    if isinstance(source, SingleFile):
        entry, _ = recognise(source.path, source=text)
        return load_single_file(source.path, entry, device=device, dtype=dtype)
    where, revision = (str(source.path), None) if isinstance(source, Folder) else (source.repository, source.revision)
    with warnings.catch_warnings():
        # The older name of the argument is the one that every diffusers from 0.38 on understands.
        warnings.filterwarnings("ignore", message=".*torch_dtype", category=FutureWarning)
        return DiffusionPipeline.from_pretrained(
            where, revision=revision, use_safetensors=True, torch_dtype=torch_dtype(dtype)
        )


@contextlib.contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep loading off the screen: it belongs to pytest."""
    import diffusers.utils.logging
    import transformers.utils.logging

    shown = [
        library
        for library in (diffusers.utils.logging, transformers.utils.logging)
        if library.is_progress_bar_enabled()
    ]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()


def _inspect_folder(path: Path, text: str) -> ModelFacts:
    parts = folders.read_index(path, source=text)
    folders.check_code(path, parts, source=text)
    parameters = folders.check_weights(path, parts, source=text)
    return folders.facts(path, parts, source=text, parameters=parameters)


def _inspect_hub(source: HubId, text: str) -> ModelFacts:
    """Judge a repository by its JSON; ``use_safetensors`` refuses its pickles when it is loaded."""
    snapshot = _fetch(source, folders.INDEX, text).parent
    parts = folders.read_index(snapshot, source=text)
    for part in parts:
        if part.may_hold_weights:
            _fetch(source, f"{part.name}/config.json", text)
    folders.check_code(snapshot, parts, source=text)
    return folders.facts(snapshot, parts, source=text, parameters=None)


def _fetch(source: HubId, file: str, text: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(source.repository, file, revision=source.revision))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {text!r}: cannot get {file} from the hub or its cache",
            why=f"{type(error).__name__}: {_first_line(error)}",
            fix="check the id (org/name@revision), log in if it is gated, or give a folder; "
            "`sdbatch models` lists what needs no download",
        ) from error


def _parse(text: str) -> Source:
    source = parse(text)
    if source is None:
        raise ModelError(
            f"unknown model {text!r}",
            why="it is no name of the catalog, folder, .safetensors file or hub id",
            fix="see `sdbatch models`",
        )
    return source


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0]
