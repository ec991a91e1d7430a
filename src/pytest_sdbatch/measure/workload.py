"""What is measured, as the measurement sees it: generation and training are two of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.output import OutputVerdict
from pytest_sdbatch.records import Fact, Trained


class Calls(Protocol):
    """What a round consists of."""

    def prepare(self) -> Sequence[Callable[[], object]]:
        """Return the calls of one round, in order. Called before each round, outside the timed region."""
        ...


class Workload(Calls, Protocol):
    """One case of one test, ready to be run on a device."""

    @property
    def case(self) -> Case:
        """The point of the grid."""
        ...

    @property
    def calls(self) -> int:
        """Calls of one round."""
        ...

    @property
    def pipeline(self) -> Any | None:
        """The pipeline that it runs, as far as there is one: it is described in the record."""
        ...

    @property
    def phases(self) -> tuple[str, ...]:
        """The stages that its calls announce themselves; empty: they are the components of the pipeline."""
        ...

    @property
    def keeps_warm(self) -> bool:
        """Whether a shape that ran in this process needs no warm-up in another case."""
        ...

    @property
    def must_match(self) -> Mapping[str, Fact]:
        """What decides about the figures beside the case and the place."""
        ...

    @property
    def trained(self) -> Trained | None:
        """What training adds to the record; None: it generates."""
        ...

    def check(self) -> None:
        """Refuse by a ModelError what cannot be measured at this case; before anything is run."""
        ...

    def judge(self, outputs: Sequence[object]) -> OutputVerdict:
        """Look at what the calls of the last round returned; after the timed region."""
        ...

    def agree(self, decided: bool) -> bool:
        """Return whether to stop: *decided* here, or by the first of several processes that run it together."""
        ...

    def close(self) -> None:
        """Let go of what the calls left on the device; the case is over."""
        ...
