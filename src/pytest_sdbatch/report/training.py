"""What training costs: a table of what fits, how fast it is and how long an epoch takes, and the sentence below it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import MEMORY, growths
from pytest_sdbatch.grid.training import STEP, Training
from pytest_sdbatch.nouns import TRAINING
from pytest_sdbatch.records import Record
from pytest_sdbatch.report.capacity import predicted
from pytest_sdbatch.report.layout import UNKNOWN, Column
from pytest_sdbatch.report.measured import doubt
from pytest_sdbatch.report.several import BETWEEN_RUNS
from pytest_sdbatch.report.table import NOTHING_KEPT, PHASES, Row, numbered_notes, rows
from pytest_sdbatch.report.throughput import throughput

COLUMNS = (
    Column("batch", "batch", left=True),
    Column("accumulation", "accumu-\nlation"),
    Column("processes", "pro-\ncesses", drop=5),
    Column("effective", "effective\nbatch"),
    Column("step", TRAINING.per_call),
    Column("spread", "within\nthis run", drop=3),
    Column("rate", TRAINING.rate),
    Column("peak", "peak\nmemory"),
    Column("phases", "peak of forward/\nbackward/optimizer", drop=4),
    Column("fits", "fits"),
    Column("batches", "batches\nper epoch", drop=1),
    Column("epoch", "epoch"),
    Column("outcome", "outcome", left=True),
)
_TIMES = 4  # as often as before: what is predicted of accumulating


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """The figures of one training case; what is not known is None."""

    row: Row
    record: Record
    accumulation: int = 1
    processes: int = 1
    batches: int | None = None  # of an epoch, in each process
    epoch_s: float | None = None
    phase_bytes: tuple[int, ...] | None = None  # peaks of forward, backward and optimizer
    fits: str = UNKNOWN

    @property
    def how(self) -> Training:
        """How it trains."""
        return self.record.case.training or Training()

    @property
    def curve(self) -> str:
        """The id without the split and the accumulation."""
        return replace(self.record.case, training=replace(self.how, accumulation=1)).group_id

    @property
    def effective(self) -> int:
        """Examples of an optimizer step."""
        return self.row.batch_size * self.accumulation * self.processes


def is_training(record: Record) -> bool:
    """Return whether *record* is of a case that trains."""
    return record.case.training is not None


def training_rows(
    records: Iterable[Record], kept: Mapping[tuple[str, str], str] = NOTHING_KEPT
) -> tuple[TrainingRow, ...]:
    """Return a row per record, in the order of the other table; see :func:`pytest_sdbatch.report.table.rows`."""
    by_key = {record.key: record for record in records}
    return tuple(_row(row, by_key[row.test, row.case]) for row in rows(by_key.values(), kept))


def training_columns(table: Sequence[TrainingRow]) -> tuple[Column, ...]:
    """Return the COLUMNS that tell anything of *table*."""
    empty = set()
    for key, figure in (("batches", "batches"), ("epoch", "epoch_s"), ("phases", "phase_bytes")):
        if all(getattr(one, figure) is None for one in table):
            empty.add(key)
    for key in ("accumulation", "processes"):
        if all(getattr(one, key) == 1 for one in table):
            empty.add(key)
    if {"accumulation", "processes"} <= empty:
        empty.add("effective")
    several = any(one.row.runs > 1 for one in table)
    return tuple(
        replace(column, header=BETWEEN_RUNS) if several and column.key == "spread" else column
        for column in COLUMNS
        if column.key not in empty
    )


def training_cells(one: TrainingRow, notes: Mapping[str, int]) -> dict[str, str]:
    """Return the text of each column; the outcome carries the numbers of the row's *notes*."""
    row = one.row
    numbers = ",".join(map(str, sorted(notes[note] for note in row.notes)))
    return {
        "batch": str(row.batch_size),
        "accumulation": str(one.accumulation),
        "processes": str(one.processes),
        "effective": units.count(one.effective),
        "step": UNKNOWN if row.call_s is None else units.duration(row.call_s),
        "spread": UNKNOWN if row.call_interval is None else units.spread(row.call_interval.half_width_ratio),
        "rate": UNKNOWN if row.images_per_s is None else units.number(row.images_per_s),
        "peak": UNKNOWN if row.peak_bytes is None else units.memory(row.peak_bytes),
        "phases": UNKNOWN if one.phase_bytes is None else "/".join(map(units.memory, one.phase_bytes)),
        "fits": one.fits,
        "batches": UNKNOWN if one.batches is None else units.count(one.batches),
        "epoch": UNKNOWN if one.epoch_s is None else units.duration(one.epoch_s),
        "outcome": f"{row.outcome_text} ({numbers})" if numbers else row.outcome_text,
    }


