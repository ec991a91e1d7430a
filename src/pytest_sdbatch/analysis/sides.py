"""The two sides of a comparison as values: what each of their runs says of each case, whichever file it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_sdbatch.analysis.comparable import Facts
from pytest_sdbatch.nouns import GENERATION, TRAINING, Nouns

OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case stands in a table, and what its rounds were made of."""

    test: str
    group: str = ""  # Case.group_id; empty: of a benchmark that is none of ours
    case: str
    batch_size: int = 1
    batch_count: int = 1
    trains: bool = False

    @property
    def groups(self) -> tuple[str, str]:
        """What an explanation may call its group: the test is named where there are several."""
        return self.group, f"{self.test} {self.group}"

    @property
    def nouns(self) -> Nouns:
        """What its rounds are made of, in words."""
        return TRAINING if self.trains else GENERATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One case in one run."""

    place: Place
    state: str = OK  # how it ended: "ok", another outcome, or "test failed" where only the test behind it was not
    reason: str | None = None  # why it is not ok
    seconds: Sequence[float] = ()  # of its rounds, all > 0; empty where it has no numbers
    peak_bytes: Sequence[int] = ()  # the allocator's peak in its rounds; empty where it is not known
    stages_ns: Mapping[str, Sequence[int | None]] = field(default_factory=dict)  # by stage, of each round; as stored
    clocks_mhz: Sequence[int | None] = ()  # of the device, as each round ended
    cold_start_s: float | None = None
    contention: str | None = None  # why its times include waiting for a core; None: nothing says so
    waited: float | None = None  # the share of its times for which a thread was ready and had no core; None: not known
    foreign_processes: int | None = None  # others on the device, at least so many; None: not known
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRun:
    """One run of a side."""

    id: str
    file: str
    started_at: str
    interrupted: bool = False
    cases: Mapping[str, Measured]  # by node id with the parameters: what pytest-benchmark calls fullname
