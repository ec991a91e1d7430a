"""What the screen shows, read as a user reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from pytest_sdbatch.options import resolve
from pytest_sdbatch.records import Environment, Outcome, Record, StopReason
from pytest_sdbatch.report.terminal import case_line, header_lines, plan_lines, render_table

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

EVIL = "t.py::test_[b]x[/b]<script>\x1b[31m\u202egnp\x07"


def environment(**facts: Any) -> Environment:
    """Return an environment with *facts*."""
    return Environment(must_match=facts, drift={"torch": "2.13.0", "diffusers": "0.42.1"}, shown={})


def noisy(maker: Maker, record: Record) -> Record:
    """Return *record* with rounds that differ by 1 %."""
    case = record.case
    call_s = record.rounds[0].wall_s / case.batch_count
    jitter = (0.99, 0.995, 1.0, 1.005, 1.01)
    return replace(record, rounds=maker.rounds([call_s * factor for factor in jitter], case.batch_count))


def test_the_table_at_80_columns(curve: list[Record], sd15: Maker) -> None:
    """All that was asked for fits; the case's common part stands once, above its rows."""
    records = [noisy(sd15, record) if record.rounds else record for record in curve]

    assert render_table(records, width=80, color=False) == "\n".join(
        [
            "                     within                       against      peak",
            "case     per call  this run  images/s  per image       b1    memory  outcome",
            "────────────────────────────────────────────────────────────────────────────────",
            "benchmarks/test_generation.py::test_text_to_image",
            "sd15-random-bf16-512x512-s20",
            "  b1x1     620 ms    ±1.8 %      1.61     620 ms    1.00x  4.00 GiB  ok",
            "  b4x1     1.79 s    ±1.8 %      2.24     446 ms    1.39x  4.00 GiB  ok",
            "  b8x1     3.46 s    ±1.8 %      2.31     432 ms    1.43x  4.00 GiB  ok",
            "  b16x1         -         -         -          -        -         -  oom (1)",
            "  b32x1         -         -         -          -        -         -  skipped (2)",
            "  b64x1         -         -         -          -        -         -  skipped (2)",
            "within this run: 95 % interval of one process; peak memory: live tensors in",
            "    torch's allocator",
            "no room here: text/denoiser/VAE in % (wider screen, --sd-report)",
            "(1) out of memory in the VAE decoder: 4.00 GiB asked for, 2.31 GiB free",
            "(2) batch size 16 ran out of memory",
        ]
    )


def test_the_table_at_100_columns_adds_the_stages(sd15: Maker) -> None:
    """Where there is room, a case shows where its time goes; two groups of one test share its name."""
    tiny = sd15.group(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4)
    records = [sd15.record(1, call_s=0.62), tiny.record(1, 16, call_s=0.02), tiny.record(16, 1, call_s=0.1)]

    assert render_table(records, width=100, color=False) == "\n".join(
        [
            "                     within                       against      peak  text/denoiser/",
            "case     per call  this run  images/s  per image       b1    memory        VAE in %  outcome",
            "────────────────────────────────────────────────────────────────────────────────────────────",
            "benchmarks/test_generation.py::test_text_to_image",
            "sd15-random-bf16-512x512-s20",
            "  b1x1     620 ms      ±0 %      1.61     620 ms    1.00x  4.00 GiB          2/90/6  ok",
            "tiny-sd-fp32-64x64-s4",
            "  b1x16   20.0 ms      ±0 %      50.0    20.0 ms    1.00x  4.00 GiB          2/90/6  ok",
            "  b16x1    100 ms      ±0 %       160    6.25 ms    3.20x  4.00 GiB          2/90/6  ok",
            "within this run: 95 % interval of one process; peak memory: live tensors in torch's allocator",
        ]
    )


