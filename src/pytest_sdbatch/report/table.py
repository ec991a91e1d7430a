"""From records to rows of numbers, and from rows to cells of text. Knows nothing of where they are shown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from types import MappingProxyType

from pytest_sdbatch import units
from pytest_sdbatch.analysis.location import Interval
from pytest_sdbatch.nouns import GENERATION, TRAINING, Nouns
from pytest_sdbatch.records import Outcome, Record, Round
from pytest_sdbatch.report.layout import UNKNOWN, Column
from pytest_sdbatch.report.row_notes import counted_inside, notes_of, peak_bytes
from pytest_sdbatch.report.several import BETWEEN_RUNS, times_of
from pytest_sdbatch.report.throughput import throughput

PHASES = ("forward", "backward", "optimizer")  # of a training step
NOTHING_KEPT: Mapping[tuple[str, str], str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one record. A figure that is not known is None, and a note says why."""

    test: str  # node id without the parameters
    group: str  # Case.group_id
    case: str  # Case.id
    model: str | None  # Case.model
    batch_size: int
    batch_count: int
    frames: int | None = None  # Case.frames; a video counts as one image
    nouns: Nouns = GENERATION  # Case.nouns
    outcome: Outcome
    test_outcome: str
    rounds: int
    call_s: float | None = None  # seconds per call
    call_interval: Interval | None = None  # 95 %, in seconds per call: within the run, or between several
    runs: int = 1
    images_per_s: float | None = None
    s_per_image: float | None = None
    all_s: float | None = None  # seconds for all images, where every row splits the same number of them
    cold_start_s: float | None = None  # of the first call of its shape in this process
    against_one_ratio: float | None = None  # images/s over those of batch size 1
    peak_bytes: int | None = None
    device_bytes: int | None = None  # the most that all processes held of the device, in the memory round
    joules_per_image: float | None = None
    sm_clock_mhz: float | None = None  # mean over the rounds, as each ended
    power_cap_ratio: float | None = None  # share of the time in which the power limit held the clocks down
    hottest_celsius: int | None = None
    stage_shares: Mapping[str, float] | None = None  # of the wall time, by stage
    looked_at: bool = True  # whether the outputs were checked
    unreliable: bool = False  # whether the rounds differ too much, or something else used the machine
    kept: str = ""  # from which interrupted run the record was taken over, in words; "": measured by this one
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images of a round; videos where the case has frames."""
        return self.batch_size * self.batch_count

    @property
    def split(self) -> str:
        """Batch size x batch count, as in ``4x8``."""
        return f"{self.batch_size}x{self.batch_count}"

    @property
    def rate_text(self) -> str | None:
        """Throughput with its unit: ``3.21 images/s``, of videos ``51.4 frames/s``; None where it is not known."""
        return None if self.images_per_s is None else throughput(self.images_per_s, self.frames, self.nouns)

    @property
    def counts(self) -> bool:
        """Whether the figures may answer a question: a sound measurement in a test that nothing but the gate failed."""
        return self.outcome is Outcome.OK and self.test_outcome in _SOUND and self.call_s is not None

    @property
    def answers(self) -> bool:
        """Whether the row may be recommended: it counts, and what it made was looked at."""
        return self.counts and self.looked_at

    @property
    def outcome_text(self) -> str:
        """The outcome, or what pytest said of a test whose measurement was sound."""
        if self.outcome is Outcome.OK and self.test_outcome == "regressed":
            return "regressed"
        spoiled = self.outcome.has_numbers and self.test_outcome != "passed"
        return f"test {self.test_outcome}" if spoiled else self.outcome.value


_SOUND = ("passed", "regressed")  # of a test whose figures answer
COLUMNS = (
    Column("case", "case", left=True),
    Column("call", "per call"),
    Column("spread", "within\nthis run", drop=2),
    Column("rate", "images/s"),
    Column("image", "per image", drop=4),
    Column("all", "all"),
    Column("against", "against\nb1", drop=3),
    Column("peak", "peak\nmemory", drop=1),
    Column("device", "on the\ndevice", drop=7),
    Column("stages", "text/denoiser/\nVAE in %", drop=5),
    Column("cold", "cold\nstart", drop=6),
    Column("energy", "energy\nper image", drop=6),
    Column("clock", "SM\nclock", drop=8),
    Column("heat", "hottest", drop=9),
    Column("cap", "power\nlimited", drop=10),
    Column("outcome", "outcome", left=True),
)
# Columns that are left out where no row has the figure, and the figure.
_OPTIONAL = {
    "all": "all_s",
    "device": "device_bytes",
    "cold": "cold_start_s",
    "energy": "joules_per_image",
    "clock": "sm_clock_mhz",
    "heat": "hottest_celsius",
    "cap": "power_cap_ratio",
}


def columns(table: Sequence[Row]) -> tuple[Column, ...]:
    """Return the COLUMNS that *table* has figures for, as they are headed there.

    Videos are told in frames/s, which can be compared over lengths. Among images their cells say so themselves; so do
    those of training among generation.
    """
    empty = {key for key, figure in _OPTIONAL.items() if all(getattr(row, figure) is None for row in table)}
    of_videos = bool(table) and all(row.frames is not None for row in table)
    videos = {"rate": "throughput", "image": "per video", "energy": "energy\nper video"}
    headers = videos if of_videos else _headers({row.nouns for row in table})
    if any(row.runs > 1 for row in table):
        headers = headers | {"spread": BETWEEN_RUNS}
    if "all" not in empty:
        headers = headers | {"all": f"all {table[0].images}\n{'videos' if of_videos else 'images'}"}
    shown = (column for column in COLUMNS if column.key not in empty)
    return tuple(replace(column, header=headers.get(column.key, column.header)) for column in shown)


def _headers(kinds: Set[Nouns]) -> dict[str, str]:
    """Return the headers that differ from those of generation, for rows of these kinds."""
    if TRAINING not in kinds:
        return {}
    both = {"call": "per call\nor step", "rate": "throughput", "stages": "stages\nin %"}
    one = TRAINING
    alone = {
        "call": one.per_call,
        "rate": one.rate,
        "image": f"per {one.image}",
        "stages": "forward/backward/\noptimizer in %",
        "energy": f"energy\nper {one.image}",
    }
    return alone if len(kinds) == 1 else both


def rows(records: Iterable[Record], kept: Mapping[tuple[str, str], str] = NOTHING_KEPT) -> tuple[Row, ...]:
    """Return one row per record: tests and groups in the order of their first record, splits ascending within them.

    Args:
        records: of one run.
        kept: by :attr:`Record.key`, from which interrupted run a record was taken over, in words.

    """
    made = [_row(record, kept.get(record.key, "")) for record in records]
    tests = _places(row.test for row in made)
    groups = _places(row.group for row in made)
    made.sort(key=lambda row: (tests[row.test], groups[row.group], row.batch_size, row.batch_count))
    references = _references(made)
    generate = not any(row.nouns == TRAINING for row in made)
    split_up = generate and len({row.images for row in made}) == 1 and len({row.batch_count for row in made}) > 1
    return tuple(
        replace(
            row,
            against_one_ratio=_against_one(row, references),
            all_s=row.call_s * row.batch_count if split_up and row.call_s is not None else None,
        )
        for row in made
    )


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def numbered_notes(table: Iterable[Row]) -> dict[str, int]:
    """Return every note of *table* with its number, from 1; rows with the same note share it."""
    notes = dict.fromkeys(note for row in table for note in row.notes)
    return {note: number for number, note in enumerate(notes, start=1)}


def cells(row: Row, notes: Mapping[str, int], *, mixed: bool = False) -> dict[str, str]:
    """Return the text of each column of *row*; the outcome carries the numbers of its *notes*.

    Args:
        row: of a table.
        notes: their numbers.
        mixed: whether the table has rows of training and of generation, whose units differ.

    """
    numbers = ",".join(map(str, sorted(notes[note] for note in row.notes)))
    rate = row.rate_text or UNKNOWN
    return {
        "case": f"b{row.split}",
        "call": UNKNOWN if row.call_s is None else units.duration(row.call_s),
        "spread": UNKNOWN if row.call_interval is None else units.spread(row.call_interval.half_width_ratio),
        "rate": rate if row.frames is not None or mixed else rate.removesuffix(f" {row.nouns.rate}"),
        "image": UNKNOWN if row.s_per_image is None else units.duration(row.s_per_image),
        "all": UNKNOWN if row.all_s is None else units.duration(row.all_s),
        "cold": UNKNOWN if row.cold_start_s is None else units.duration(row.cold_start_s),
        "against": UNKNOWN if row.against_one_ratio is None else units.ratio(row.against_one_ratio),
        "peak": UNKNOWN if row.peak_bytes is None else units.memory(row.peak_bytes),
        "device": UNKNOWN if row.device_bytes is None else units.memory(row.device_bytes),
        "energy": UNKNOWN if row.joules_per_image is None else units.energy(row.joules_per_image),
        "clock": UNKNOWN if row.sm_clock_mhz is None else f"{units.count(round(row.sm_clock_mhz))} MHz",
        "heat": UNKNOWN if row.hottest_celsius is None else f"{row.hottest_celsius} C",
        "cap": UNKNOWN if row.power_cap_ratio is None else units.share(row.power_cap_ratio),
        "stages": UNKNOWN if row.stage_shares is None else _stages(row.stage_shares, row.nouns),
        "outcome": f"{row.outcome_text} ({numbers})" if numbers else row.outcome_text,
    }


def _row(record: Record, kept: str) -> Row:
    case, notes = record.case, tuple(notes_of(record))
    if kept:
        notes = (*notes, kept)
    bare = Row(
        test=record.test,
        group=case.group_id,
        case=case.id,
        model=case.model,
        batch_size=case.batch_size,
        batch_count=case.batch_count,
        frames=case.frames,
        nouns=case.nouns,
        outcome=record.outcome,
        test_outcome=record.test_outcome,
        rounds=len(record.rounds),
        looked_at=record.output_check == "checked",
        kept=kept,
        notes=notes,
    )
    if not record.outcome.has_numbers or not record.rounds:
        return bare
    try:
        times = times_of(record)
    except (ValueError, OverflowError) as error:  # a file from elsewhere, or a clock that stood still
        return replace(bare, notes=(*notes, f"times cannot be used: {error}"))
    crowded = record.parallel > 1 or bool(record.foreign_processes) or record.contention is not None
    if times.restless and record.contention is None:
        notes = (*notes, "its rounds differ a lot: was the machine busy? Do not rely on this row")
    return replace(
        bare,
        notes=notes,
        unreliable=times.restless or crowded,
        call_s=times.call_s,
        call_interval=times.interval,
        runs=times.runs,
        images_per_s=case.images / case.calls / times.call_s,
        s_per_image=times.call_s * case.calls / case.images,
        cold_start_s=None if counted_inside(record) else record.cold_start_s.value,
        peak_bytes=peak_bytes(record),
        device_bytes=record.peak_device_bytes,
        joules_per_image=record.joules_per_image,
        sm_clock_mhz=_mean([reading.sm_clock_mhz for reading in record.rounds]),
        power_cap_ratio=_power_cap_ratio(record.rounds),
        hottest_celsius=max((t for r in record.rounds if (t := r.temperature_celsius) is not None), default=None),
        stage_shares=_stage_shares(record.rounds),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _power_cap_ratio(rounds: Sequence[Round]) -> float | None:
    """Return the share of the wall time of the rounds that know it."""
    known = [(reading.sw_power_cap_s, reading.wall_s) for reading in rounds if reading.sw_power_cap_s is not None]
    wall_s = math.fsum(wall for _, wall in known)
    return math.fsum(capped for capped, _ in known) / wall_s if wall_s > 0 else None


def _stage_shares(rounds: Sequence[Round]) -> Mapping[str, float] | None:
    """Return each stage's share of the wall time of all rounds; None unless every round has the split."""
    splits = [reading.stage_s for reading in rounds if reading.stage_s]
    if len(splits) < len(rounds):
        return None
    wall_s = math.fsum(reading.wall_s for reading in rounds)
    names = dict.fromkeys(itertools.chain.from_iterable(splits))
    return {name: math.fsum([split.get(name, 0.0) for split in splits]) / wall_s for name in names}


