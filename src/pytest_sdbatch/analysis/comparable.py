"""Which facts of two measurements moved, and what that does to a comparison of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pytest_sdbatch.records import OTHER_BENCHMARKS, Environment, Fact, Record

_DIRTY = "dirty"  # whether the tree had changes that no commit has


class Weight(StrEnum):
    """What a fact that moved does to a comparison."""

    MUST_MATCH = "must match"  # the two are incomparable
    DRIFT = "drift"  # at most inconclusive: the machine may have moved, not the code
    SHOWN = "shown"  # for the reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of how and where something was measured, by what it weighs. Unknown is None."""

    must_match: Mapping[str, Fact]
    drift: Mapping[str, Fact]
    shown: Mapping[str, Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A fact that differs: ``driver 580.1 -> 580.2``, ``uncommitted changes: none -> some``."""

    key: str
    weight: Weight
    before: Fact
    after: Fact

    def __str__(self) -> str:
        before, after = (fact_text(self.key, value) for value in (self.before, self.after))
        return f"{fact_name(self.key)}{':' if self.key == _DIRTY else ''} {before} -> {after}"


def fact_name(key: str) -> str:
    """Return the name of a fact in words."""
    return "uncommitted changes" if key == _DIRTY else key.replace("_", " ")


def fact_text(key: str, value: Fact) -> str:
    """Return the value of a fact in words."""
    if key == _DIRTY and isinstance(value, bool):
        return "some" if value else "none"
    if value is None:
        return "none seen" if key == OTHER_BENCHMARKS else "unknown"  # which a run only has if it saw some
    return str(value)


def facts_of(environment: Environment, record: Record | None = None) -> Facts:
    """Return the facts of a run, or of one of its records: its own count beside those of the run and go before them."""
    if record is None:
        return Facts(must_match=environment.must_match, drift=environment.drift, shown=environment.shown)
    weights = record.weights
    own = {
        "parallel": record.parallel,
        "weights": weights.kind,
        "weights_seed": weights.seed,
        "weights_fill": weights.fill,
        **record.must_match,
    }
    return Facts(
        must_match={**environment.must_match, **own},
        drift=environment.drift,
        shown={**environment.shown, "weights_source": weights.source},
    )


def moved(then: Facts, now: Facts) -> tuple[Moved, ...]:
    """Return what differs, the heaviest first; a fact that one side does not know differs from one that is known."""
    return tuple(
        Moved(key=key, weight=weight, before=before, after=after)
        for weight, old, new in (
            (Weight.MUST_MATCH, then.must_match, now.must_match),
            (Weight.DRIFT, then.drift, now.drift),
            (Weight.SHOWN, then.shown, now.shown),
        )
        for key, before, after in differing(old, new)
    )


def differing(then: Mapping[str, Fact], now: Mapping[str, Fact]) -> Iterator[tuple[str, Fact, Fact]]:
    """Yield key, value then and value now of what differs; a key that is missing is unknown."""
    if then == now:
        return
    for key in [*then, *(key for key in now if key not in then)]:
        before, after = then.get(key), now.get(key)
        if before != after:
            yield key, before, after
