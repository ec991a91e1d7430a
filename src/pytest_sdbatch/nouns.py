"""What a workload calls the thing that is timed, and what a batch of it is made of; texts take their words here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Nouns:
    """The words of one kind of workload, or of several with "or" between them; each in the singular."""

    call: str
    image: str

    @property
    def a_call(self) -> str:
        """The thing that is timed with its article."""
        return f"a {self.call}"

    @property
    def per_call(self) -> str:
        """Behind a number of seconds."""
        return f"per {self.call}"

    @property
    def images(self) -> str:
        """Several of what a batch is made of."""
        return " or ".join(f"{word}s" for word in self.image.split(" or "))

    @property
    def rate(self) -> str:
        """The unit of the throughput."""
        return f"{self.images}/s"


GENERATION = Nouns(call="call", image="image")
TRAINING = Nouns(call="step", image="example")


def either(kinds: Iterable[Nouns]) -> Nouns:
    """Return the words for something that may be of any of *kinds*; of none, those of generation."""
    known = list(dict.fromkeys(kinds)) or [GENERATION]
    return Nouns(call=" or ".join(one.call for one in known), image=" or ".join(one.image for one in known))
