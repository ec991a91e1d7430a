"""What training holds at least, counted without running, is what a step that runs holds."""

from __future__ import annotations

import pytest

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.training.examples import Source
from pytest_sdbatch.training.floor import floor_of
from pytest_sdbatch.training.workload import TrainingWorkload


def case_of(model: str, how: Training, dtype: str = "fp32") -> Case:
    """Return a case of one example."""
    return Case(
        model=model, dtype=dtype, device="cpu", height=64, width=64, steps=1, batch_size=1, batch_count=1, training=how
    )


@pytest.mark.parametrize("model", ["tiny-sd", "tiny-flux", "tiny-pixart"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_count_is_what_a_step_holds(model: str, method: str) -> None:
    """Parameters, gradients and the optimizer's state, byte for byte."""
    if method == "lora":
        pytest.importorskip("peft")
    case = case_of(model, Training(method=method, rank=4 if method == "lora" else None))
    workload = TrainingWorkload(
        build(ARCHITECTURES[model], device="cpu", dtype="fp32", seed=0), case, Source(captions=("a",))
    )
    (call,) = workload.prepare()
    call()

    floor, held = floor_of(case, ARCHITECTURES[model]), workload.trained

    assert floor is not None
    assert (floor.trainable_parameters, floor.weight_bytes, floor.gradient_bytes, floor.optimizer_bytes) == (
        held.trainable_parameters,
        held.weight_bytes,
        held.gradient_bytes,
        held.optimizer_bytes,
    )


def test_full_size_is_counted_without_memory() -> None:
    """Known answer: all of SD1.5's UNet in fp32 with AdamW is 16 bytes a parameter, and a count of steps a tensor."""
    full = floor_of(case_of("sd15", Training(method="full", rank=None), "bf16"), ARCHITECTURES["sd15"])
    lora = floor_of(case_of("sd15", Training(), "bf16"), ARCHITECTURES["sd15"])

    assert full is not None
    assert lora is not None
    assert full.trainable_parameters == 859_520_964
    assert full.weight_bytes + full.gradient_bytes + full.optimizer_bytes == 16 * 859_520_964 + 4 * 686
    assert lora.weight_bytes == 2 * 859_520_964 + 4 * lora.trainable_parameters
    assert lora.trainable_parameters == 3_188_736  # of rank 16; the known 797,184 of rank 4


def test_an_optimizer_whose_state_has_no_fixed_size_is_not_counted() -> None:
    """Rather than guessed."""
    assert floor_of(case_of("tiny-sd", Training(optimizer="adafactor")), ARCHITECTURES["tiny-sd"]) is None
