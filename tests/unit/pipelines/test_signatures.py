"""Signatures read from source are those that importing gives."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.generation import Batch
from pytest_sdbatch.pipelines.inputs import FRAME_COUNTS, pipeline_arguments
from pytest_sdbatch.pipelines.signatures import call_defaults

CASE = Case(
    model="m", dtype="fp32", device="cpu", height=16, width=32, frames=5, steps=2, batch_size=2, batch_count=1
)  # fmt: skip


@pytest.fixture(scope="module")
def classes() -> dict[str, Any]:
    """Return every pipeline class of diffusers that can be imported here, by name."""
    import diffusers

    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dict(_pipeline_classes(diffusers))
    finally:
        logging.disable(logging.NOTSET)


def _pipeline_classes(diffusers: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(diffusers):
        if "Pipeline" not in name or name in ("DiffusionPipeline", "ModularPipeline"):
            continue
        try:
            cls = getattr(diffusers, name)
        except (ImportError, RuntimeError):  # needs a package that is not installed
            continue
        if (
            inspect.isclass(cls)
            and issubclass(cls, diffusers.DiffusionPipeline)
            and cls.__module__.startswith("diffusers.pipelines.")
        ):
            yield name, cls


@pytest.mark.slow
def test_the_source_tells_what_importing_tells(classes: dict[str, Any]) -> None:
    """Of all pipelines of diffusers: the same arguments in the same order, and the same native sizes."""
    own = {name: _parameters(cls) for name, cls in classes.items() if "__call__" in vars(cls)}
    read = {name: call_defaults(name) for name in own}
    sizes = ("height", "width", *FRAME_COUNTS)

    assert len(own) > 150
    assert [name for name in own if list(read[name]) != list(own[name])] == []
    assert {name for name in own if [own[name].get(s) for s in sizes] != [read[name].get(s) for s in sizes]} <= {
        "SanaWMPipeline"  # its defaults are names of constants
    }


def _parameters(cls: Any) -> dict[str, object]:
    parameters = list(inspect.signature(cls.__call__).parameters.values())[1:]
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return {p.name: None if p.default is p.empty else p.default for p in named}


@pytest.mark.slow
def test_every_pipeline_can_be_called_or_says_which_argument_is_missing(classes: dict[str, Any]) -> None:
    """Of all pipelines of diffusers: everything without a default is given, else the error names it."""
    given, refused, unnamed = {}, {}, {}
    for name, cls in classes.items():
        if name in ("StableDiffusionUpscalePipeline", "LDMSuperResolutionPipeline"):
            continue  # they are asked for their VAE too, and called for real in another test
        batch = Batch(index=0, size=2, prompts=["a", "b"], seeds=(0, 1), case=CASE)
        required = {
            p.name
            for p in list(inspect.signature(cls.__call__).parameters.values())[1:]
            if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }
        try:
            given[name] = pipeline_arguments(cls.__new__(cls), batch)  # its signature is all that counts
        except ModelError as error:
            refused[name] = error
            missing = {argument for argument in required if f"{argument}=..." in error.fix}
            unnamed[name] = not (missing or "makes sound" in error.why or "takes no prompt" in error.why)
        else:
            unnamed[name] = not required <= given[name].keys()

    assert [name for name, wrong in unnamed.items() if wrong] == []
    assert all(name in error.what for name, error in refused.items())
    assert len(given) > 5 * len(refused)
    assert {"StableDiffusionPipeline", "FluxFillPipeline", "WanVideoToVideoPipeline", "DDPMPipeline"} <= given.keys()
    assert {"StableAudioPipeline", "KandinskyV22Pipeline", "WuerstchenDecoderPipeline"} <= refused.keys()
    assert "image" not in given["Flux2Pipeline"]  # from text alone, as far as nothing else is asked


@pytest.mark.parametrize("name", ["NoSuchPipeline", "", "a b", "../x"])
def test_an_unknown_class_has_no_arguments(name: str) -> None:
    """A project's own class, or nonsense from a file, tells nothing."""
    assert call_defaults(name) == {}


def test_a_class_that_takes_its_call_from_another_has_no_arguments() -> None:
    """Nothing is guessed about inherited code."""
    assert call_defaults("DiffusionPipeline") == {}
