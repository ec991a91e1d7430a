"""From options to cases of training: an epoch is all of the data, and a batch no more than that."""

from __future__ import annotations

import pytest

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.plan import Defaults, ModelFacts
from pytest_sdbatch.grid.plan_training import Epoch, plan_training
from pytest_sdbatch.options import resolve

DEFAULTS = Defaults(device="cpu", model="tiny-sd", dtype="fp32", height=64, width=64, steps=4)


class Catalog:
    """Two models."""

    MODELS = (
        ModelFacts(name="tiny-sd", weights="random", height=64, width=64, steps=4, factor=8),
        ModelFacts(name="video", weights="random", height=64, width=64, steps=4, factor=8, frames=5),
    )

    def facts(self, name: str) -> ModelFacts:
        """Return what was made up of a model."""
        found = [facts for facts in self.MODELS if facts.name == name]
        if not found:
            raise ModelError(f"no model {name!r}")
        return found[0]

    def canonical_variant(self, text: str) -> str:
        """Return *text*."""
        return text

    def check_variant(self, variant: str, facts: ModelFacts) -> None:
        """Allow everything."""


def cases(epoch: Epoch | None = None, *, with_model: bool = True, processes: int = 1, **given: object) -> list[Case]:
    """Return the cases of options that were typed."""
    options = resolve(command_line=given, ini={}, overrides={})
    return list(
        plan_training(options, Catalog(), DEFAULTS, with_model=with_model, epoch=epoch or Epoch(), processes=processes)
    )


@pytest.mark.parametrize(
    ("epoch", "processes", "counts"),
    [
        (Epoch(images=100), 1, [100, 50, 25]),
        (Epoch(images=10, repeats=3), 1, [30, 15, 8]),
        (Epoch(images=100), 2, [50, 25, 13]),
        (Epoch(), 1, [1, 1, 1]),
    ],
)
def test_the_count_follows_from_the_data(epoch: Epoch, processes: int, counts: list[int]) -> None:
    """Batches of an epoch are ceil(images x repeats / batch size), of each process; 1 where no data is known."""
    assert [case.batch_count for case in cases(epoch, processes=processes, batch_sizes="1,2,4")] == counts


def test_a_count_that_is_given_wins_over_the_data() -> None:
    """Who asks for shorter epochs gets them."""
    assert [case.split for case in cases(Epoch(images=100), batch_sizes="4", batch_counts="3,5")] == ["4x3", "4x5"]


def test_accumulation_is_an_axis() -> None:
    """Each accumulation is a curve of its own over the batch size; the effective batch is the product."""
    found = cases(batch_sizes="1,2", train_accumulation="1,4", train_rank="8", processes=2)

    assert [case.id for case in found] == [
        "tiny-sd-fp32-64x64-lora8-p2-b1x1",
        "tiny-sd-fp32-64x64-lora8-p2-b2x1",
        "tiny-sd-fp32-64x64-lora8-a4-p2-b1x1",
        "tiny-sd-fp32-64x64-lora8-a4-p2-b2x1",
    ]
    assert [case.images for case in found] == [2, 4, 8, 16]


def test_every_option_of_training_is_part_of_the_id() -> None:
    """What changes memory or speed keeps cases apart."""
    (case,) = cases(
        batch_sizes="1",
        train_method="full",
        train_optimizer="sgd",
        train_checkpointing="no",
        train_cache="no",
        weights_seed="3",
    )

    assert case.id == "tiny-sd-fp32-64x64-full-sgd-nockpt-nocache-w3-b1x1"


def test_a_step_of_the_tests_own_has_no_method() -> None:
    """Of it nothing is known but that it steps; options of the plugin's own step say nothing of it."""
    (case,) = cases(with_model=False, batch_sizes="4", train_method="full")

    assert (case.id, case.label) == ("fp32-64x64-step-b4x1", "")


@pytest.mark.parametrize(
    ("epoch", "given", "said"),
    [
        (Epoch(images=3), {"batch_sizes": "1,4"}, "3 images do not fill a batch of 4"),
        (Epoch(images=3, repeats=2), {"batch_sizes": "8"}, "3 images, 2 times do not fill a batch of 8"),
        (Epoch(), {"models": "video"}, "makes videos"),
        (Epoch(), {"train_accumulation": "0"}, "sd_train_accumulation=0"),
    ],
)
def test_what_cannot_be_is_refused_before_work(epoch: Epoch, given: dict[str, str], said: str) -> None:
    """One error, with the value in question."""
    with pytest.raises(OptionError, match=said):
        cases(epoch, **given)  # type: ignore[arg-type] # none of them is named above


def test_accumulation_is_not_for_a_step_of_the_tests_own() -> None:
    """It would be in the id, and make no difference."""
    with pytest.raises(OptionError, match="accumulates itself"):
        cases(with_model=False, train_accumulation="4")


def test_sizes_that_grow_end_with_the_data() -> None:
    """They are tried as far as memory and the data go."""
    assert [case.batch_size for case in cases(Epoch(images=9), batch_sizes="auto:32")] == [1, 2, 4, 8]