def _stages(shares: Mapping[str, float], nouns: Nouns) -> str:
    """Return the percent of text encoders, denoiser and VAE: ``2/90/6``; of training, of its phases."""
    parts = []
    for prefix in PHASES if nouns == TRAINING else ("text_encoder", "denoiser", "vae_"):
        found = [part for name, part in shares.items() if name.startswith(prefix)]
        parts.append(units.whole_percent(math.fsum(found)) if found else UNKNOWN)
    return "/".join(parts)


def _references(table: Iterable[Row]) -> dict[tuple[str, str, str], dict[int, float]]:
    """Return the images/s of batch size 1 by batch count, of each test and group in each run."""
    found: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in table:
        if row.batch_size == 1 and row.outcome is Outcome.OK and row.images_per_s is not None:
            found.setdefault((row.test, row.group, row.kept), {})[row.batch_count] = row.images_per_s
    return found


def _against_one(row: Row, references: Mapping[tuple[str, str, str], Mapping[int, float]]) -> float | None:
    """Return images/s against batch size 1 of the same run and batch count, else of the smallest count there is."""
    by_count = references.get((row.test, row.group, row.kept))
    if not by_count or row.images_per_s is None:
        return None
    return row.images_per_s / by_count.get(row.batch_count, by_count[min(by_count)])
