"""The pool: each pipeline is loaded once, and what is evicted is gone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sdbatch.errors import CannotRun, ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines import build
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.pool import PipelinePool
from pytest_sdbatch.records import Reading

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=1, batch_size=1, batch_count=1)
SDXL = replace(CASE, model="tiny-sdxl")
HALF = replace(CASE, dtype="bf16")


class OutOfMemory(RuntimeError):
    pass


class Memory:
    """A device with *capacity* bytes of which each loaded pipeline takes what it weighs; a clock that ticks."""

    name = "cpu"

    def __init__(self, capacity: float | None = None) -> None:
        self.capacity = capacity
        self.used = Reading(value=1000)
        self.pool: PipelinePool | None = None
        self.now_s = 0.0
        self.releases = 0
        self.in_use = 0

    def synchronize(self) -> None:
        """Take a quarter of a second."""
        self.now_s += 0.25

    def wall_s(self) -> float:
        """Return the seconds that synchronizing took so far."""
        return self.now_s

    def used_bytes(self) -> Reading:
        """Return 7 bytes more than the last time."""
        if self.used.value is None:
            return self.used
        self.used = Reading(value=self.used.value + 7)
        return self.used

    def in_use_bytes(self) -> Reading:
        """Return 64 bytes more than the last time."""
        self.in_use += 64
        return Reading(value=self.in_use)

    def free_bytes(self) -> Reading:
        """Return what the loaded parameters leave of the capacity."""
        if self.capacity is None or self.pool is None:
            return Reading(reason="not known here")
        held = sum(4 * loaded.parameters for loaded in self.pool._loaded.values())
        return Reading(value=self.capacity - held)

    def release_memory(self) -> None:
        """Collect garbage, and count that it was asked for."""
        self.releases += 1
        gc.collect()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether it is the error of this file."""
        return isinstance(error, OutOfMemory)


def pool_on(memory: Memory) -> PipelinePool:
    """Return an empty pool of the shipped catalog."""
    memory.pool = PipelinePool(memory, ModelCatalog())  # type: ignore[arg-type]
    return memory.pool


def test_equal_pool_keys_share_one_load() -> None:
    """Batch size, resolution and steps do not load a model again; dtype, variant and seed do."""
    pool = pool_on(Memory())

    first = pool.acquire(CASE)
    again = pool.acquire(replace(CASE, batch_size=4, height=128, steps=9))
    others = [pool.acquire(c) for c in (HALF, replace(CASE, variant="vae-slicing"), replace(CASE, weights_seed=1))]

    assert again is first
    assert pool.loads == 4
    assert others[1].pipeline.vae.use_slicing


def test_what_loading_took_is_known() -> None:
    """Seconds, memory, parameters and the origin of the weights go into the record."""
    loaded = pool_on(Memory()).acquire(replace(CASE, weights_seed=3))

    assert loaded.load_s == 0.25
    assert loaded.model_bytes == Reading(value=7)
    assert (loaded.before_load, loaded.after_load) == (Reading(value=64), Reading(value=128))
    assert loaded.parameters == ARCHITECTURES["tiny-sd"].parameters
    assert (loaded.weights.kind, loaded.weights.seed, loaded.weights.fill) == ("random", 3, build.FILL_RULE)


def test_trained_weights_name_their_source(tmp_path: Path) -> None:
    """A folder's record says which folder."""
    pool = pool_on(Memory())
    pool.acquire(CASE).pipeline.save_pretrained(tmp_path / "m")
    case = replace(CASE, model=str(tmp_path / "m"), weights="trained")

    weights = pool.acquire(case).weights

    assert (weights.kind, weights.source, weights.seed) == ("trained", case.model, None)


def test_memory_that_cannot_be_read_is_unknown() -> None:
    """A reason takes the place of a number, never 0."""
    memory = Memory()
    memory.used = Reading(reason="no such file")

    assert pool_on(memory).acquire(CASE).model_bytes == Reading(reason="no such file")


