"""Where the two sides of a comparison are read from."""

from __future__ import annotations

import copy
import functools
import json
import operator
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Outcome, Record, Round, Run
from pytest_sdbatch.storage.codec import encode_header, encode_record
from pytest_sdbatch.storage.plain import parse
from pytest_sdbatch.storage.run_file import MOST_BYTES, runs_of, write_run
from pytest_sdbatch.storage.sides import read_side_runs, read_sides, side_run, side_runs_of

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]
FROZEN = json.loads((Path(__file__).parent / "frozen" / "schema-1.json").read_bytes())
NAME = "benchmarks/test_x.py::test_text_to_image[tiny-sd-fp32-64x64-s4-b1x1]"


@pytest.fixture
def base(tmp_path: Path, make_run: MakeRun) -> Path:
    """Write one run of one case."""
    return write_run(tmp_path / "base.json", [make_run()])


@pytest.fixture
def new(tmp_path: Path, make_run: MakeRun) -> Path:
    """Write two runs of the same case."""
    return write_run(tmp_path / "new.json", [make_run(id="b"), make_run(id="c", interrupted=True)])


def test_every_run_of_every_file_counts(base: Path, new: Path) -> None:
    """Several runs in a file and several files a side are several runs; what was interrupted says so."""
    there, here = read_sides([base], [new])

    assert [run.id for run in there] == ["20261123T101500Z-1a2b"]
    assert [(run.id, run.interrupted) for run in here] == [("b", False), ("c", True)]
    found = there[0].cases[NAME]
    assert list(found.seconds) == [0.5, 0.25, 0.75]
    assert (found.state, found.place.case, found.place.group) == ("ok", "b1x1", "tiny-sd-fp32-64x64-s4")
    assert found.facts.must_match["threads"] == 2


@pytest.mark.parametrize(
    ("delays_s", "changes", "share"),
    [
        ((0.1, 0.05), {}, 0.15),
        ((0.1, None), {}, 0.2),  # of the time of which it is known
        ((None, None), {}, None),
        ((0.1, 0.05), {"parallel": 2}, None),  # workers are beside each other on both sides
    ],
)
def test_what_was_waited_for_a_core_is_known_where_it_was_read(
    make_record: MakeRecord,
    make_run: MakeRun,
    delays_s: tuple[float | None, ...],
    changes: dict[str, Any],
    share: float | None,
) -> None:
    """As a share of its times, however short of a mark."""
    rounds = tuple(Round(wall_s=0.5, cpu_s=0.4, call_s=(0.5,), run_delay_s=delay) for delay in delays_s)
    record = replace(make_record(0.5), rounds=rounds, **changes)
    run = make_run(records=(record,))

    (found,) = side_run(run, "run.json").cases.values()

    assert found.waited == (None if share is None else pytest.approx(share))


@pytest.mark.parametrize(
    ("fields", "state", "rounds"),
    [
        ({}, "ok", 1),
        ({"outcome": Outcome.THROTTLED}, "throttled", 1),
        ({"outcome": Outcome.INVALID_OUTPUT}, "invalid-output", 0),
        ({"test_outcome": "failed"}, "test failed", 1),
        ({"test_outcome": "skipped"}, "ok", 1),
        ({"test_outcome": "skipped", "rounds": ()}, "skipped", 0),
        ({"outcome": Outcome.OOM, "test_outcome": "skipped"}, "oom", 0),
        ({"rounds": ()}, "without rounds", 0),
    ],
)
def test_how_a_case_ended_is_one_word(
    tmp_path: Path, make_record: MakeRecord, make_run: MakeRun, fields: dict[str, Any], state: str, rounds: int
) -> None:
    """The outcome, or what became of the test behind a sound measurement; wrong output has no rounds."""
    path = write_run(tmp_path / "run.json", [make_run(make_record(0.5, **fields))])

    (found,) = read_side_runs(path)[0].cases.values()

    assert (found.state, len(found.seconds)) == (state, rounds)


