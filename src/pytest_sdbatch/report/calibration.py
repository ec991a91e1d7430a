"""What a machine can detect, on screen and for machines: a table of all cases, and the answer in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.analysis.calibration import EFFECTS, STORED_RUNS, Calibration, CaseCalibration, Detectable
from pytest_sdbatch.analysis.noise import Noise
from pytest_sdbatch.nouns import either
from pytest_sdbatch.report.escape import plain, shortened
from pytest_sdbatch.report.layout import Cell, Column, blocks_by_test, lay_out, to_string, wrapped

SCHEMA = 1
NOISY = 0.10  # a machine on which no smaller slowdown is found is told what helps
_UNKNOWN = "-"
_LONGEST_CASE = 28
_CERTAIN = "over 99 %"
_MOST = 10.0  # a slowdown beyond has no digits that say anything


def render_calibration(found: Calibration, *, asked: int, width: int, color: bool, encoding: str = "utf-8") -> str:
    """Return what is shown of *found*, without a newline at the end.

    Args:
        found: of processes of unchanged code.
        asked: how many processes were to be.
        width: columns of the screen; where it does not do, the least important columns are left out.
        color: whether to use ANSI colours.
        encoding: of the screen; what it lacks is replaced.

    """
    from rich.text import Text

    columns = _columns(found)
    row = partial(_row, keys=[column.key for column in columns])
    lines = lay_out(columns, list(blocks_by_test(found.cases, row, width=width)), width=width, encoding=encoding)
    lines += [Text(line, "dim") for text in _legend(found) for line in wrapped(text, width)]
    lines.append(Text(""))
    lines += [Text(line, "bold") for text in answer(found, asked=asked) for line in wrapped(text, width)]
    return to_string(lines, color=color, encoding=encoding)


def answer(found: Calibration, *, asked: int) -> Iterator[str]:
    """Yield the sentences that say what the machine can detect, and what would help where that is little."""
    if len(found.runs) < asked or any(run.interrupted for run in found.runs):
        whole = sum(not run.interrupted for run in found.runs)
        yield f"judged on what came: {whole} of {asked} processes ended whole"
    if not found.known:
        yield "nothing can be said of this machine: no case was measured often enough"
        return
    (best, least), (worst, most) = found.known[0], found.known[-1]
    pairs = found.config.look_shares[-1][0]
    finds, hardest = _slowdown(least.in_a_job), _slowdown(most.in_a_job)
    if finds != hardest:
        finds = f"{finds} ({_name(best, found)}) to {hardest} ({_name(worst, found)})"
    chances = {effect: _of_jobs(min(limits.chances[effect] for _, limits in found.known)) for effect in EFFECTS}
    # What is larger than one that is found for certain, is too.
    told = list(chances)[: list(chances.values()).index(_CERTAIN) + 1] if _CERTAIN in chances.values() else chances
    others = ", ".join(f"of {units.share(effect)} in {chances[effect]}" for effect in told)
    whichever = f", whichever of the {len(found.known)} cases it is" if len(found.known) > 1 else ""
    yield (
        f"with {pairs} pairs sdbatch ab finds a slowdown of {finds} in 80 % of jobs on this machine; one {others}"
        f"{whichever}"
    )
    yield from _stored(found)
    if most.in_a_job >= NOISY:
        yield from _advice(worst, most, found)


def _stored(found: Calibration) -> Iterator[str]:
    worst = {new: max(limits.by_runs[new] for _, limits in found.known) for new in found.known[0][1].by_runs}
    finds = ", ".join(f"{_slowdown(effect)} with {units.count(new, 'new run')}" for new, effect in worst.items())
    yield (
        f"against {STORED_RUNS} stored runs a slowdown of any case is found in 80 % of comparisons from {finds}: "
        f"{units.share(found.config.drift)} are left to the machine, which may have moved"
    )


def _advice(worst: CaseCalibration, most: Detectable, found: Calibration) -> Iterator[str]:
    yield (
        f"{_name(worst, found)} is noisy: nothing below {units.share(min(most.in_a_job, _MOST))} is found. What helps: "
        "a quiet machine (end other work on it); clocks that its administrator has fixed; longer rounds, such as of "
        "more steps or a larger batch; more pairs or runs"
    )


def _name(case: CaseCalibration, found: Calibration) -> str:
    """Return the short name of a case, or the whole one where several share it."""
    short = case.place.case
    alone = sum(other.place.case == short for other in found.cases) == 1
    return plain(short if alone else case.name)


def _of_jobs(chance: float) -> str:
    """Return a share of jobs, which a formula gives, with no more certainty than it has."""
    if chance >= 0.995:
        return _CERTAIN
    return "under 1 %" if chance < 0.01 else f"{units.whole_percent(chance)} %"


def _slowdown(value: float) -> str:
    return units.share(value) if value <= _MOST else f"over {units.share(_MOST)}"


def _columns(found: Calibration) -> list[Column]:
    pairs = [look for look, _ in found.config.look_shares]
    new_runs = list(found.known[0][1].by_runs) if found.known else []
    nouns = either(case.place.nouns for case in found.cases)
    drifts = any(case.noise is not None and case.noise.drifts for case in found.cases)
    return [
        Column("case", "case", left=True),
        Column("call", nouns.per_call, drop=5),
        Column("within", "stdev\nwithin", drop=2),
        Column("between", "stdev\nbetween"),
        *([Column("alike", "neighbours\nalike", drop=4)] if drifts else []),
        *(Column(f"pairs{look}", f"finds,\n{look} pairs", drop=1 if look < pairs[-1] else 0) for look in pairs),
        *(
            Column(f"runs{new}", f"finds, {STORED_RUNS} stored\nand {units.count(new, 'new run')}", drop=3)
            for new in new_runs
        ),
    ]


def _row(case: CaseCalibration, keys: list[str]) -> dict[str, Cell]:
    texts = {"case": f"  {shortened(plain(case.place.case), _LONGEST_CASE)}"}
    if case.call_s is not None and case.noise is not None and case.detectable is not None:
        noise, limits = case.noise, case.detectable
        texts |= {
            "call": units.duration(case.call_s),
            "within": units.share(noise.within),
            "between": _between(noise),
            "alike": f"{noise.autocorrelation:+.1f}" if noise.drifts else "no",
            **{f"pairs{look}": _slowdown(effect) for look, effect in limits.by_pairs.items()},
            **{f"runs{new}": _slowdown(effect) for new, effect in limits.by_runs.items()},
        }
    return {key: Cell(texts.get(key, _UNKNOWN)) for key in keys}


def _between(noise: Noise) -> str:
    return units.share(noise.between) if noise.between else f"0 (to {units.share(noise.between_at_most)})"


def _legend(found: Calibration) -> Iterator[str]:
    noises = [case.noise for case in found.cases if case.noise is not None]
    if noises:
        yield (
            "stdev: of the rounds within a process, and between processes without what their rounds explain"
            + ("; 0 (to x): cannot be told from that, at most x" if any(not n.between for n in noises) else "")
        )
        yield (
            "finds: the smallest slowdown that so many pairs of sdbatch ab, or runs, tell from chance in 80 % of jobs; "
            f"below {units.share(found.config.tolerance_of(''))} none is called regressed"
        )
        fewest = min(noises, key=lambda noise: noise.processes)
        yield f"{fewest.processes} processes tell a stdev to within a factor of {fewest.known_within:.1f} (95 %)"
    if any(noise.drifts for noise in noises):
        yield (
            "neighbours alike: autocorrelation of processes after each other; the machine drifts, which pairs of "
            "neighbours see less of than stored runs"
        )
    for case in found.cases:
        if case.noise is None:
            yield f"{plain(case.name)}: {plain(case.reason)}"


def calibration_data(found: Calibration, *, asked: int, status: int) -> dict[str, Any]:
    """Return *found* and the exit *status* as JSON has them: shares of 1, seconds, stdevs of ln s; unknown is null."""
    return {
        "schema": SCHEMA,
        "exit_status": status,
        "processes": {"asked": asked, "whole": sum(not run.interrupted for run in found.runs), "ran": len(found.runs)},
        "stored_runs": STORED_RUNS,
        "answer": list(answer(found, asked=asked)),
        "cases": [_case(case) for case in found.cases],
    }


def _case(case: CaseCalibration) -> dict[str, Any]:
    noise, limits = case.noise, case.detectable
    return {
        "name": case.name,
        "reason": case.reason or None,
        "call_s": case.call_s,
        "processes": None if noise is None else noise.processes,
        "stdev_within": None if noise is None else noise.within,
        "stdev_between": None if noise is None else noise.between,
        "stdev_between_at_most": None if noise is None else noise.between_at_most,
        "stdev_of_run": None if noise is None else noise.run,
        "stdev_of_pair": None if noise is None else noise.pair,
        "autocorrelation": None if noise is None else noise.autocorrelation,
        "drifts": None if noise is None else noise.drifts,
        "finds_by_pairs": None if limits is None else {str(n): effect for n, effect in limits.by_pairs.items()},
        "finds_by_new_runs": None if limits is None else {str(n): effect for n, effect in limits.by_runs.items()},
        "finds_in_a_job": None if limits is None else limits.in_a_job,
        "found": None if limits is None else {str(e): chance for e, chance in limits.chances.items()},
    }