def training_notes(table: Iterable[TrainingRow]) -> dict[str, int]:
    """Return every note of *table* with its number."""
    return numbered_notes(one.row for one in table)


def training_sentences(records: Iterable[Record], *, price_per_s: float | None = None) -> list[str]:
    """Return what the figures answer, a sentence per test and curve: what fits, and what accumulation buys.

    Args:
        records: of training.
        price_per_s: dollars of the device, by which another sentence tells the cheapest epoch; None: not known.

    """
    table = training_rows(records)
    curves: dict[tuple[str, str], list[TrainingRow]] = {}
    for one in table:
        curves.setdefault((one.row.test, one.curve), []).append(one)
    found = [said for members in curves.values() if (said := _sentence(members))]
    if price_per_s is not None:
        found += [said for members in curves.values() if (said := _cost(members, price_per_s))]
    if any(one.row.counts and one.batches is None for one in table):
        found.append("how long an epoch is follows from the data: --sd-images=N, or -o sd_train_data=FOLDER")
    return found


def epoch_seconds(record: Record, row: Row) -> float | None:
    """Return the seconds of an epoch of *record*, whose figures are *row*; None: it generates, or nobody knows."""
    batches, how = _batches(record), record.case.training
    if batches is None or how is None or row.call_s is None:
        return None
    return math.ceil(batches / how.accumulation) * row.call_s


def _batches(record: Record) -> int | None:
    """Return the batches of an epoch in each process; None: of data that nobody named."""
    known = record.trained is not None and record.trained.images is not None
    return record.case.batch_count if known or record.case.batch_count > 1 else None


def _row(row: Row, record: Record) -> TrainingRow:
    how = record.case.training
    assert how is not None
    peaks = (record.memory_round.stage_peak_bytes if record.memory_round is not None else None) or {}
    return TrainingRow(
        row=row,
        record=record,
        accumulation=how.accumulation,
        processes=how.processes,
        batches=_batches(record),
        epoch_s=epoch_seconds(record, row),
        phase_bytes=tuple(peaks[name] for name in PHASES) if set(PHASES) <= set(peaks) else None,
        fits=_fits(record),
    )


def _fits(record: Record) -> str:
    if record.outcome.did_not_fit:
        return "no"
    if record.outcome.has_numbers and record.rounds:
        return "measured"
    return "no, predicted" if record.predicted_not_to_fit else UNKNOWN


def _sentence(members: Sequence[TrainingRow]) -> str:
    """Return the sentence of one curve over the batch size, at every accumulation; empty where nothing of it counts."""
    sound = [one for one in members if one.row.counts and one.row.images_per_s is not None]
    if not sound:
        return ""
    least = min(one.accumulation for one in sound)
    curve = [one for one in members if one.accumulation == least]
    plain = [one for one in sound if one.accumulation == least]
    largest = max(plain, key=lambda one: one.row.batch_size)
    size = largest.row.batch_size
    said = f"{largest.curve}: batch size {size} is the largest measured that fits{_beyond(curve, size)}"
    fastest = max(plain, key=lambda one: (one.row.images_per_s or 0.0, -one.row.batch_size))
    if len(plain) > 1:
        said += f"; fastest is {fastest.row.batch_size} at {_rate(fastest.row.images_per_s or 0.0)}"
    said += doubt([one.row for one in sound])
    if largest.how.method == STEP:  # what it accumulates is its own matter
        return said
    more = [one for one in sound if one.row.batch_size == size and one.accumulation > least]
    return f"{said}; {_measured(largest, max(more, key=lambda one: one.accumulation)) if more else _predicted(largest)}"


