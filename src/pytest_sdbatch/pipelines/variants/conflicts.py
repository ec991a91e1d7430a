"""Which variants do not go together, and why."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sdbatch.pipelines.variants import attention

OFFLOADS = frozenset({"model-offload", "sequential-offload", "group-offload"})
COMPILES = frozenset({"compile", "compile:max-autotune", "compile-regional"})
FORMATS = frozenset({"layerwise-fp8", "nf4", "int8"})
BACKENDS = frozenset({attention.PREFIX})  # every attn:...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A variant of ``one`` cannot stand beside a variant of ``other``; where both are equal, beside another of it."""

    one: frozenset[str]
    other: frozenset[str]
    why: str

    def holds(self, first: str, second: str) -> bool:
        """Return whether it keeps these two apart, whichever comes first."""
        a, b = _family(first), _family(second)
        return (a in self.one and b in self.other) or (b in self.one and a in self.other)


CONFLICTS = (
    Conflict(one=OFFLOADS, other=OFFLOADS, why="a pipeline's parameters are moved in one way"),
    Conflict(one=COMPILES, other=COMPILES, why="a denoiser is compiled in one way"),
    Conflict(one=BACKENDS, other=BACKENDS, why="a denoiser's attention has one back end"),
    Conflict(one=FORMATS, other=FORMATS, why="a denoiser's weights are stored in one format"),
    Conflict(
        one=frozenset({"attention-slicing"}),
        other=BACKENDS | {"fuse-qkv"},
        why="each replaces what computes the attention, and the last would win",
    ),
    Conflict(
        one=frozenset({"sequential-offload"}),
        other=COMPILES,
        why="every layer's parameters come and go within the call, which a compiled graph cannot hold",
    ),
    Conflict(
        one=frozenset({"sequential-offload"}),
        other=FORMATS,
        why="it moves plain tensors one by one, and these weights are converted or are more than one tensor",
    ),
    Conflict(
        one=frozenset({"group-offload"}),
        other=frozenset({"nf4"}),
        why="it moves a weight without the scales that bitsandbytes keeps beside it",
    ),
    Conflict(
        one=frozenset({"cache:first-block"}),
        other=COMPILES,
        why="which blocks run depends on values, so the timed rounds would compile again",
    ),
)


def reason(first: str, second: str) -> str | None:
    """Return why two different variants do not go together, or None where they do."""
    return next((conflict.why for conflict in CONFLICTS if conflict.holds(first, second)), None)


def _family(name: str) -> str:
    return attention.PREFIX if name.startswith(attention.PREFIX) else name
