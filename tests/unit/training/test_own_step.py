"""A step of the test's own: where its batches come from, and what its loss tells."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.training.examples import Source
from pytest_sdbatch.training.own_step import OwnStepWorkload

CASE = Case(
    model=None, weights="own", dtype="fp32", device="cpu", height=64, width=64, steps=1, batch_size=4, batch_count=1,
    training=Training(method="step", rank=None, processes=2),
)  # fmt: skip
SOURCE = Source(captions=(), images=100)


def workload(step: Any, batches: Any = None) -> OwnStepWorkload:
    """Return the workload of *step*."""
    return OwnStepWorkload(step, batches, CASE, SOURCE)


def test_batches_are_made_for_the_size_or_taken_in_turn() -> None:
    """A function gets the batch size; a list begins anew when it ends; without batches the step is called bare."""
    seen: list[Any] = []
    for batches in (lambda size: ["x"] * size, [1, 2], None):
        made = workload(lambda *given: seen.append(given), batches)
        for _ in range(3):
            (call,) = made.prepare()
            call()

    assert seen == [(["x"] * 4,)] * 3 + [(1,), (2,), (1,)] + [()] * 3


@pytest.mark.parametrize(("batches", "said"), [([], "batches is empty"), (7, "gives no batches")])
def test_batches_that_are_none_are_refused(batches: Any, said: str) -> None:
    """Before or when the first one is wanted."""
    made = workload(print, batches)
    with pytest.raises(ModelError, match=said):  # noqa: PT012 - either may raise
        made.check()
        made.prepare()


def test_what_cannot_be_called_is_no_step() -> None:
    """A number, say."""
    with pytest.raises(ModelError, match="a int is no training step"):
        workload(3).check()


@pytest.mark.parametrize(
    ("losses", "outcome", "status"),
    [([0.5, 0.4], None, "checked"), ([0.5, float("inf")], Outcome.DIVERGED, "checked"), ([None], None, "unchecked")],
)
def test_the_loss_that_a_step_returns_is_looked_at(losses: list[Any], outcome: Outcome | None, status: str) -> None:
    """One that is not finite is diverged; of a step without a loss that cannot be told."""
    left = list(losses)
    made = workload(lambda: left.pop(0))
    for _ in losses:
        (call,) = made.prepare()
        call()
    verdict = made.judge(())

    assert verdict.status.startswith(status)
    assert (verdict.outcome if verdict.problem else None) is outcome
    assert made.trained.effective_batch == 8


class Output:
    """What models of transformers return."""

    loss = float("nan")


@pytest.mark.parametrize(
    ("returned", "status", "diverged"),
    [
        ({"loss": 0.5}, "checked", False),
        ({"loss": float("nan")}, "checked", True),
        ((float("inf"), "logits"), "checked", True),
        (Output(), "checked", True),
        (np.array([0.5, 0.25]), "checked", False),
        (np.array([0.5, np.nan]), "checked", True),
        ({"logits": 1}, "unchecked", False),
        ((), "unchecked", False),
        (object(), "unchecked", False),
        (1j, "unchecked", False),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", repr(value)),
)
def test_a_loss_may_come_in_any_dress(returned: Any, status: str, diverged: bool) -> None:
    """As models and training scripts return it; what is no loss is unchecked, and never an error after the work."""
    made = workload(lambda: returned)
    (call,) = made.prepare()

    assert call() is returned
    verdict = made.judge(())
    assert verdict.status.partition(":")[0] == status
    assert (verdict.problem is not None) is diverged


def test_no_step_is_kept_in_memory_by_its_loss() -> None:
    """A loss holds the graph of its step, and with it the activations."""
    torch = pytest.importorskip("torch")
    weight = torch.ones(3, requires_grad=True)
    made = workload(lambda: {"loss": (2 * weight).sum()})
    (call,) = made.prepare()
    call()

    assert [loss.grad_fn for loss in made._losses] == [None]
