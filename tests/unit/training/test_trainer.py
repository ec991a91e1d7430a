"""One optimizer step: what it changes, what it keeps, and that accumulated batches are one large one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.training.families import Family
from pytest_sdbatch.training.together import Together
from pytest_sdbatch.training.trainer import Trainer

CASE = Case(
    model="x", dtype="fp32", device="cpu", height=8, width=8, steps=1, batch_size=2, batch_count=1,
    training=Training(method="full", rank=None, optimizer="sgd"),
)  # fmt: skip


class Net(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """A line, with what a denoiser of diffusers has."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 1)
        self.checkpointing = False

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """Return the line."""
        return self.layer(sample)

    def enable_gradient_checkpointing(self) -> None:
        """Note it."""
        self.checkpointing = True

    def disable_gradient_checkpointing(self) -> None:
        """Note it."""
        self.checkpointing = False


def loss(pipeline: Any, network: Any, examples: Any, generator: Any) -> Any:
    """Return the mean square of the line from 1."""
    return ((network(examples["x"]) - 1.0) ** 2).mean()


FAMILY = Family(denoiser="unet", adapted=("layer",), encode_text=lambda _, __: {}, loss=loss, objective=lambda _: "x")
EXAMPLES = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [4.0, 0.0, 1.0], [1.0, 1.0, 1.0]])


def made(case: Case = CASE, rate: float = 0.1) -> tuple[Trainer, Net]:
    """Return a trainer of a new network."""
    net = Net()
    return Trainer(SimpleNamespace(unet=net), FAMILY, case, seed=0, rate=rate, together=Together()), net


def untimed(stage: str, call: Any, *arguments: Any) -> Any:
    """Return what *call* returns."""
    return call(*arguments)


def test_accumulated_batches_step_as_one_large_one() -> None:
    """Gradients of a mean over batches of one size are those of the mean over all examples, and so is the loss."""
    whole, one_net = made()
    parts, other_net = made()

    once = whole.step([{"x": EXAMPLES}], None, untimed)
    twice = parts.step([{"x": EXAMPLES[:2]}, {"x": EXAMPLES[2:]}], None, untimed)

    assert float(once) == pytest.approx(float(twice))
    for one, other in zip(one_net.parameters(), other_net.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_phases_of_a_step_are_announced() -> None:
    """Encoding where there is no cache; forward and backward once a batch, the optimizer once a step."""
    seen: list[str] = []
    trainer, _ = made()

    def timed(stage: str, call: Any, *arguments: Any) -> Any:
        seen.append(stage)
        return call(*arguments)

    trainer.step([EXAMPLES[:2], EXAMPLES[2:]], lambda raw: {"x": raw}, timed)

    assert seen == ["encode", "forward", "backward"] * 2 + ["optimizer"]


@pytest.mark.parametrize(("optimizer", "kept"), [("adamw", 2 * 16 + 2 * 4), ("sgd", 0)])
def test_what_is_kept_in_memory_is_counted(optimizer: str, kept: int) -> None:
    """Four parameters of 4 bytes; AdamW keeps two of each, and a count of steps for each of the two tensors."""
    trainer, _ = made(replace(CASE, training=replace(CASE.training or Training(), optimizer=optimizer)))
    trainer.step([{"x": EXAMPLES}], None, untimed)

    held = trainer.held
    assert (held.trainable_parameters, held.weight_bytes, held.gradient_bytes) == (4, 16, 16)
    assert held.optimizer_bytes == kept
    trainer.close()
    assert trainer.held.optimizer_bytes == 0


@pytest.mark.parametrize("checkpointing", [True, False])
def test_checkpointing_is_switched_as_asked(checkpointing: bool) -> None:
    """Also off again: the next case may be without."""
    how = replace(CASE.training or Training(), checkpointing=checkpointing)

    assert made(replace(CASE, training=how))[1].checkpointing is checkpointing