def test_an_encoding_without_box_characters_gets_a_table_in_ascii(sd15: Maker) -> None:
    """A CI log in ASCII is as readable."""
    table = render_table([sd15.record(1, call_s=0.5)], width=60, color=False, encoding="ascii")

    assert table == "\n".join(
        [
            "                    within                peak",
            "case    per call  this run  images/s    memory  outcome",
            "-------------------------------------------------------",
            "benchmarks/test_generation.py::test_text_to_image",
            "sd15-random-bf16-512x512-s20",
            "  b1x1    500 ms     +-0 %      2.00  4.00 GiB  ok",
            "within this run: 95 % interval of one process; peak memory:",
            "    live tensors in torch's allocator",
            "no room here: per image, against b1, text/denoiser/VAE in %",
            "    (wider screen, --sd-report)",
        ]
    )


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_screen(width: int, curve: list[Record], sd15: Maker) -> None:
    """Columns are left out, names and notes are folded; what says how a case ended always stays."""
    long = replace(sd15.record(128, 16, call_s=75.0), test=f"{'deep/' * 30}test_x.py::test_猫" + "猫" * 10)
    failed = sd15.ended(256, Outcome.INVALID_OUTPUT, "bad " * 100, test=long.test)
    lines = render_table([*curve, long, failed], width=width, color=False).splitlines()

    names = [line for line in lines if "猫" in line]
    assert max(cell_len(line) for line in lines if line not in names) <= width
    assert any("invalid-output (3)" in line for line in lines)
    assert any("1 min 15 s" in line for line in lines)


def test_what_comes_from_outside_is_only_drawn(sd15: Maker) -> None:
    """Names and reasons with markup, escape sequences, line breaks or bidi overrides neither act nor break lines."""
    evil = sd15.group(model=None)
    records = [
        evil.record(1, test=EVIL, tracer="\x1b]0;title\x07"),
        evil.ended(2, Outcome.CRASHED, "[red]line 1\nline 2\x1b[2J", test=EVIL),
    ]
    table = render_table(records, width=100, color=False)

    assert all(line.isprintable() for line in table.split("\n"))
    assert r"test_[b]x[/b]<script>\x1b[31m\u202egnp\x07" in table
    assert r"[red]line 1 line 2\x1b[2J" in table
    assert [line.split()[0] for line in table.splitlines() if line.startswith("  b")] == ["b1x1", "b2x1"]


def test_colour_marks_outcomes_and_changes_no_text(curve: list[Record], sd15: Maker) -> None:
    """Green is sound, yellow is to be noted, red is wrong; the text is the same without."""
    wrong = sd15.ended(128, Outcome.INVALID_OUTPUT, "3 images where 128 were expected")
    failed = sd15.record(2, test_outcome="failed")
    doubtful = sd15.record(3, output_check="unchecked: a dict")
    records = [*curve, wrong, failed, doubtful]
    coloured = render_table(records, width=100, color=True)

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_table(records, width=100, color=False)
    assert {text.strip(): code for code, text in re.findall(r"\x1b\[(3[123])m(ok \(|[a-z -]+)", coloured)} == {
        "ok": "32",
        "ok (": "33",
        "oom": "33",
        "skipped": "33",
        "test failed": "31",
        "invalid-output": "31",
    }


def test_a_measured_case_has_a_line_with_its_figures(sd15: Maker) -> None:
    """While running, a line says which case it was, how fast, how sure, how much memory, and what time is left."""
    line = case_line(sd15.record(4, call_s=0.0412), number=2, total=6, left_s=12.0)

    assert line == (
        "[2/6] sd15-random-bf16-512x512-s20-b4x1  41.2 ms/call  97.1 images/s  5 rounds, precision"
        "  peak 4.00 GiB  about 15 s left"
    )


def test_the_last_case_has_no_time_left(sd15: Maker) -> None:
    """Neither has one where nobody knows yet."""
    assert "left" not in case_line(sd15.record(4), number=6, total=6, left_s=0.0)
    assert "left" not in case_line(sd15.record(4), number=1, total=6, left_s=None)


def test_numbers_of_cases_are_aligned(sd15: Maker) -> None:
    """With twelve cases the ids of all lines begin in one column."""
    lines = [case_line(sd15.record(4), number=number, total=12, left_s=None) for number in (9, 10)]

    assert [line.index("sd15") for line in lines] == [8, 8]


