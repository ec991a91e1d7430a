"""One form for reports and files: encoded records are plain, finite, and come back as they were."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import (
    Compilation,
    Derived,
    Environment,
    MemoryRound,
    Outcome,
    Reading,
    Record,
    Round,
    Run,
    StopReason,
    Weights,
)
from pytest_sdbatch.storage.codec import StoredRecord, decode_header, decode_record, encode_header, encode_record
from pytest_sdbatch.storage.plain import parse_as_written

SECONDS = st.floats(min_value=0, max_value=1e5)
BYTES = st.none() | st.integers(min_value=0, max_value=2**50)
TEXT = st.text(max_size=8)
READINGS = st.builds(Reading, value=st.none() | SECONDS, reason=st.none() | TEXT)
FACTS = st.dictionaries(
    TEXT, st.none() | TEXT | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9), max_size=3
)
SIZES = st.integers(1, 10**6)
CASES = st.builds(
    Case,
    model=st.none() | TEXT,
    weights=st.sampled_from(["random", "trained", "own"]),
    weights_seed=st.integers(0, 2**40),
    dtype=TEXT,
    device=TEXT,
    variant=TEXT,
    height=SIZES,
    width=SIZES,
    steps=SIZES,
    guidance=st.none() | SECONDS,
    output_type=TEXT,
    batch_size=SIZES,
    batch_count=SIZES,
)
ROUNDS = st.builds(
    Round,
    wall_s=SECONDS,
    cpu_s=SECONDS,
    call_s=st.lists(SECONDS, max_size=3).map(tuple),
    stage_s=st.none() | st.dictionaries(TEXT, SECONDS, min_size=1, max_size=3),
    peak_allocated_bytes=BYTES,
    peak_reserved_bytes=BYTES,
    host_peak_bytes=BYTES,
    energy_joules=st.none() | SECONDS,
    machine_cpu_s=st.none() | SECONDS,
    run_delay_s=st.none() | SECONDS,
    sw_power_cap_s=st.none() | SECONDS,
    sw_thermal_s=st.none() | SECONDS,
    hw_thermal_s=st.none() | SECONDS,
    hw_power_brake_s=st.none() | SECONDS,
    sm_clock_mhz=BYTES,
    temperature_celsius=BYTES,
)
FIGURES = st.builds(Reading, value=st.none() | st.integers(0, 2**40), reason=st.none() | TEXT)
MEMORY_ROUNDS = st.lists(st.tuples(SECONDS, st.integers(0, 2**40)), max_size=4).flatmap(
    lambda points: st.builds(
        MemoryRound,
        scope=st.sampled_from(["device", "process"]),
        before_context=FIGURES,
        context=FIGURES,
        before_load=FIGURES,
        loaded=FIGURES,
        peak=FIGURES,
        after=FIGURES,
        time_s=st.just(tuple(time_s for time_s, _ in points)),
        used_bytes=st.just(tuple(used for _, used in points)),
        energy_updates=BYTES,
        mark=st.none() | TEXT,
        reserved_bytes=BYTES,
        unreleasable_bytes=BYTES,
    )
)
RECORDS = st.builds(
    Record,
    test=TEXT,
    case=CASES,
    outcome=st.sampled_from(Outcome),
    reason=st.none() | TEXT,
    test_outcome=st.sampled_from(["passed", "failed", "skipped"]),
    rounds=st.lists(ROUNDS, max_size=4).map(tuple),
    warmup_s=st.lists(SECONDS, max_size=3).map(tuple),
    cold_start_s=READINGS,
    load_s=READINGS,
    model_bytes=st.builds(Reading, value=st.none() | st.integers(0, 2**40), reason=st.none() | TEXT),
    memory_source=st.sampled_from([None, "peak_allocated_bytes", "peak_reserved_bytes", "host_peak_bytes"]),
    memory_round=st.none() | MEMORY_ROUNDS,
    memory_round_reason=st.none() | TEXT,
    energy_reason=st.none() | TEXT,
    unread=st.none() | st.dictionaries(TEXT, TEXT, min_size=1, max_size=2),
    process_bytes=FIGURES,
    process_source=st.none() | TEXT,
    foreign_processes=BYTES,
    compilation=st.none()
    | st.builds(Compilation, seconds=SECONDS, graphs=st.integers(0, 9), recompiles_in_rounds=st.integers(0, 9)),
    stopped=st.none() | st.sampled_from(StopReason),
    stages=st.none() | TEXT,
    output_check=TEXT,
    tracer=st.none() | TEXT,
    parallel=st.integers(1, 64),
    contention=st.none() | TEXT,
    weights=st.builds(Weights, kind=TEXT, seed=st.none() | st.integers(0, 9), fill=st.none() | TEXT),
    derived=st.builds(Derived, denoiser_batch=BYTES, vae_slicing=st.none() | st.booleans(), scheduler=st.none() | TEXT),
)


def in_ns(record: Record) -> Record:
    """Return *record* with every duration rounded to whole nanoseconds, on its own and without the codec."""

    def ns(value: float) -> float:
        return round(value * 1e9) / 1e9

    def maybe(value: float | None) -> float | None:
        return None if value is None else ns(value)

    def reading(old: Reading) -> Reading:
        return old if old.value is None else replace(old, value=ns(old.value))

    rounds = tuple(
        replace(
            r,
            wall_s=ns(r.wall_s),
            cpu_s=ns(r.cpu_s),
            call_s=tuple(map(ns, r.call_s)),
            stage_s=None if r.stage_s is None else {name: ns(s) for name, s in r.stage_s.items()},
            energy_joules=None if r.energy_joules is None else round(r.energy_joules * 1e3) / 1e3,
            machine_cpu_s=maybe(r.machine_cpu_s),
            run_delay_s=maybe(r.run_delay_s),
            sw_power_cap_s=maybe(r.sw_power_cap_s),
            sw_thermal_s=maybe(r.sw_thermal_s),
            hw_thermal_s=maybe(r.hw_thermal_s),
            hw_power_brake_s=maybe(r.hw_power_brake_s),
        )
        for r in record.rounds
    )
    made = record.compilation
    return replace(
        record,
        rounds=rounds,
        warmup_s=tuple(map(ns, record.warmup_s)),
        cold_start_s=reading(record.cold_start_s),
        load_s=reading(record.load_s),
        compilation=None if made is None else replace(made, seconds=ns(made.seconds)),
    )


@settings(max_examples=100, deadline=None)
@given(record=RECORDS)
def test_a_record_comes_back_as_it_was_to_the_nanosecond(record: Record) -> None:
    """Decoding what was encoded, directly or by way of JSON, gives the record with whole nanoseconds."""
    encoded = encode_record(record)

    assert decode_record(encoded) == in_ns(record)
    assert decode_record(json.loads(json.dumps(encoded))) == in_ns(record)
    for before, after in zip(record.rounds, decode_record(encoded).rounds, strict=True):
        assert after.wall_s == pytest.approx(before.wall_s, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(record=RECORDS)
def test_encoding_again_changes_nothing(record: Record) -> None:
    """A stored record that is read and stored again is the same text."""
    once = encode_record(record)

    assert encode_record(decode_record(once)) == once


@settings(max_examples=100, deadline=None)
@given(record=RECORDS)
def test_the_stored_form_is_written_as_it_was_read(record: Record) -> None:
    """To the byte: so that a file is known to hold no key twice, and none that is unknown."""
    text = msgspec.json.encode(encode_record(record))

    assert parse_as_written(text, StoredRecord) is not None


@settings(max_examples=50, deadline=None)
@given(record=RECORDS)
def test_an_encoded_record_holds_plain_builtins_only(record: Record) -> None:
    """Exact builtin types all the way down, every number finite: what xdist and JUnit can carry."""

    def check(value: object) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
        if isinstance(value, dict):
            for key, item in value.items():
                assert type(key) is str
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)
        elif isinstance(value, float):
            assert math.isfinite(value)

    check(encode_record(record))


@settings(max_examples=50, deadline=None)
@given(facts=FACTS, unknown=st.dictionaries(TEXT, TEXT, max_size=2), interrupted=st.booleans())
def test_a_runs_header_comes_back_as_it_was(facts: Any, unknown: dict[str, str], interrupted: bool) -> None:
    """Environment, options and the rest of a run survive; the records travel apart."""
    environment = Environment(must_match=facts, drift={}, shown=facts, unknown=unknown)
    run = Run(id="a", started_at="b", environment=environment, options=unknown, records=(), interrupted=interrupted)

    assert decode_header(json.loads(json.dumps(encode_header(run)))) == run


def test_numpy_scalars_become_builtins(make_record: Callable[..., Record]) -> None:
    """A device that returns NumPy numbers does not bring them onto the wire."""
    number: Any = np.int64(9)
    record = make_record(0.5, model_bytes=Reading(value=number))
    record = replace(record, rounds=(replace(record.rounds[0], wall_s=np.float64(0.5), host_peak_bytes=number),))

    encoded = encode_record(record)

    assert type(encoded["model_bytes"]["value"]) is int
    assert [type(v) for v in encoded["rounds"]["host_peak_bytes"]] == [int]
    assert encoded["rounds"]["wall_ns"] == [500_000_000]


def test_text_that_is_no_unicode_is_made_sendable(make_record: Callable[..., Record]) -> None:
    """A model name with bytes of another encoding can be sent as UTF-8, which is what xdist does."""
    encoded = encode_record(make_record(0.5, model="caf\udce9"))

    assert encoded["case"]["model"].encode("utf-8") == b"caf\\udce9"


def test_an_encoded_record_passes_the_wire_of_xdist(make_record: Callable[..., Record]) -> None:
    """Execnet carries it between a worker and its controller, and it decodes to the same record there."""
    execnet = pytest.importorskip("execnet")
    record = make_record(0.5, 0.25, model="caf\u00e9")

    assert decode_record(execnet.loads(execnet.dumps(encode_record(record)))) == record


def test_a_figure_that_is_not_finite_is_not_encoded(make_record: Callable[..., Record]) -> None:
    """NaN outside the rounds is found as well, and its key is named."""
    with pytest.raises(RunFileError, match=r"record\.model_bytes\.value: nan is no number of bytes"):
        encode_record(make_record(0.5, model_bytes=Reading(value=math.nan)))


MEMORY_ROUND = MemoryRound(
    scope="device",
    before_context=Reading(value=0),
    context=Reading(value=2**29),
    before_load=Reading(value=2**29),
    loaded=Reading(value=2**32),
    peak=Reading(value=2**33),
    after=Reading(reason="the GPU is lost"),
    time_s=(0.0, 1.5),
    used_bytes=(2**32, 2**33),
    stage_peak_bytes={"denoiser": 2**32, "other": 2**31},
    limit_bytes=2**34,
)


def test_a_memory_round_of_an_older_file_has_no_stages(make_record: Callable[..., Record]) -> None:
    """What it lacks is unknown; what a newer one holds comes back as it was."""
    record = make_record(0.5, memory_round=MEMORY_ROUND)
    encoded = encode_record(record)
    older = json.loads(json.dumps(encoded))
    for name in ("stage_peak_bytes", "limit_bytes"):
        del older["memory_round"][name]

    assert decode_record(json.loads(json.dumps(encoded))).memory_round == MEMORY_ROUND
    assert decode_record(older).memory_round == replace(MEMORY_ROUND, stage_peak_bytes=None, limit_bytes=None)


def changed(value: dict[str, Any], path: str, new: object) -> dict[str, Any]:
    """Return a copy of *value* with *new* at the dotted *path*."""
    copy: dict[str, Any] = json.loads(json.dumps(value))
    *folders, last = path.split(".")
    place = copy
    for name in folders:
        place = place[name]
    place[last] = new
    return copy


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        ("surprise", 1, r"record\.surprise: unknown key"),
        ("warmup_s", [1.0], r"record\.warmup_s: unknown key"),
        ("case.colour", "red", r"record\.case\.colour: unknown key"),
        ("rounds.ipc", [1], r"record\.rounds\.ipc: unknown key"),
        ("cold_start_ns.note", "x", r"record\.cold_start_ns\.note: unknown key"),
        ("case.steps", "4", r"record\.case\.steps: Expected `int`, got `str`"),
        ("case.steps", 0, r"record\.case\.steps: 0 is less than 1"),
        ("parallel", 0, r"record\.parallel: 0 is less than 1"),
        ("outcome", "fine", r"record\.outcome: Invalid enum value 'fine'"),
        ("test_outcome", "xfailed", r"record\.test_outcome: 'xfailed'"),
        ("rounds.wall_ns", [0.5, 0.5], r"record\.rounds\.wall_ns\[0\]: Expected `int`, got `float`"),
        ("rounds.wall_ns", [-1, 1], r"rounds\.wall_ns\[0\]: Expected `int` >= 0"),
        ("rounds.cpu_ns", [1], r"record\.rounds\.cpu_ns: 1 entries for 2 rounds"),
        ("rounds.energy_mj", [1], r"record\.rounds\.energy_mj: 1 entries for 2 rounds"),
        ("rounds.sw_thermal_ns", [1, -1], r"record\.rounds\.sw_thermal_ns\[1\]: Expected `int` >= 0"),
        ("rounds.sm_clock_mhz", ["1", "2"], r"record\.rounds\.sm_clock_mhz\[0\]: Expected `int \| null`, got `str`"),
        ("memory_round.used_bytes", [1], r"record\.memory_round\.used_bytes: 1 entries for 2 times"),
        ("memory_round.used_bytes", [1, -1], r"record\.memory_round\.used_bytes: -1 is below 0"),
        ("memory_round.stage_peak_bytes", {"vae": -1}, r"record\.memory_round\.stage_peak_bytes: -1 is below 0"),
        ("memory_round.peek", {}, r"record\.memory_round\.peek: unknown key"),
        ("memory_round.peak", 7, r"record\.memory_round\.peak: Expected `object`, got `int`"),
        ("rounds.stages", {"vae": [1]}, r"record\.rounds\.stages\.vae: 1 entries for 2 rounds"),
        ("warmup_ns", [-1], "negative time before the rounds"),
        ("load_ns", {"value": -1}, "negative time before the rounds"),
        ("rounds", None, None),
    ],
)
def test_a_damaged_record_is_refused_with_its_key(
    make_record: Callable[..., Record], path: str, new: object, message: str | None
) -> None:
    """Unknown keys, wrong types, impossible values and columns that do not fit name the key path."""
    damaged = changed(encode_record(make_record(0.5, 0.25, memory_round=MEMORY_ROUND)), path, new)

    if message is None:  # no rounds is no damage: the control of this test
        assert decode_record(damaged).rounds == ()
        return
    with pytest.raises(RunFileError, match=message):
        decode_record(damaged)


@pytest.mark.parametrize("key", ["test", "case", "outcome", "warmup_ns", "load_ns"])
def test_a_missing_key_is_named(make_record: Callable[..., Record], key: str) -> None:
    """What must be there is asked for by name."""
    encoded = encode_record(make_record(0.5))
    del encoded[key]

    with pytest.raises(RunFileError, match=rf"^record\.{key}: missing"):
        decode_record(encoded)


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_a_record_that_is_no_object_is_refused(value: object) -> None:
    """Any JSON value may stand where a record should."""
    with pytest.raises(RunFileError, match="Expected `object`"):
        decode_record(value)
    with pytest.raises(RunFileError, match="run"):
        decode_header(value)


@pytest.mark.parametrize("name", ["limit_bytes", "reserved_bytes", "unreleasable_bytes", "address_space_bytes"])
def test_memory_below_0_is_neither_written_nor_read(make_record: Callable[..., Record], name: str) -> None:
    """A prediction would be made of it."""
    encoded = encode_record(make_record(0.5, memory_round=MEMORY_ROUND))
    encoded["memory_round"][name] = -1

    with pytest.raises(RunFileError, match=rf"record\.memory_round\.{name}: -1 is below 0"):
        decode_record(encoded)
    with pytest.raises(RunFileError, match=rf"record\.memory_round\.{name}: -1 is below 0"):
        encode_record(make_record(0.5, memory_round=replace(MEMORY_ROUND, **cast("Any", {name: -1}))))
