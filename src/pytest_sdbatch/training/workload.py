"""The calls of one training case: an optimizer step each, on batches that are ready before the clock starts."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import LORA, Training
from pytest_sdbatch.pipelines.dtypes import torch_dtype
from pytest_sdbatch.pipelines.output import CHECKED, OutputVerdict
from pytest_sdbatch.records import Fact, Outcome, Trained
from pytest_sdbatch.training import lora, optimizers
from pytest_sdbatch.training.examples import Source, encode
from pytest_sdbatch.training.families import Family, family_of, take
from pytest_sdbatch.training.together import Together
from pytest_sdbatch.training.trainer import Trainer

_ENCODERS = ("vae", "text_encoder", "text_encoder_2", "text_encoder_3")
_CACHE = "_sdbatch_examples"  # attribute of the pipeline, which has lost what could make them again
_STEP = ("forward", "backward", "optimizer")


class TrainingWorkload:
    """Optimizer steps on the denoiser of a pipeline. Implements :class:`pytest_sdbatch.measure.workload.Workload`.

    Each case starts with fresh adapters and a fresh optimizer. All weights, where these are trained, go on from case to
    case: loading a large model for every batch size takes minutes, and what a step costs does not depend on them.

    Args:
        pipeline: is changed: its denoiser is trained; where the case caches, its encoders leave it.
        case: with how to train.
        source: of the examples.
        seed: of adapters, noise and timesteps.
        rate: learning rate; None: the usual one of the method.
        release: gives back the memory of what has left.
        together: the place of this process among those that train; None: it is alone.

    """

    calls = 1
    keeps_warm = False  # a new optimizer makes its state in its first step

    def __init__(
        self,
        pipeline: Any,
        case: Case,
        source: Source,
        *,
        seed: int = 0,
        rate: float | None = None,
        release: Callable[[], None] | None = None,
        together: Together | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.case = case
        self.how: Training = case.training or Training()
        self.rate = optimizers.default_rate(self.how.method) if rate is None else rate
        self.timed: Callable[..., Any] | None = None
        self._source = source
        self._seed = seed
        self._release = release
        self._losses: list[Any] = []  # of each step, on the device: reading one would wait for it
        self._trainer: Trainer | None = None
        self._examples: Mapping[str, Any] | None = None  # encoded; None: each step encodes its own
        self._together = together or Together()
        self._seen = self._together.rank * case.batch_size  # examples so far

    @property
    def phases(self) -> tuple[str, ...]:
        """What a step consists of; without a cache it encodes images and captions, too."""
        return _STEP if self.how.cache else ("encode", *_STEP)

    @property
    def must_match(self) -> Mapping[str, Fact]:
        """What decides about the figures beside the case and the place."""
        captions = hashlib.sha256("\n".join(self._source.captions).encode()).hexdigest()[:8]
        return {"seed": self._seed, "captions": captions, "rate": self.rate}

    @property
    def trained(self) -> Trained:
        """What training adds to the record; what it holds in memory is known while it is running."""
        source, held = self._source, None if self._trainer is None else self._trainer.held
        return Trained(
            effective_batch=self.case.images,
            accumulation=self.how.accumulation,
            processes=self.how.processes,
            images=source.images,
            repeats=source.repeats,
            data=source.name,
            objective=self._family.objective(self.pipeline),
            trainable_parameters=None if held is None else held.trainable_parameters,
            weight_bytes=None if held is None else held.weight_bytes,
            gradient_bytes=None if held is None else held.gradient_bytes,
            optimizer_bytes=held.optimizer_bytes if held is not None and self._losses else None,
        )

    @property
    def _family(self) -> Family:
        return family_of(type(self.pipeline).__name__)

    def check(self) -> None:
        """Refuse a pipeline whose training step is not known, and what needs a package that is missing."""
        _ = self._family
        optimizers.check_installed(self.how.optimizer)
        if self.how.method == LORA:
            lora.check_installed()

    def prepare(self) -> Sequence[Callable[[], object]]:
        """Return one optimizer step; the first time the network is made ready, and images are encoded if cached."""
        if self._trainer is None:
            if self.how.cache:
                self._examples = self._cached()
            self._trainer = Trainer(
                self.pipeline, self._family, self.case, seed=self._seed, rate=self.rate, together=self._together
            )
        return [functools.partial(self._step, [self._batch() for _ in range(self.how.accumulation)])]

    def judge(self, outputs: Sequence[object]) -> OutputVerdict:
        """Look at the loss of every step so far, those of the warm-up too."""
        del outputs
        return judge_losses(self._losses, f", at learning rate {self.rate:g}")

    def agree(self, decided: bool) -> bool:
        """Return what the first of the processes that train together *decided*."""
        return self._together.agree(decided, self.case.device.partition(":")[0])

    def close(self) -> None:
        """Drop optimizer, gradients and losses."""
        if self._trainer is not None:
            self._trainer.close()
        self._trainer, self._examples = None, None
        self._losses.clear()

    def _cached(self) -> Mapping[str, Any]:
        """Return the encoded examples that the pipeline has; the first time encode them, and drop what does it."""
        pipeline = self.pipeline
        if _CACHE not in vars(pipeline):
            # One at a time: many at once would take memory that no step takes.
            parts = [self._encode(self._raw([row])) for row in range(self._source.held)]
            vars(pipeline)[_CACHE] = {name: _joined([part[name] for part in parts]) for name in parts[0]}
            for name in _ENCODERS:
                if getattr(pipeline, name, None) is not None:
                    setattr(pipeline, name, None)
            if self._release is not None:
                self._release()
        found: Mapping[str, Any] = vars(pipeline)[_CACHE]
        return found

    def _batch(self) -> Any:
        """Return the next batch, encoded or raw."""
        rows = [row % self._source.held for row in range(self._seen, self._seen + self.case.batch_size)]
        self._seen += self.case.batch_size * self._together.count
        return self._raw(rows) if self._examples is None else take(self._examples, rows)

    def _raw(self, rows: Sequence[int]) -> tuple[Any, list[str]]:
        """Return the pixels and captions of *rows*."""
        captions = self._source.captions
        pixels = self._source.pixels(max(rows) + 1, height=self.case.height, width=self.case.width, seed=self._seed)
        return pixels[list(rows)], [captions[row % len(captions)] for row in rows]

    def _encode(self, raw: tuple[Any, list[str]]) -> Mapping[str, Any]:
        import torch

        dtype = torch_dtype(self.case.dtype) if self.how.method == LORA else torch.float32
        return encode(self.pipeline, self._family, *raw, dtype=dtype)

    def _step(self, batches: Sequence[Any]) -> Any:
        assert self._trainer is not None
        encoding = None if self._examples is not None else self._encode
        loss = self._trainer.step(batches, encoding, self.timed or untimed)
        self._losses.append(loss)
        return loss


def judge_losses(losses: Sequence[Any], where: str) -> OutputVerdict:
    """Return whether every one of *losses* is finite; of one that is not the step, counted from 1."""
    for step, loss in enumerate(map(float, losses), start=1):
        if not math.isfinite(loss):
            return OutputVerdict(
                status=CHECKED, problem=f"the loss is {loss:g} in step {step}{where}", outcome=Outcome.DIVERGED
            )
    return OutputVerdict(status=CHECKED)


def untimed(stage: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what *call* returns; nobody asked how long it takes."""
    del stage
    return call(*arguments)


def _joined(parts: Sequence[Any]) -> Any:
    import torch

    return torch.cat(list(parts))