def test_memory_is_taken_where_it_repeats(tmp_path: Path, make_record: MakeRecord, make_run: MakeRun) -> None:
    """The allocator's peak is; what is resident of a process depends on what ran before, and is left out."""
    peak = Round(wall_s=1.0, cpu_s=1.0, call_s=(1.0,), peak_allocated_bytes=2**30, host_peak_bytes=2**31)
    device = make_record(0.5, rounds=(peak, peak), memory_source="peak_allocated_bytes")
    host = make_record(0.5, rounds=(peak,), memory_source="host_peak_bytes", batch_size=4)
    path = write_run(tmp_path / "run.json", [make_run(device, host)])

    assert [list(found.peak_bytes) for found in read_side_runs(path)[0].cases.values()] == [[2**30, 2**30], []]


def test_a_run_is_never_compared_with_itself(base: Path, tmp_path: Path) -> None:
    """Neither as the same file nor as a copy, and not counted twice on a side."""
    copy = Path(shutil.copy(base, tmp_path / "copy.json"))
    for sides in (([base], [base]), ([base], [copy]), ([base, copy], [base])):
        with pytest.raises(RunFileError, match="a run is given twice"):
            read_sides(*sides)


def test_a_copied_file_of_pytest_benchmark_is_the_same_run(tmp_path: Path) -> None:
    """It has no id; its content is one."""
    text = json.dumps({"benchmarks": [{"fullname": "a", "stats": {"data": [1.0]}}]})
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for path in files:
        path.write_text(text)

    with pytest.raises(RunFileError, match=r"given twice: .*a.json and .*b.json"):
        read_sides(files[:1], files[1:])


def test_sides_without_a_case_in_common_are_refused(
    base: Path, tmp_path: Path, make_record: MakeRecord, make_run: MakeRun
) -> None:
    """Nothing compared is no success; an example of each side shows what does not match."""
    other = write_run(tmp_path / "other.json", [make_run(make_record(0.5, batch_size=4), id="b")])

    with pytest.raises(RunFileError, match="no case is on both sides") as caught:
        read_sides([base], [other])

    assert "b1x1" in caught.value.why
    assert "b4x1" in caught.value.why


def test_a_case_of_another_file_format_matches_by_its_node_id(base: Path, tmp_path: Path) -> None:
    """A file of pytest-benchmark beside one of ours: the ids are the same, the facts are not."""
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps({"benchmarks": [{"fullname": NAME, "stats": {"data": [1.0]}}]}))

    there, here = read_sides([base], [plain])

    assert set(there[0].cases) == set(here[0].cases) == {NAME}
    assert there[0].cases[NAME].facts != here[0].cases[NAME].facts


