"""Where the time of a pipeline call goes: seconds in text encoders, denoiser, scheduler and VAE.

While a clock is attached, each component is of a subclass of its own class, with the same name, whose entry method
takes two marks. Nothing else changes: ``isinstance``, ``save_pretrained`` and reloading, ``state_dict``, compilation
and ``inspect.signature`` work as before, and a deep copy steps itself. (Replacing ``forward`` would be undone by
offload hooks and traced by ``torch.compile``; an attribute of the instance would make a copied scheduler step the
original.)
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.devices.device import Device, Mark
from pytest_sdbatch.errors import SdbatchError

DENOISER = "denoiser"
_DENOISERS = ("unet", "transformer", "transformer_2")
_TIMER = "_sdbatch_timer"  # in the instance, so that the class can be shared


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSplit:
    """Seconds by stage of what ran since the last clear; None with the reason where a stage was not seen."""

    seconds: Mapping[str, float] | None = None
    reason: str | None = None


class StageClock:
    """Times the stages of one pipeline; a context manager that attaches and detaches.

    A call inside a timed call belongs to the outer one, so that no second is counted twice.
    Attach before the warm-up: code compiled for the plain class would be compiled again.

    Args:
        pipeline: a diffusers pipeline, or any object with networks and a scheduler as attributes.
        device: takes the marks.
        output_type: of the calls; for ``latent`` the VAE does not decode.

    """

    def __init__(self, pipeline: Any, device: Device, *, output_type: str = "pt") -> None:
        self._pipeline = pipeline
        self._device = device
        self._latent = output_type == "latent"
        self._undo: list[Callable[[], None]] = []
        self._spans: list[tuple[str, Mark, Mark]] = []
        self._stages: tuple[str, ...] = ()
        self._idle = False  # attached, and not inside a timed call
        self._denoiser_batch: int | None = None
        self._at_border: Callable[[str | None], None] | None = None

    def __enter__(self) -> StageClock:
        self.attach()
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    @property
    def attached(self) -> bool:
        """Whether components report to this clock."""
        return bool(self._undo)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that are timed, in the order of the pipeline's components."""
        return self._stages

    @property
    def denoiser_calls(self) -> int:
        """Calls of the denoiser since the last clear."""
        return sum(stage == DENOISER for stage, _, _ in self._spans)

    @property
    def denoiser_batch(self) -> int | None:
        """First dimension of the denoiser's input in its first call since the last clear; None before one."""
        return self._denoiser_batch

    def attach(self) -> None:
        """Start timing the pipeline's components as they are now.

        Raises:
            SdbatchError: where another clock is attached to one of them; nothing is attached then.

        """
        stages: dict[str, None] = {}
        try:
            for component, methods in _timed_components(self._pipeline):
                if _is_timed(component):
                    raise SdbatchError(f"{type(component).__name__} is already timed by another stage clock")
                self._undo += _attach(component, methods, self)
                stages.update(dict.fromkeys(methods.values()))
        except BaseException:
            self.detach()
            raise
        self._stages = tuple(stages)
        self._idle = True
        self.clear()

    def detach(self) -> None:
        """Make every component what it was, also those that have left the pipeline since."""
        self._idle = False
        self._spans.clear()
        while self._undo:
            self._undo.pop()()

    @contextmanager
    def at_borders(self, tell: Callable[[str | None], None]) -> Iterator[None]:
        """While entered, *tell* a stage as it begins, with None as it ends; not for rounds that are timed."""
        self._at_border = tell
        try:
            yield
        finally:
            self._at_border = None

    def clear(self) -> None:
        """Forget the calls so far."""
        self._spans.clear()
        self._denoiser_batch = None

    def read(self) -> StageSplit:
        """Return the seconds by stage since the last clear, summed over calls; only after a synchronization."""
        if not self._stages:
            return StageSplit(reason="the pipeline has no component that could be timed")
        seconds: dict[str, float] = {}  # in the order of first calls
        for stage, start, end in self._spans:
            seconds[stage] = seconds.get(stage, 0.0) + self._device.seconds_between(start, end)
        unseen = [stage for stage in self._stages if stage not in seconds and self._is_planned(stage)]
        if unseen:
            return StageSplit(reason=f"no call of {', '.join(unseen)} was seen")
        return StageSplit(seconds=seconds)

    def time(self, stage: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return ``call(*args, **kwargs)`` and take its time, unless a stage is being timed already."""
        if not self._idle:
            return call(*args, **kwargs)
        if stage == DENOISER and self._denoiser_batch is None:
            self._denoiser_batch = _batch_of(args, kwargs)
        mark = self._device.mark
        self._idle = False
        if self._at_border is not None:
            self._at_border(stage)
        start = mark()
        try:
            return call(*args, **kwargs)
        finally:
            self._spans.append((stage, start, mark()))
            self._idle = True
            if self._at_border is not None:
                self._at_border(None)

    def __deepcopy__(self, memo: object) -> StageClock:
        return self  # a copied component is timed by the same clock

    def _is_planned(self, stage: str) -> bool:
        """Return whether every call runs *stage*; others, such as an image encoder, need not run."""
        if stage.endswith("_decode"):
            return not self._latent
        return stage == DENOISER or stage.startswith("text_encoder") or stage.endswith("scheduler")


def _timed_components(pipeline: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield each component once, with the stage by the name of the method that enters it."""
    seen: set[int] = set()
    for name, component in list(vars(pipeline).items()):
        if id(component) in seen:
            continue
        seen.add(id(component))
        if _has_methods(component, "forward", "state_dict"):  # a torch module, told without importing torch
            if name in _DENOISERS:
                yield component, {"__call__": DENOISER}
            elif _has_methods(component, "decode", "encode"):
                yield component, {"decode": f"{name}_decode", "encode": f"{name}_encode"}
            else:
                yield component, {"__call__": name}
        elif _has_methods(component, "step", "set_timesteps"):
            yield component, {"step": name}


def _has_methods(component: Any, *names: str) -> bool:
    return all(callable(getattr(component, name, None)) for name in names)


def _is_timed(component: Any) -> bool:
    clock, _ = vars(component).get(_TIMER, (None, None))
    return clock is not None and clock.attached


def _attach(component: Any, methods: Mapping[str, str], clock: StageClock) -> list[Callable[[], None]]:
    """Make *methods* of *component* report to *clock*; return what undoes it, to be run from the last."""
    plain: Any = type(component)
    attributes = vars(component)
    timed = timed_class(plain, tuple(methods))

    def restore_class() -> None:
        attributes.pop(_TIMER, None)
        if type(component) is timed:  # else someone has given it another class since; ours below it is inert now
            object.__setattr__(component, "__class__", plain)

    attributes[_TIMER] = (clock, methods)
    # object's: some modules, such as compiled ones, pass attributes on to the module they wrap.
    object.__setattr__(component, "__class__", timed)
    undo = [restore_class]
    for method, stage in methods.items():
        own = attributes.get(method)  # such as a compiled ``vae.decode``, which hides the one of the class
        if callable(own) and method != "__call__":
            attributes[method] = functools.wraps(own)(functools.partial(clock.time, stage, own))
            undo.append(functools.partial(attributes.__setitem__, method, own))
    return undo


@functools.cache
def timed_class(plain: type, methods: tuple[str, ...]) -> type:
    """Return the subclass of *plain* whose *methods* report to the clock of their instance.

    The same every time: to ``torch.compile`` another class is another function.
    """

    def fill(namespace: dict[str, Any]) -> None:
        namespace.update({method: _timed_method(getattr(plain, method), method) for method in methods})
        namespace.update(__module__=plain.__module__, __qualname__=plain.__qualname__, __doc__=plain.__doc__)

    return types.new_class(plain.__name__, (plain,), {}, fill)


def _timed_method(plain: Callable[..., Any], method: str) -> Callable[..., Any]:
    @functools.wraps(plain)
    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        timer = self.__dict__.get(_TIMER)
        if timer is None:
            return plain(self, *args, **kwargs)
        clock, stages = timer
        return clock.time(stages[method], plain, self, *args, **kwargs)

    return timed


def _batch_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
    """Return the first dimension of the first argument with two dimensions and more; a timestep has less."""
    for value in (*args, *kwargs.values()):
        shape: tuple[int, ...] = getattr(value, "shape", ())
        if len(shape) >= 2:
            return int(shape[0])
    return None
