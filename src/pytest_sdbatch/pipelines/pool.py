"""Pipelines that are loaded: each once, the least recently used ones leaving when memory asks for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.errors import DoesNotFit
from pytest_sdbatch.grid.case import Case, PoolKey
from pytest_sdbatch.pipelines import anatomy, variants
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.dtypes import DTYPE_BYTES
from pytest_sdbatch.records import Reading, Weights

_HEADROOM = 1.2  # a pipeline needs more than its parameters before its first call


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A pipeline in the pool, and what loading it took."""

    pipeline: Any
    load_s: float
    model_bytes: Reading
    before_load: Reading  # Device.in_use_bytes before it was loaded
    after_load: Reading  # and after
    weights: Weights
    parameters: int


class PipelinePool:
    """Loads the pipeline of each :attr:`Case.pool_key` once."""

    def __init__(self, device: Device, catalog: ModelCatalog) -> None:
        self._device = device
        self._catalog = catalog
        self._loaded: dict[PoolKey, Loaded] = {}  # the least recently used first
        self.loads = 0  # pipelines loaded so far

    def acquire(self, case: Case) -> Loaded:
        """Return the pipeline of *case*, loading it where it is not in the pool.

        Raises:
            ModelError: for a model that cannot be loaded or cannot run the variant.
            CannotRun: where this machine cannot run the variant.
            DoesNotFit: for one that ran out of memory while loading, with nothing else in the pool.

        """
        key = case.pool_key
        if key in self._loaded:
            self._loaded[key] = self._loaded.pop(key)  # now the most recently used
            return self._loaded[key]
        variants.check(case.variant, device=case.device, weights=case.weights)
        self._make_room(case)
        loaded, reason = self._try_load(case)
        if loaded is None:
            # Reached after the except block: its traceback held what had been loaded so far.
            self._device.release_memory()
            if self.evict_others(key):
                loaded, reason = self._try_load(case)
        if loaded is None:
            raise DoesNotFit(
                f"model {case.model!r} does not fit on {case.device} as {case.dtype}",
                why=reason,
                fix="use a smaller dtype (--sd-dtypes) or a smaller model; `sdbatch models` lists their sizes",
            )
        self._loaded[key] = loaded
        return loaded

    def release(self, key: PoolKey) -> None:
        """Evict the pipeline of *key*, if it is there, and give its memory back."""
        if self._loaded.pop(key, None) is None:
            return
        if variants.is_compiled(key[3]):
            variants.reset_compiler()  # compiled code keeps the module alive
        self._device.release_memory()

    def clear(self) -> None:
        """Evict every pipeline."""
        for key in list(self._loaded):
            self.release(key)

    def evict_others(self, key: PoolKey) -> int:
        """Evict every pipeline but that of *key*, and return how many there were."""
        others = [loaded for loaded in self._loaded if loaded != key]
        for other in others:
            self.release(other)
        return len(others)

    def _make_room(self, case: Case) -> None:
        parameters = self._catalog.facts(case.model or "").parameters
        if parameters is None:
            return
        needed = _HEADROOM * parameters * DTYPE_BYTES[case.dtype]
        while self._loaded:
            free = self._device.free_bytes().value
            if free is None or free >= needed:
                return
            self.release(next(iter(self._loaded)))

    def _try_load(self, case: Case) -> tuple[Loaded | None, str]:
        """Return the pipeline, or None and why memory ran out; no reference to the error outlives this call."""
        try:
            return self._load(case), ""
        except Exception as error:
            if not self._device.is_out_of_memory(error):
                raise
            return None, (str(error).strip() or type(error).__name__).splitlines()[0]

    def _load(self, case: Case) -> Loaded:
        device = self._device
        self._catalog.prepare(case.model or "")
        used_before, in_use_before = device.used_bytes(), device.in_use_bytes()
        device.synchronize()
        start_s = device.wall_s()
        where = variants.load_device(case.variant, device=case.device)
        pipeline, weights = self._catalog.load(replace(case, device=where), device)
        parameters = anatomy.count(pipeline)  # now: 4 bits are packed, and fused projections stand beside the others
        self._catalog.apply_variant(pipeline, case.variant, device)
        device.synchronize()
        load_s = device.wall_s() - start_s
        self.loads += 1
        return Loaded(
            pipeline=pipeline,
            load_s=load_s,
            model_bytes=_growth(used_before, device.used_bytes()),
            before_load=in_use_before,
            after_load=device.in_use_bytes(),
            weights=weights,
            parameters=parameters,
        )


def _growth(before: Reading, after: Reading) -> Reading:
    if before.value is None or after.value is None:
        return Reading(reason=before.reason or after.reason)
    if after.value < before.value:
        return Reading(reason="memory freed meanwhile by others hides what the model took")
    return Reading(value=after.value - before.value)
