"""From options to cases of training: the grid of one test, with an epoch of the data that it is to be for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.plan import (
    Catalog,
    Defaults,
    ModelFacts,
    check_size,
    dtypes_of,
    models_of,
    resolutions_of,
)
from pytest_sdbatch.grid.training import LORA, STEP, Training
from pytest_sdbatch.options import Options, Origin

# Options of generation that say nothing of training.
NOT_FOR_TRAINING = ("steps", "frames", "variants", "guidance", "output_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The data of an epoch."""

    images: int | None = None  # None: no data was named
    repeats: int = 1

    @property
    def examples(self) -> int | None:
        """What an epoch shows."""
        return None if self.images is None else self.images * self.repeats


def plan_training(
    options: Options, catalog: Catalog, defaults: Defaults, *, with_model: bool, epoch: Epoch, processes: int = 1
) -> tuple[Case, ...]:
    """Return the cases of one test: models, dtypes, resolutions, accumulation, then batch sizes, in the order written.

    The batch count is the batches of an epoch, of each process: given, or all of the data; 1 where neither is known.

    Args:
        options: in force for the test.
        catalog: knows the models.
        defaults: of the device.
        with_model: whether the plugin loads the model; otherwise the test brings a step of its own.
        epoch: the data.
        processes: that train together.

    Raises:
        OptionError: for values that do not go together, and batches that are larger than the data.
        ModelError: for a model that cannot be used.

    """
    models = models_of(options, catalog, defaults, with_model=with_model)
    for name, facts in models:
        if facts.frames is not None:
            raise OptionError(
                f"{name} makes videos",
                why="training of images is measured",
                fix="write a test with a step of its own: sd_training(step, batches=...)",
            )
    kinds = _kinds(options, with_model=with_model, processes=processes)
    splits = _splits(options, epoch, processes)
    dtypes = dtypes_of(options) if options.text("dtypes") is not None else (defaults.dtype,)
    shapes = [(name, facts, size) for name, facts in models for size in resolutions_of(options, facts)]
    check_size(len(shapes) * len(dtypes) * len(kinds) * sum(map(len, splits.values())), options)
    seed = options.count("weights_seed")
    points = itertools.product(shapes, dtypes, kinds)
    return tuple(
        _case(name, facts, size, dtype, kind, device=defaults.device, seed=seed, split=(batch, count))
        for (name, facts, size), dtype, kind in points
        for batch, counts in splits.items()
        for count in counts
    )


def _case(
    name: str | None,
    facts: ModelFacts,
    size: tuple[int, int],
    dtype: str,
    training: Training,
    *,
    device: str,
    seed: int,
    split: tuple[int, int],
) -> Case:
    return Case(
        model=name,
        weights=facts.weights,
        weights_seed=seed,
        dtype=dtype,
        device=device,
        height=size[0],
        width=size[1],
        steps=1,
        batch_size=split[0],
        batch_count=split[1],
        training=training,
    )


def _kinds(options: Options, *, with_model: bool, processes: int) -> list[Training]:
    accumulations = options.integers("train_accumulation")
    if not with_model:
        if accumulations != (1,) and options.origin("train_accumulation") > Origin.INI:
            raise OptionError(
                f"{options.spelled('train_accumulation')}={options.text('train_accumulation')} with a step of the "
                "test's own",
                why="such a step accumulates itself",
                fix="leave it out, and give the effective batch size as --sd-batch-sizes",
            )
        return [Training(method=STEP, rank=None, checkpointing=True, processes=processes)]
    method = options.choice("train_method")
    return [
        Training(
            method=method,
            rank=options.count("train_rank") if method == LORA else None,
            optimizer=options.choice("train_optimizer"),
            checkpointing=options.switch("train_checkpointing"),
            cache=options.switch("train_cache"),
            accumulation=accumulation,
            processes=processes,
        )
        for accumulation in accumulations
    ]


def _splits(options: Options, epoch: Epoch, processes: int) -> dict[int, tuple[int, ...]]:
    """Return the batch counts of each batch size."""
    sizes: Sequence[int] = options.integers("batch_sizes")
    examples = epoch.examples
    if examples is None:
        return dict.fromkeys(sizes, options.integers("batch_counts"))
    if options.grows:
        sizes = [size for size in sizes if size * processes <= examples] or sizes[:1]
    for size in sizes:
        if size * processes > examples:
            _refuse(options, epoch, size, processes)
    if options.origin("batch_counts") > Origin.DEFAULT:
        return dict.fromkeys(sizes, options.integers("batch_counts"))
    return {size: (-(-examples // (size * processes)),) for size in sizes}


def _refuse(options: Options, epoch: Epoch, size: int, processes: int) -> None:
    each = f" in each of {processes} processes" if processes > 1 else ""
    times = f", {epoch.repeats} times" if epoch.repeats > 1 else ""
    raise OptionError(
        f"{options.spelled('batch_sizes')}: {units.count(epoch.images or 0, 'image')}{times} do not fill a batch of "
        f"{size}{each}",
        why="an epoch would hold no whole batch",
        fix=f"use sizes of at most {(epoch.examples or 0) // processes or 1}, more images, or sd_train_repeats",
    )
