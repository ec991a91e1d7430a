"""A training step of the test's own: called with a batch of its own making, once an optimizer step."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.output import OutputVerdict
from pytest_sdbatch.records import Fact, Trained
from pytest_sdbatch.training.examples import Source
from pytest_sdbatch.training.together import Together
from pytest_sdbatch.training.workload import judge_losses


class OwnStepWorkload:
    """Calls of *step*. Implements :class:`pytest_sdbatch.measure.workload.Workload`.

    Args:
        step: takes a batch, makes one optimizer step, and returns its loss (alone, first of several, or called
            ``loss``), or nothing.
        batches: a callable that takes the batch size and returns a batch; or batches that are there, used in turn.
            None: the step takes none.
        case: with the batch size.
        source: what is known of the data.
        together: the place of this process among those that run the step; None: it is alone.

    """

    calls = 1
    keeps_warm = True
    pipeline = None
    phases: tuple[str, ...] = ()

    def __init__(
        self,
        step: Callable[..., object],
        batches: Callable[[int], Any] | Iterable[Any] | None,
        case: Case,
        source: Source,
        together: Together | None = None,
    ) -> None:
        self.case = case
        self._step = step
        self._batches = batches
        self._source = source
        self._together = together or Together()
        self._turn: Iterator[Any] | None = None
        self._losses: list[Any] = []

    @property
    def must_match(self) -> Mapping[str, Fact]:
        """Nothing beside the case and the place is known of it."""
        return {}

    @property
    def trained(self) -> Trained:
        """What training adds to the record."""
        training, source = self.case.training, self._source
        return Trained(
            effective_batch=self.case.images,
            processes=1 if training is None else training.processes,
            images=source.images,
            repeats=source.repeats,
            data="the test's own",
        )

    def check(self) -> None:
        """Refuse what cannot be called, and batches that cannot be had."""
        if not callable(self._step):
            raise ModelError(
                f"a {type(self._step).__name__} is no training step",
                fix="give a function of a batch: sd_training(step, batches=...)",
            )
        if self._batches is not None and not callable(self._batches) and not isinstance(self._batches, Iterable):
            raise ModelError(
                f"batches={self._batches!r} gives no batches",
                fix="give a function of the batch size, or a list or DataLoader of batches",
            )

    def prepare(self) -> Sequence[Callable[[], object]]:
        """Return one call of the step, with a batch that is made now."""
        if self._batches is None:
            return [functools.partial(self._call)]
        return [functools.partial(self._call, self._batch())]

    def judge(self, outputs: Sequence[object]) -> OutputVerdict:
        """Look at the loss of every step so far."""
        del outputs
        losses = [_number(loss) for loss in self._losses]
        if None in losses:
            return OutputVerdict(status="unchecked: the step returned no loss")
        return judge_losses([loss for loss in losses if loss is not None], "")

    def agree(self, decided: bool) -> bool:
        """Return what the first of the processes that train together *decided*."""
        return self._together.agree(decided, self.case.device.partition(":")[0])

    def close(self) -> None:
        """Forget the losses."""
        self._losses.clear()

    def _batch(self) -> Any:
        if callable(self._batches):
            return self._batches(self.case.batch_size)
        assert self._batches is not None
        for _ in range(2):
            if self._turn is None:
                self._turn = iter(self._batches)
            try:
                return next(self._turn)
            except StopIteration:
                self._turn = None
        raise ModelError("batches is empty", fix="give at least one batch; an iterator that ended cannot begin again")

    def _call(self, *batch: Any) -> object:
        returned = self._step(*batch)
        self._losses.append(_loss_of(returned))
        return returned


def _loss_of(returned: object) -> Any:
    """Return the loss in what a step returned, without the graph behind it, which would stay in memory."""
    if isinstance(returned, Mapping):
        returned = returned.get("loss")
    elif isinstance(returned, (tuple, list)):
        returned = returned[0] if returned else None
    loss = getattr(returned, "loss", returned)  # of the outputs of transformers' models
    return loss.detach() if hasattr(loss, "detach") else loss


def _number(loss: Any) -> float | None:
    """Return a loss as a number, the mean of several; None: it is none."""
    if isinstance(loss, (str, bytes)):
        return None
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        return float(loss)
    with contextlib.suppress(TypeError, ValueError, RuntimeError, AttributeError):
        return float(loss.mean())
    return None