@pytest.mark.parametrize(
    ("record", "end"),
    [
        ({"outcome": Outcome.OOM, "reason": "4 GiB asked for,\n2 GiB free"}, "  oom: 4 GiB asked for, 2 GiB free"),
        ({"outcome": Outcome.SKIPPED, "reason": None}, "  skipped"),
        ({"outcome": Outcome.CRASHED, "reason": "x" * 500}, f"  crashed: {'x' * 88}..."),
        ({"test_outcome": "failed"}, "  peak 4.00 GiB  test failed"),
        ({"outcome": Outcome.THROTTLED, "reason": "heat"}, "  peak 4.00 GiB  throttled: heat"),
        ({"stopped": StopReason.MAX_SECONDS}, "  5 rounds, max-seconds  peak 4.00 GiB"),
    ],
)
def test_the_line_says_how_a_case_ended(record: dict[str, Any], end: str, sd15: Maker) -> None:
    """An outcome that is not ok comes with its reason, on one line and not too long."""
    assert case_line(sd15.record(4, **record), number=1, total=1, left_s=None).endswith(end)


@pytest.mark.parametrize(
    ("width", "figures"),
    [
        (120, "250 ms/call  16.0 images/s  5 rounds, precision  peak 4.00 GiB  "),
        (119, "250 ms/call  16.0 images/s  5 rounds, precision  "),
        (90, "250 ms/call  16.0 images/s  "),
        (80, "16.0 images/s  "),
        (20, "16.0 images/s  "),
    ],
)
def test_a_narrow_screen_keeps_what_matters_most(width: int, figures: str, sd15: Maker) -> None:
    """Which case it was, its throughput and the time left stay; memory goes first, it is in the table."""
    line = case_line(sd15.record(4, call_s=0.25), number=2, total=6, left_s=12.0, width=width)

    assert line == f"[2/6] sd15-random-bf16-512x512-s20-b4x1  {figures}about 15 s left"


@pytest.mark.parametrize(("width", "end"), [(None, f"{'x' * 88}..."), (100, f"{'x' * 30}..."), (40, f"{'x' * 18}...")])
def test_a_reason_is_cut_to_the_screen(width: int | None, end: str, sd15: Maker) -> None:
    """The line stays one line; on the narrowest screens something of the reason stays all the same."""
    record = sd15.record(4, outcome=Outcome.CRASHED, reason="x" * 500)
    line = case_line(record, number=1, total=6, left_s=12.0, width=width)

    assert line == f"[1/6] sd15-random-bf16-512x512-s20-b4x1  crashed: {end}  about 15 s left"


def test_a_line_can_name_its_test(sd15: Maker) -> None:
    """Where two tests measure the same case."""
    line = case_line(sd15.record(4), number=1, total=1, left_s=None, named=True)

    assert line.startswith("[1/1] test_text_to_image sd15-random-bf16-512x512-s20-b4x1  ")


def test_a_device_of_the_projects_own_has_no_allocator_of_torch(sd15: Maker) -> None:
    """Its peak memory is what it says; its name stands once in the header."""
    own = sd15.group(device="pretend")
    lines = header_lines(
        environment(device_name="pretend"), resolve(command_line={}, ini={}, overrides={}), [own.case(1)]
    )

    assert "peak memory: as pretend tells it" in render_table([own.record(1)], width=100, color=False)
    assert lines[0] == "sdbatch: pretend, torch 2.13.0, diffusers 0.42.1"


def test_without_a_model_the_line_names_the_test(sd15: Maker) -> None:
    """A pipeline of the user's own has no name in the id; the line cannot speak to the terminal."""
    line = case_line(sd15.group(model=None).record(4, test=EVIL), number=1, total=1, left_s=None)

    assert line.startswith(r"[1/1] test_[b]x[/b]<script>\x1b[31m\u202egnp\x07 bf16-512x512-s20-b4x1  1.00 s/call")
    assert line.isprintable()


def test_the_header_says_where_what_and_what_was_asked_for(sd15: Maker) -> None:
    """Device and versions, the grid, and the options that are not defaults, as they were written."""
    options = resolve(
        command_line={"batch_sizes": "1,4", "resume": "yes"}, ini={"steps": 20}, overrides={"memory_round": "no"}
    )
    cpu = sd15.group(device="cpu")
    cases = [cpu.case(1), cpu.case(4), cpu.group(model="sdxl").case(4)]
    found = environment(device_kind="cpu", device_name="A CPU", threads=2, python="CPython 3.12.3")

    assert header_lines(found, options, cases) == [
        "sdbatch: cpu (A CPU, 2 threads), CPython 3.12.3, torch 2.13.0, diffusers 0.42.1",
        "sdbatch: 3 cases: sd15-random,sdxl-random bf16 512x512; steps 20; batch sizes 1,4; batch counts 1",
        "sdbatch: given: --sd-batch-sizes=1,4 sd_steps=20 -o sd_memory_round=no --sd-resume;"
        " markers over the file, the rest by marker or default",
    ]


