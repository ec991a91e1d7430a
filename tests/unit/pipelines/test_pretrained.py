"""Trained weights, loaded for real: what was saved comes back, and what is refused is refused before loading."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines import pretrained
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """Return a tiny pipeline."""
    return build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=1)


@pytest.fixture(scope="module")
def saved(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which it was saved."""
    folder = tmp_path_factory.mktemp("pipeline") / "tiny"
    pipeline.save_pretrained(folder)
    return folder


def images(pipeline: Any) -> Any:
    """Return what *pipeline* makes of seed 0."""
    import torch

    generator = torch.Generator().manual_seed(0)
    call = {"num_inference_steps": 2, "output_type": "pt", "generator": generator}
    return pipeline("a cat", height=64, width=64, **call).images


def test_a_saved_pipeline_comes_back(pipeline: Any, saved: Path) -> None:
    """Weights, configuration and tokenizer survive, so the images are the same."""
    loaded = pretrained.load(str(saved), device="cpu", dtype="fp32")

    assert images(loaded).equal(images(pipeline))
    assert type(loaded).__name__ == "StableDiffusionPipeline"


def test_a_saved_pipeline_is_inspected_without_loading_it(saved: Path) -> None:
    """Facts are those of the architecture, and the parameters are counted from the headers."""
    facts = pretrained.inspect(str(saved))

    assert (facts.height, facts.width, facts.factor, facts.weights) == (64, 64, 8, "trained")
    assert facts.parameters == ARCHITECTURES["tiny-sd"].parameters


def test_weights_are_loaded_at_the_asked_dtype(saved: Path) -> None:
    """Half precision is what runs, and loading prints no progress."""
    import torch

    loaded = pretrained.load(str(saved), device="cpu", dtype="bf16")

    assert {parameter.dtype for parameter in loaded.unet.parameters()} == {torch.bfloat16}
    assert loaded.progress_bar(total=1).disable


def test_loading_is_silent_and_leaves_the_users_progress_bars_on(
    saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The screen belongs to pytest while we load, and to the user afterwards."""
    import diffusers.utils.logging
    import transformers.utils.logging

    pretrained.load(str(saved), device="cpu", dtype="fp32")

    assert "Loading" not in capfd.readouterr().err
    assert diffusers.utils.logging.is_progress_bar_enabled()
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_pickles_are_refused_by_load_too(pipeline: Any, tmp_path: Path) -> None:
    """A folder saved as pickles is never read, whichever way it is asked for."""
    pipeline.save_pretrained(tmp_path / "m")
    weights = tmp_path / "m" / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))

    for ask in (pretrained.inspect, lambda text: pretrained.load(text, device="cpu", dtype="fp32")):
        with pytest.raises(ModelError, match="cannot be loaded") as error:
            ask(str(tmp_path / "m"))
        assert "pickle" in error.value.why


def test_what_diffusers_cannot_load_is_a_model_error(saved: Path, tmp_path: Path) -> None:
    """A class this diffusers does not have is told with its reason, not as a stack of library frames."""
    shutil.copytree(saved, tmp_path / "m")
    index = tmp_path / "m" / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "FuturePipeline"))

    with pytest.raises(ModelError, match="cannot be loaded") as error:
        pretrained.load(str(tmp_path / "m"), device="cpu", dtype="fp32")

    assert "FuturePipeline" in error.value.why


def test_a_text_that_names_nothing_is_refused() -> None:
    """Catalog names are not trained models."""
    with pytest.raises(ModelError, match="unknown model 'nothing'"):
        pretrained.inspect("nothing")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of an empty cache of the hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def cache(hub: Path, folder: Path, *, revision: str) -> None:
    """Put *folder* into the cache as ``org/name`` at *revision*, laid out as a download leaves it."""
    commit = "0" * 40
    repository = hub / "models--org--name"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / revision).write_text(commit)


def test_a_hub_id_that_is_not_cached_needs_a_network(hub: Path) -> None:
    """Without both, the error says so and what needs no download."""
    with pytest.raises(ModelError, match="from the hub or its cache") as error:
        pretrained.inspect("org/name@main")

    assert "sdbatch models" in error.value.fix


def test_a_cached_hub_id_is_inspected_offline_at_its_revision(hub: Path, saved: Path) -> None:
    """The revision is part of the id; another one is another model."""
    cache(hub, saved, revision="v1")

    facts = pretrained.inspect("org/name@v1")

    assert (facts.name, facts.height, facts.parameters) == ("org/name@v1", 64, None)
    with pytest.raises(ModelError, match="cannot get model_index"):
        pretrained.inspect("org/name@v2")


def test_a_cached_hub_id_is_loaded_offline(hub: Path, saved: Path, pipeline: Any) -> None:
    """What the hub gave once runs without it."""
    cache(hub, saved, revision="v1")

    loaded = pretrained.load("org/name@v1", device="cpu", dtype="fp32")

    assert images(loaded).equal(images(pipeline))


def test_remote_code_on_the_hub_is_refused(hub: Path, saved: Path, tmp_path: Path) -> None:
    """The same rules as for folders, before any weights are fetched."""
    shutil.copytree(saved, tmp_path / "m")
    index = tmp_path / "m" / "model_index.json"
    index.write_text(index.read_text().replace('"diffusers"', '"somebodys_module"'))
    cache(hub, tmp_path / "m", revision="v1")

    with pytest.raises(ModelError, match="code of its own"):
        pretrained.inspect("org/name@v1")
