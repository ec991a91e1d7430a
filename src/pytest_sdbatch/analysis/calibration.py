"""What a machine can detect: processes of unchanged code, and the slowdowns that a job on it would find."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import FEWEST_PAIRS, POWER, minimum_detectable_effect, relative, student_quantile
from pytest_sdbatch.analysis.noise import Noise, noise_of
from pytest_sdbatch.analysis.screen import SCREENING_PAIRS, Spread, no_surer, suspect_from
from pytest_sdbatch.analysis.sides import OK, Place, SideRun
from pytest_sdbatch.errors import TooFewSamples

STORED_RUNS = 5
NEW_RUNS = (1, 4)  # of a candidate: the first, and with those that a suspect is run again
EFFECTS = (0.02, 0.05, 0.10)
_FARTHEST = 35.0  # the noncentral t is not computed beyond; no test is in doubt there
_LARGEST = 20.0  # ln of the largest slowdown that is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """What is found of a slowdown of one case while the others stay as they are. Slowdowns are shares: 0.05 is 5 %."""

    by_pairs: Mapping[int, float]  # by the pairs of ``ab``: the smallest that their test finds in 80 % of jobs
    by_runs: Mapping[int, float]  # the same by runs of a candidate, against 5 stored ones
    in_a_job: float  # the smallest found in 80 % of jobs of ``ab``, screening included
    chances: Mapping[float, float]  # by slowdown: the share of jobs of ``ab`` that find it


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCalibration:
    """What is known of one case."""

    name: str  # node id with the parameters
    place: Place
    noise: Noise | None  # None: see the reason
    detectable: Detectable | None
    reason: str = ""

    @property
    def call_s(self) -> float | None:
        """Seconds per call; None where too few processes tell."""
        return None if self.noise is None else math.exp(self.noise.location) / self.place.batch_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All cases, in the order in which they ran."""

    cases: tuple[CaseCalibration, ...]
    runs: tuple[SideRun, ...]
    config: Config

    @property
    def known(self) -> tuple[tuple[CaseCalibration, Detectable], ...]:
        """The cases of which something can be said, the one in which most is found first."""
        found = [(case, case.detectable) for case in self.cases if case.detectable is not None]
        return tuple(sorted(found, key=lambda item: item[1].in_a_job))


def calibrate(runs: Sequence[SideRun], config: Config | None = None) -> Calibration:
    """Return what a job on the machine of *runs* can detect.

    Args:
        runs: processes of the same code, in time order; interrupted ones count for what they have.
        config: the rules of the job; None: the defaults.

    """
    rules = config or Config()
    places = {name: measured.place for run in runs for name, measured in run.cases.items()}
    noises: dict[str, Noise] = {}
    reasons: dict[str, str] = {}
    for name in places:
        try:
            noises[name] = noise_of([_seconds(run, name) for run in runs])
        except TooFewSamples as error:
            reasons[name] = _why(runs, name) or error.what
    pairs = {name: noise.pair for name, noise in noises.items()}
    return Calibration(
        cases=tuple(
            CaseCalibration(
                name=name,
                place=place,
                noise=noises.get(name),
                detectable=_detectable(name, noises[name], pairs, rules) if name in noises else None,
                reason=reasons.get(name, ""),
            )
            for name, place in places.items()
        ),
        runs=tuple(runs),
        config=rules,
    )


def _seconds(run: SideRun, name: str) -> Sequence[float]:
    measured = run.cases.get(name)
    return measured.seconds if measured is not None and measured.state == OK else ()


def _why(runs: Sequence[SideRun], name: str) -> str:
    """Return how a case ended where it did not go well."""
    bad = [run.cases[name] for run in runs if name in run.cases and run.cases[name].state != OK]
    return f"{bad[0].state}: {bad[0].reason}" if bad and bad[0].reason else bad[0].state if bad else ""


def _detectable(name: str, noise: Noise, pairs: Mapping[str, float], config: Config) -> Detectable:
    job = _Job.of(name, pairs, config)
    by_pairs = {
        look: max(
            config.tolerance_of(name),
            minimum_detectable_effect(
                _spread_of(look, noise, pairs) / math.sqrt(look), look - 1, tail=share * config.alpha / job.family
            ),
        )
        for look, share in config.look_shares
    }
    by_runs = {
        new: minimum_detectable_effect(
            noise.run * math.sqrt(1 / STORED_RUNS + 1 / new),
            STORED_RUNS + new - 2,
            tail=config.alpha / len(pairs),
            against=math.log1p(config.drift),
        )
        for new in NEW_RUNS
    }
    return Detectable(
        by_pairs=by_pairs,
        by_runs=by_runs,
        in_a_job=job.found_in(POWER),
        chances={effect: job.chance(math.log1p(effect)) for effect in EFFECTS},
    )


def _spread_of(look: int, noise: Noise, pairs: Mapping[str, float]) -> float:
    """Return the stdev of a pair that *look* pairs are judged by: of the fewest no less than that of all cases."""
    if look > FEWEST_PAIRS:
        return noise.pair
    rms = math.sqrt(math.fsum(pair**2 for pair in pairs.values()) / len(pairs))
    return no_surer(noise.pair, look - 1, Spread(stdev=rms, freedom=len(pairs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A job of ``ab`` in which one case became slower."""

    pair: float  # stdev of a pair's ln-ratio of that case
    suspect_from: float  # ln-ratio
    family: float  # suspects to expect: that case, and the others by chance
    tolerance: float  # as a ln-ratio
    looks: int  # pairs of the last look
    tail: float

    @classmethod
    def of(cls, name: str, pairs: Mapping[str, float], config: Config) -> _Job:
        from scipy.special import ndtr

        error = math.sqrt(math.fsum(pair**2 for pair in pairs.values()) / len(pairs) / SCREENING_PAIRS)
        others = [
            float(ndtr(-suspect_from(error, other, config) * math.sqrt(SCREENING_PAIRS) / pair))
            for other, pair in pairs.items()
            if other != name and pair > 0
        ]
        family = 1 + math.fsum(others)
        return cls(
            pair=pairs[name],
            suspect_from=suspect_from(error, name, config),
            family=family,
            tolerance=math.log1p(config.tolerance_of(name)),
            looks=config.look_shares[-1][0],
            tail=config.final_alpha / family,
        )

    def chance(self, change: float) -> float:
        """Return the share of jobs that find a ln-ratio: it is suspected, then told from chance at the last look.

        What the first look finds besides is left out, so it is a little more.
        """
        if self.pair == 0:
            return float(change >= max(self.suspect_from, self.tolerance))
        from scipy.special import nctdtr, ndtr

        apart = min(change * math.sqrt(self.looks) / self.pair, _FARTHEST)
        tested = 1 - float(nctdtr(self.looks - 1, apart, student_quantile(self.looks - 1, 1 - self.tail)))
        suspected, large = (
            float(ndtr((change - least) * math.sqrt(number) / self.pair))
            for least, number in ((self.suspect_from, SCREENING_PAIRS), (self.tolerance, self.looks))
        )
        return suspected * min(tested, large)

    def found_in(self, share: float) -> float:
        """Return the smallest slowdown that is found in *share* of jobs, by bisection."""
        low, high = 0.0, _LARGEST
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.chance(middle) >= share else (middle, high)
        return relative(high)