def changed(old: str, new: str) -> Callable[[str], str]:
    """Return a function that replaces the first *old* in a file's text."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "it is no JSON"),
        (lambda text: "", "it is empty"),
        (changed('"data":[0.5', '"data":[NaN'), r"benchmarks\[0\].stats.data.*not a finite number"),
        (changed('"data":[0.5', '"data":[1e999'), r"benchmarks\[0\].stats.data.*not a finite number"),
        (changed('"wall_ns":[500000000', '"wall_ns":["5"'), r"benchmarks\[0\].*wall_ns"),
        (changed('"wall_ns":[500000000', '"wall_ns":[-5'), r"benchmarks\[0\].*wall_ns.*0"),
        (changed('"outcome":"ok"', '"outcome":"ok","speed":3'), r"benchmarks\[0\].*speed: unknown key"),
        (changed('"schema":4', '"schema":99'), "sdbatch.schema: 99"),
        (changed('"outcome":"ok"', '"outcome":"ok","outcome":"ok"'), r"benchmarks\[0\].*outcome: appears twice"),
        (changed('"wall_ns":[500000000', '"wall_ns":[0'), "cannot be read"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(base: Path, new: Path, damage: Callable[[str], str], said: str) -> None:
    """On either side; nothing is compared from a file that cannot be believed."""
    base.write_text(damage(base.read_text()))

    for sides in (([base], [new]), ([new], [base])):
        with pytest.raises(RunFileError, match=said) as caught:
            read_sides(*sides)
        assert str(base) in caught.value.what


def test_a_round_without_time_is_no_measurement(tmp_path: Path, make_record: MakeRecord, make_run: MakeRun) -> None:
    """It has no logarithm, and the clock that gave it stood still."""
    path = write_run(tmp_path / "run.json", [make_run(make_record(0.5, 0.0, 0.5))])

    with pytest.raises(RunFileError, match=r"a round of 0\.0 s"):
        read_side_runs(path)


def test_links_and_large_files_are_not_read(base: Path, new: Path, tmp_path: Path) -> None:
    """What a pull request brings along cannot point elsewhere, nor fill the memory."""
    link, large = tmp_path / "link.json", tmp_path / "large.json"
    link.symlink_to(new)
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)

    for path, said in ((link, "symbolic link"), (large, "larger than 64 MiB"), (tmp_path / "none.json", "not exist")):
        with pytest.raises(RunFileError, match=f"{path.name}[^$]*") as caught:
            read_sides([base], [path])
        assert said in str(caught.value)


def keys_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value within *value*."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from keys_of(item, (*path, key))


def known(value: Any) -> Any:
    """Return *value* without the keys whose value is None, which may be left out."""
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items() if item is not None}
    return [known(item) for item in value] if isinstance(value, list) else value


def within(part: Any, whole: Any) -> bool:
    """Return whether *whole* has all that *part* has, and beside it only keys that *part* lacks."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(item, whole[key]) for key, item in part.items())
    return bool(part == whole)


def refusal(data: bytes) -> RunFileError | None:
    """Return why *data* cannot be read; None where it can."""
    try:
        side_runs_of(data, "damaged.json")
    except RunFileError as error:
        return error
    return None


DAMAGE = st.sampled_from(
    [
        None,
        True,
        False,
        -1,
        0,
        1,
        1.5,
        10**30,
        "x",
        "\ud800",
        "x\udfff",
        [],
        [None],
        ["\ud800"],
        {},
        {"\ud800": 1},
        {"x": 1},
    ]
)


@settings(max_examples=400)
@given(way=st.sampled_from(list(keys_of(FROZEN))), new=DAMAGE, how=st.sampled_from(["replace", "remove", "add"]))
def test_what_is_read_is_what_a_writer_writes(way: tuple[str | int, ...], new: object, how: str) -> None:
    """Whatever stands where in a file: one error names the file and can be printed, or it is written again as it is."""
    document = copy.deepcopy(FROZEN)
    holder = functools.reduce(operator.getitem, way[:-1], document)
    if how == "replace":
        holder[way[-1]] = new
    elif how == "remove":
        del holder[way[-1]]
    elif isinstance(holder[way[-1]], dict):
        holder[way[-1]]["another"] = new
    data = json.dumps(document).encode()

    refused = refusal(data)
    if refused is not None:
        assert refused.what.encode().startswith(b"damaged.json cannot be read: ")
        return
    if "sdbatch" not in document:  # a file of pytest-benchmark: only rounds are read
        return
    runs = runs_of(parse(data))
    for header, run in zip(document["sdbatch"]["runs"], runs, strict=True):
        assert within(known(header), encode_header(run))
    blocks = [entry["sdbatch"] for entry in document["benchmarks"]] + document["sdbatch"]["without_numbers"]
    for stored in (stored for block in blocks for stored in block["runs"]):
        (run,) = (run for run in runs if run.id == stored["run"])
        assert within(known(stored["record"]), encode_record(run.records[stored["order"]]))
