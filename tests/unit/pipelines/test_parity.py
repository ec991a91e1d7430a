"""``check_parity``: right code passes, and the usual mistakes with seeds do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.generation import Batch
from pytest_sdbatch.pipelines.parity import check_parity

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=1, batch_size=1, batch_count=1)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """Return a real pipeline."""
    return build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)


def noise(batch: Batch) -> list[Any]:
    """Return what an application without a network makes: noise of each image's own generator."""
    import torch

    return [torch.rand(3, 4, 4, generator=generator) for generator in batch.generators]


def test_a_pipeline_agrees_over_all_splits(pipeline: Any) -> None:
    """One at a time, all at once, and in between."""
    parity = check_parity(pipeline, CASE)

    assert parity.agrees, parity
    assert parity.splits == ("1x4", "2x2", "4x1")
    assert parity.tolerance.max_abs == 1e-4


@pytest.mark.parametrize("dtype", ["bf16"])
@pytest.mark.parametrize("output_type", ["pt", "pil"])
def test_half_precision_is_held_to_a_ratio(dtype: str, output_type: str) -> None:
    """Rounding is too coarse for a limit on single values."""
    half = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype=dtype, seed=0)

    parity = check_parity(half, replace(CASE, dtype=dtype, output_type=output_type))

    assert parity.agrees, parity
    assert parity.tolerance.psnr_db == 30


def with_generators(pipeline: Any, generators: Callable[[Batch], list[Any]]) -> Callable[[Batch], Any]:
    """Return an application that calls *pipeline* with generators of its own."""
    return lambda batch: pipeline(**(batch.call_arguments() | {"generator": generators(batch)}))


def by_position(batch: Batch) -> list[Any]:
    """Seed each image by its place in the batch: images repeat from call to call."""
    import torch

    return [torch.Generator().manual_seed(position) for position in range(batch.size)]


def shared(batch: Batch) -> list[Any]:
    """Give all images of a batch one generator, whose state the first uses up."""
    return [batch.generators[0]] * batch.size


def by_call(batch: Batch) -> list[Any]:
    """Seed all images of a call alike, by the number of the call."""
    import torch

    return [torch.Generator().manual_seed(batch.index) for _ in range(batch.size)]


@pytest.mark.parametrize("mistake", [by_position, shared, by_call])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_mistake_with_seeds_is_caught(mistake: Callable[[Batch], list[Any]], dtype: str) -> None:
    """Under either tolerance; the images differ far more than rounding does."""
    tiny = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype=dtype, seed=0)

    parity = check_parity(with_generators(tiny, mistake), replace(CASE, model=None, weights="own", dtype=dtype))

    assert not parity.agrees
    assert parity.problem is None
    assert parity.psnr_db is not None
    assert parity.psnr_db < 25


def test_the_same_application_without_the_mistake_agrees(pipeline: Any) -> None:
    """It is the seeds that the mutants above are caught for."""
    right = with_generators(pipeline, lambda batch: batch.generators)

    assert check_parity(right, replace(CASE, model=None, weights="own")).agrees


@pytest.mark.parametrize(
    ("size", "count", "images", "splits"),
    [
        (1, 1, None, ("1x4", "2x2", "4x1")),
        (8, 1, None, ("1x8", "2x4", "8x1")),
        (4, 2, None, ("1x8", "4x2", "8x1")),
        (3, 1, 12, ("1x12", "3x4", "12x1")),
        (5, 1, 12, ("1x12", "3x4", "12x1")),
        (2, 1, 5, ("1x5", "5x1")),
    ],
)
def test_the_splits_follow_from_the_case(size: int, count: int, images: int | None, splits: tuple[str, ...]) -> None:
    """The case's own batch size is among them where it can be; a prime number has no split in between."""
    case = replace(CASE, batch_size=size, batch_count=count)

    assert check_parity(noise, case, images=images).splits == splits


def test_a_tolerance_can_be_given(pipeline: Any) -> None:
    """One of the two; larger models may need another than the default."""
    assert check_parity(noise, CASE, max_abs=0.0).tolerance.max_abs == 0
    assert check_parity(noise, CASE, psnr_db=50).tolerance.psnr_db == 50
    assert check_parity(noise, replace(CASE, model="sdxl")).tolerance.psnr_db == 30
    assert check_parity(noise, replace(CASE, frames=5)).tolerance.max_abs == 1e-3
    with pytest.raises(OptionError, match="both given"):
        check_parity(noise, CASE, max_abs=1, psnr_db=1)


def test_one_image_cannot_be_split() -> None:
    """Asking for it is a mistake, not agreement."""
    with pytest.raises(OptionError, match="images=1"):
        check_parity(noise, CASE, images=1)


def test_an_error_of_the_application_passes_through() -> None:
    """What the function raises is not taken for a difference."""

    def fail(batch: Batch) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_parity(fail, CASE)