@pytest.mark.parametrize(
    "variant",
    ["channels-last+vae-slicing+vae-tiling+attention-slicing", "fuse-qkv+layerwise-fp8+group-offload"],
)
def test_an_evicted_pipeline_is_gone(variant: str, needs: Callable[[str], None]) -> None:
    """Nothing of ours keeps it, its modules or its parameters alive, variants included."""
    needs(variant)
    pool = pool_on(Memory())
    case = replace(CASE, variant=variant)
    loaded = pool.acquire(case)
    pipeline = loaded.pipeline
    pipeline("a cat", height=64, width=64, num_inference_steps=1, output_type="pt")
    parts = [weakref.ref(part) for part in (pipeline, pipeline.unet, pipeline.vae, pipeline.unet.conv_in.weight)]
    del pipeline, loaded

    pool.release(case.pool_key)

    assert [part() for part in parts] == [None] * 4


def test_what_cannot_run_here_is_known_before_anything_is_loaded() -> None:
    """Neither the model nor what is already in the pool is touched for a variant that this machine cannot run."""
    pool = pool_on(Memory())

    with pytest.raises(CannotRun, match="model-offload cannot run on cpu"):
        pool.acquire(replace(CASE, variant="model-offload"))
    with pytest.raises(ModelError, match="not measured with random weights"):
        pool.acquire(replace(CASE, variant="cache:first-block"))

    assert pool.loads == 0


def test_a_variant_does_not_change_the_number_of_parameters() -> None:
    """Fused projections are copies: the model is as large as without them."""
    loaded = pool_on(Memory()).acquire(replace(CASE, variant="fuse-qkv"))

    assert loaded.parameters == ARCHITECTURES["tiny-sd"].parameters


def test_evicting_others_keeps_the_one_in_use() -> None:
    """Before a retry everything but the case's own pipeline leaves, and the number of them is told."""
    pool = pool_on(Memory())
    kept = pool.acquire(CASE)
    pool.acquire(SDXL)
    pool.acquire(HALF)

    assert pool.evict_others(CASE.pool_key) == 2
    assert pool.evict_others(CASE.pool_key) == 0
    assert pool.acquire(CASE) is kept
    assert pool.loads == 3


def test_releasing_what_is_not_loaded_does_nothing() -> None:
    """A case that failed to load may be released like any other."""
    memory = Memory()

    pool_on(memory).release(CASE.pool_key)

    assert memory.releases == 0


def test_the_least_recently_used_leaves_when_memory_is_short() -> None:
    """Room is made before loading, oldest first, and no more than needed."""
    sizes = {name: 4 * ARCHITECTURES[name].parameters for name in ("tiny-sd", "tiny-sdxl")}
    pool = pool_on(Memory(capacity=3 * sizes["tiny-sd"] + sizes["tiny-sdxl"]))
    other = replace(CASE, weights_seed=1)
    third = replace(CASE, weights_seed=2)
    for case in (CASE, other, third, CASE):  # CASE is used again: `other` is the oldest now
        pool.acquire(case)

    pool.acquire(SDXL)

    pool.acquire(CASE)
    pool.acquire(third)
    assert pool.loads == 4
    pool.acquire(other)
    assert pool.loads == 5


def failing(monkeypatch: pytest.MonkeyPatch, *, times: int, error: Exception) -> None:
    """Make the next *times* builds fail with *error*."""
    real, left = build.build, [times]

    def build_or_fail(*args: object, **kwargs: object) -> object:
        if left[0]:
            left[0] -= 1
            raise error
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "build", build_or_fail)


def test_out_of_memory_while_loading_is_tried_again_with_an_empty_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is already loaded must not keep a model that fits from being measured."""
    pool = pool_on(Memory())
    pool.acquire(SDXL)
    failing(monkeypatch, times=1, error=OutOfMemory("full"))

    assert pool.acquire(CASE).parameters == ARCHITECTURES["tiny-sd"].parameters
    assert pool.evict_others(CASE.pool_key) == 0


def test_a_model_that_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second failure is the answer, with the device's reason, and nothing is left behind."""
    pool = pool_on(Memory())
    failing(monkeypatch, times=2, error=OutOfMemory("tried to allocate 9 GiB\nlong story"))

    with pytest.raises(ModelError, match="does not fit on cpu as fp32") as error:
        pool.acquire(CASE)

    assert error.value.why == "tried to allocate 9 GiB"
    assert pool.loads == 0


def test_other_errors_are_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect is not retried and not renamed."""
    failing(monkeypatch, times=1, error=RuntimeError("shape mismatch"))

    with pytest.raises(RuntimeError, match="shape mismatch"):
        pool_on(Memory()).acquire(CASE)
