"""Training steps of real pipelines in miniature: each family learns, and what is wrong is told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.training.examples import Source
from pytest_sdbatch.training.workload import TrainingWorkload

FULL = Training(method="full", rank=None)
CASE = Case(
    model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=1, batch_size=2, batch_count=5,
    training=FULL,
)  # fmt: skip
SOURCE = Source(captions=("a", "b"), images=10)
FAMILIES = {
    "tiny-sd": "noise",
    "tiny-sdxl": "noise",
    "tiny-sd3": "flow matching",
    "tiny-flux": "flow matching",
    "tiny-pixart": "noise",
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Let these networks, of some thousand parameters, not wait for threads that others use."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pipeline_of(name: str) -> Any:
    """Return a tiny pipeline."""
    return build(ARCHITECTURES[name], device="cpu", dtype="fp32", seed=0)


def steps(workload: TrainingWorkload, count: int) -> list[float]:
    """Return the losses of *count* steps."""
    workload.check()
    return [float(call()) for _ in range(count) for call in workload.prepare()]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_learns(name: str) -> None:
    """Two steps on all weights give finite losses and move the weights; the record says on what the loss is."""
    pipeline = pipeline_of(name)
    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    before = [parameter.detach().clone() for parameter in denoiser.parameters()]
    workload = TrainingWorkload(pipeline, replace(CASE, model=name), SOURCE, rate=1e-2)

    losses = steps(workload, 2)

    assert all(0.0 < loss < 100.0 and math.isfinite(loss) for loss in losses)
    moved = [not torch.equal(old, new) for old, new in zip(before, denoiser.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2
    assert workload.judge(()).problem is None
    assert workload.trained.objective == FAMILIES[name]
    assert workload.trained.trainable_parameters == sum(parameter.numel() for parameter in denoiser.parameters())


@pytest.mark.parametrize("name", ["tiny-sd", "tiny-flux", "tiny-pixart"])
def test_lora_trains_its_adapters_alone(name: str) -> None:
    """The network's own weights stay, and every case begins with the same adapters."""
    pytest.importorskip("peft")
    pipeline = pipeline_of(name)
    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    before = {key: value.detach().clone() for key, value in denoiser.named_parameters()}
    case = replace(CASE, model=name, training=Training(rank=2))

    first, again = (TrainingWorkload(pipeline, case, SOURCE, rate=1e-2) for _ in range(2))
    losses = steps(first, 3)
    optimizer_bytes = first.trained.optimizer_bytes
    first.close()

    assert steps(again, 3) == losses
    after = {key.replace(".base_layer", ""): value for key, value in denoiser.named_parameters() if "lora" not in key}
    assert all(torch.equal(before[key], value) for key, value in after.items())
    assert after.keys() == before.keys()
    adapters = sum(value.numel() for key, value in denoiser.named_parameters() if "lora" in key)
    assert first.trained.trainable_parameters is None
    assert again.trained.trainable_parameters == adapters
    assert optimizer_bytes is not None
    assert 8 * adapters < optimizer_bytes < 9 * adapters + 1000


def test_a_cache_is_made_once_and_what_encodes_leaves() -> None:
    """Training needs neither the VAE nor the text encoder then; without a cache each step encodes, and says so."""
    cached, uncached = pipeline_of("tiny-sd"), pipeline_of("tiny-sd")
    released: list[bool] = []
    first = TrainingWorkload(cached, CASE, SOURCE, release=lambda: released.append(True))
    steps(first, 1)
    first.close()
    steps(TrainingWorkload(cached, CASE, SOURCE, release=lambda: released.append(True)), 1)
    without = TrainingWorkload(uncached, replace(CASE, training=replace(FULL, cache=False)), SOURCE)
    steps(without, 1)

    assert (cached.vae, cached.text_encoder, released) == (None, None, [True])
    assert uncached.vae is not None
    assert first.phases == ("forward", "backward", "optimizer")
    assert without.phases == ("encode", "forward", "backward", "optimizer")


def test_velocity_is_trained_where_the_scheduler_predicts_it() -> None:
    """As the script of the family does."""
    pipeline = pipeline_of("tiny-sd")
    pipeline.scheduler.register_to_config(prediction_type="v_prediction")
    workload = TrainingWorkload(pipeline, CASE, SOURCE)

    assert math.isfinite(steps(workload, 1)[0])
    assert workload.trained.objective == "velocity"


def test_half_precision_keeps_what_learns_in_fp32() -> None:
    """Weights in bf16 would lose small steps; they are computed with in bf16."""
    pipeline = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="bf16", seed=0)
    workload = TrainingWorkload(pipeline, replace(CASE, dtype="bf16"), SOURCE)

    assert math.isfinite(steps(workload, 1)[0])
    assert {parameter.dtype for parameter in pipeline.unet.parameters()} == {torch.float32}


def test_a_loss_that_is_no_number_is_diverged_with_its_step() -> None:
    """The step and the rate, also where the loss became one in the warm-up."""
    workload = TrainingWorkload(pipeline_of("tiny-sd"), CASE, SOURCE, rate=1e30)
    steps(workload, 4)

    verdict = workload.judge(())

    assert verdict.outcome is Outcome.DIVERGED
    assert verdict.problem is not None
    assert "in step 2, at learning rate 1e+30" in verdict.problem


def test_a_pipeline_whose_step_is_not_known_is_refused() -> None:
    """With the ones that are, and what to do instead."""
    with pytest.raises(ModelError, match="its training step is not known"):
        TrainingWorkload(pipeline_of("tiny-wan"), CASE, SOURCE).check()