def _cost(members: Sequence[TrainingRow], price_per_s: float) -> str:
    """Return what an epoch of one curve costs at the size where it costs least; of data nobody named, the examples."""
    sound = [one for one in members if one.row.counts and one.row.images_per_s]
    known = [(one.epoch_s * price_per_s, one) for one in sound if one.epoch_s is not None]
    what, costs = "an epoch costs", known
    if not known:
        what = "1,000 examples cost"
        costs = [(1000 / (one.row.images_per_s or 1.0) * price_per_s, one) for one in sound]
    if not costs:
        return ""
    least, one = min(costs, key=lambda cost: cost[0])
    accumulated = f" and {one.accumulation} batches accumulated" if one.accumulation > 1 else ""
    return f"{one.curve}: {what} least at batch size {one.row.batch_size}{accumulated}: ${units.number(least)}"


def _beyond(curve: Sequence[TrainingRow], size: int) -> str:
    """Return what is known of larger sizes: that one did not fit, or which one is predicted to."""
    ended = [one.row.batch_size for one in curve if one.row.batch_size > size and one.fits == "no"]
    if ended:
        return f" ({min(ended)} ran out of memory)"
    for growth in growths([one.record for one in curve]):
        if growth.measure != MEMORY:
            continue
        if not growth.fit.agreed:
            return f" (larger ones are not predicted: its memory does not grow evenly yet; measure {2 * size}, too)"
        if growth.limit_bytes is None:
            return ""
        end = growth.largest_batch(growth.limit_bytes)
        if end.estimate is not None and end.estimate > size and growth.fit.grows and (said := predicted(end, size)):
            return f" (predicted: {said} in the {units.memory(growth.limit_bytes)} there were)"
    return ""


def _measured(plain: TrainingRow, more: TrainingRow) -> str:
    """Return what accumulating bought: how fast it was, what it took, and what it costs in updates."""
    rate, without = more.row.images_per_s or 0.0, plain.row.images_per_s or 0.0
    said = (
        f"accumulating {more.accumulation} batches makes an effective batch of {units.count(more.effective)} at "
        f"{_rate(rate)} ({units.number(without)} at {units.count(plain.effective)})"
    )
    if more.row.peak_bytes is not None:
        said += f" in {units.memory(more.row.peak_bytes)}"
    return f"{said}, with {_fewer(more.accumulation / plain.accumulation)} updates"


def _predicted(one: TrainingRow) -> str:
    """Return what accumulating 4 times as many would buy, by the share of the optimizer in a step."""
    effective = _TIMES * one.effective
    said = (
        f"accumulating {_TIMES * one.accumulation} batches makes an effective batch of {units.count(effective)} in the "
        "same memory"
    )
    seconds, call_s = _optimizer_s(one.record), one.row.call_s
    if seconds is not None and call_s is not None:
        # The optimizer runs once for all of them; everything else is done again for each.
        rate = effective / (_TIMES * (call_s - seconds) + seconds)
        said += f", at {_rate(rate)} (predicted; {units.number(one.row.images_per_s or 0.0)} without)"
    return f"{said} and with {_fewer(_TIMES)} updates"


def _rate(per_s: float) -> str:
    return throughput(per_s, None, TRAINING)


def _fewer(times: float) -> str:
    return f"{times:g} times fewer"


def _optimizer_s(record: Record) -> float | None:
    """Return the seconds of the optimizer in a step, the mean over the rounds."""
    splits = [reading.stage_s for reading in record.rounds if reading.stage_s]
    if not splits or any("optimizer" not in split for split in splits):
        return None
    return math.fsum(split["optimizer"] for split in splits) / len(splits)