def test_the_header_leaves_out_what_is_not_known(sd15: Maker) -> None:
    """No fact is invented, and a long axis is shortened."""
    cases = [sd15.group(model=None).case(size) for size in range(1, 33)]
    lines = header_lines(environment(), resolve(command_line={}, ini={}, overrides={}), cases)

    assert lines == [
        "sdbatch: cuda:0, torch 2.13.0, diffusers 0.42.1",
        "sdbatch: 32 cases: own code; batch sizes 1,2,3,4,5,6,...,32 (32 values); batch counts 1",
        "sdbatch: options by marker or default",
    ]


def test_the_header_tells_of_own_code_what_was_given_for_it(sd15: Maker) -> None:
    """A function has no dtype, resolution or steps of its own; what is given may be what it reads."""
    options = resolve(command_line={"steps": "20"}, ini={}, overrides={})

    (_, axes, *_) = header_lines(environment(), options, [sd15.group(model=None).case(1)])

    assert axes == "sdbatch: 1 case: own code; steps 20; batch sizes 1; batch counts 1"


def test_the_plan_shows_a_time_only_where_it_is_known(sd15: Maker) -> None:
    """What was never measured has no time, and the sum says how much of it is known."""
    cases = [sd15.case(1), sd15.case(16)]

    assert plan_lines(cases) == [
        "  sd15-random-bf16-512x512-s20-b1x1",
        "  sd15-random-bf16-512x512-s20-b16x1",
        "2 cases",
    ]
    assert plan_lines(cases, {cases[0].id: 12.3}) == [
        "  sd15-random-bf16-512x512-s20-b1x1   about 12.3 s",
        "  sd15-random-bf16-512x512-s20-b16x1",
        "2 cases, about 12.3 s for the 1 with a known time",
    ]
    assert plan_lines(cases, {case.id: 40.0 for case in cases})[-1] == "2 cases, about 1 min 20 s"


def test_the_plan_names_the_tests_where_there_are_several(sd15: Maker) -> None:
    """Else two lines of the same case could not be told apart."""
    cases = [sd15.case(1), sd15.case(16), sd15.case(1)]

    assert plan_lines(cases, tests=["x.py::test_a", "x.py::test_a", "x.py::test_b"]) == [
        "x.py::test_a",
        "  sd15-random-bf16-512x512-s20-b1x1",
        "  sd15-random-bf16-512x512-s20-b16x1",
        "x.py::test_b",
        "  sd15-random-bf16-512x512-s20-b1x1",
        "3 cases",
    ]
    assert plan_lines(cases[:2], tests=["x.py::test_a"] * 2) == plan_lines(cases[:2])


def test_a_plan_without_cases_says_so() -> None:
    """An empty selection is a plan too."""
    assert plan_lines([]) == ["0 cases"]


def test_videos_show_their_frames(sd15: Maker) -> None:
    """The header names the number, the line of a case and the table the frames per second."""
    wan = sd15.group(model="wan21-1.3b", frames=81)
    record = wan.record(1, call_s=2.0)

    header = header_lines(environment(), resolve(command_line={}, ini={}, overrides={}), [record.case, sd15.case(1)])
    assert "; frames 81; " in header[1]
    assert "40.5 frames/s" in case_line(record, number=1, total=1, left_s=None)
    table = render_table([record], width=120, color=False)
    assert "40.5 frames/s" in table
    assert "per video" in table
    assert "images/s" not in table


def test_the_header_says_once_what_the_device_does_not_tell(sd15: Maker) -> None:
    """A line per reason, in words; other unknown facts are no matter of believing the figures."""
    unknown = {"energy": "no driver", "sm_clock": "no driver", "other_processes": "not allowed", "commit": "no git"}
    found = replace(environment(), unknown=unknown)

    assert header_lines(found, resolve(command_line={}, ini={}, overrides={}), [sd15.case(1)])[3:] == [
        "sdbatch: not known here: energy, SM clock (no driver)",
        "sdbatch: not known here: other processes (not allowed)",
    ]
