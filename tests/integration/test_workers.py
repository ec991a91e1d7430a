"""pytest -n: records come to the controller, pipelines go to one worker each, a worker that dies leaves a record.

Its command stands in docs/how-to/long-runs.md.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_sdbatch import Outcome, Record, read_run_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_plugins")]

# A device without a card; models that note which process loads them; and a way to kill a worker.
CONFTEST = """
    import os, signal
    from pathlib import Path

    import pytest
    from pytest_sdbatch.devices.fake import FakeDevice

    DEVICE = FakeDevice(capacity_images=8)

    def pytest_sdbatch_make_device(name):
        return DEVICE

    @pytest.fixture(scope="module")
    def application(worker_id):
        with Path("loads.txt").open("a") as file:
            file.write(f"{worker_id}\\n")
        return DEVICE.generate

    @pytest.fixture
    def generate(sd_case, application):
        if os.environ.get("DIE_AT") == f"{sd_case.variant} {sd_case.batch_size}":
            os.kill(os.getpid(), signal.SIGKILL)
        return application
"""
BENCHMARK = """
    def test_generate(sd_benchmark, generate):
        sd_benchmark(generate)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a benchmark of an application, on a machine whose GPUs torch need not count."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=BENCHMARK)
    return pytester.path


def run_workers(pytester: pytest.Pytester, *arguments: str, sizes: str = "1,2,16") -> pytest.RunResult:
    """Run the benchmarks in two workers."""
    return pytester.runpytest_subprocess(
        "-p", "no:randomly", "-n", "2", f"--sd-batch-sizes={sizes}", "--sd-report=run.json", *arguments
    )


def records_of(folder: Path) -> dict[str, Record]:
    """Return the records of run.json by split."""
    (run,) = read_run_file(folder / "run.json")
    return {record.case.split: record for record in run.records}


def test_the_controller_gets_the_records(project: Path, pytester: pytest.Pytester) -> None:
    """Table and files are those of one process, JUnit's too, with every record marked as one of two at a time."""
    result = run_workers(pytester, "--junitxml=out.xml")

    result.assert_outcomes(passed=2, skipped=1)
    records = records_of(project)
    assert [record.outcome for record in records.values()] == [Outcome.OK, Outcome.OK, Outcome.OOM]
    assert {record.parallel for record in records.values()} == {2}
    result.stdout.fnmatch_lines(
        [
            "sdbatch: fake, *",
            "sdbatch: 3 cases*",
            "sdbatch: 2 workers share the machine*",
            "*[[]3/3] *",
            "*b1x1 *ok (1)",
            "*2 processes shared the machine",
        ]
    )
    properties = ET.parse(project / "out.xml").findall(".//testcase/properties/property")
    speeds = [float(one.get("value", "nan")) for one in properties if one.get("name") == "sdbatch.images_per_s"]
    assert len(speeds) == 2
    assert min(speeds) > 0


def comparable(record: Record) -> Record:
    """Return *record* without rounds, and without the time line, which a thread reads when the machine lets it."""
    made = record.memory_round
    memory = replace(made, time_s=(), used_bytes=(), energy_updates=None) if made is not None else None
    return replace(record, rounds=(), memory_round=memory)


def test_the_run_is_the_same_as_in_one_process(project: Path, pytester: pytest.Pytester) -> None:
    """On a device whose clock knows of no neighbour, records differ in nothing but the number of processes."""
    run_workers(pytester)
    together = records_of(project)
    (project / "run.json").unlink()
    pytester.runpytest_subprocess("--sd-batch-sizes=1,2,16", "--sd-report=run.json")
    alone = records_of(project)

    for split, record in alone.items():
        there = together[split]
        assert [r.wall_s for r in there.rounds] == [r.wall_s for r in record.rounds]
        assert comparable(replace(there, parallel=1)) == comparable(record)


def test_ordinary_tests_are_spread_and_benchmarks_stay_together(project: Path, pytester: pytest.Pytester) -> None:
    """What a benchmark's fixtures load is loaded once; tests that are no benchmark run beside it in any worker."""
    pytester.makepyfile(test_plain="def test_plain(): pass")

    result = run_workers(pytester, "--sd-variants=eager,vae-slicing", sizes="1,2")

    result.assert_outcomes(passed=5)
    assert len((project / "loads.txt").read_text().split()) == 1


def test_no_pipeline_is_loaded_by_two_workers(pytester: pytest.Pytester) -> None:
    """Two tests of the same models: every pipeline is loaded once in all, and both workers have work."""
    pytester.makepyfile(
        """
        import os
        from pathlib import Path

        def note(pipeline, case):
            with Path("loads.txt").open("a") as file:
                file.write(f"{case.model} {os.getpid()} {id(pipeline)}\\n")

        def test_one(sd_benchmark, sd_pipeline):
            note(sd_pipeline, sd_benchmark.case)
            sd_benchmark(sd_pipeline)

        def test_two(sd_benchmark, sd_pipeline):
            note(sd_pipeline, sd_benchmark.case)
            sd_benchmark(sd_pipeline)
        """
    )

    result = run_workers(pytester, "--sd-models=tiny-sd,tiny-pixart", "--sd-steps=2", "-o", "sd_rounds=3", sizes="1,2")

    result.assert_outcomes(passed=8)
    loads = [line.split() for line in (pytester.path / "loads.txt").read_text().splitlines()]
    assert len({tuple(load) for load in loads}) == 2
    assert len({process for _, process, _ in loads}) == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_plain_tests_behind_a_case_that_kills_its_worker_are_run(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """The new worker gets everything that was left, single tests among it, and the session ends."""
    pytester.makepyfile(test_it=BENCHMARK + "\n    def test_plain(): pass\n\n    def test_other(): pass\n")
    monkeypatch.setenv("DIE_AT", "eager 2")

    result = run_workers(pytester, "-n", workers, sizes="1,2")

    result.assert_outcomes(passed=3, failed=1)
    assert records_of(project)["2x1"].outcome is Outcome.CRASHED


@pytest.mark.parametrize("size", ["1", "2"])
def test_a_worker_that_dies_leaves_a_record_of_its_case(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    """Its case is crashed, the cases of the same pipeline behind it are measured by another worker, none twice."""
    monkeypatch.setenv("DIE_AT", f"eager {size}")

    result = run_workers(pytester, sizes="1,2,4")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    records = records_of(project)
    assert records.pop(f"{size}x1").outcome is Outcome.CRASHED
    assert [record.outcome for record in records.values()] == [Outcome.OK, Outcome.OK]


def test_a_run_of_workers_is_resumed_by_as_many(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller keeps the journal; another number of workers is refused by name."""
    monkeypatch.setenv("DIE_AT", "eager 2")
    run_workers(pytester, "--max-worker-restart=0", sizes="1,2,4")
    monkeypatch.delenv("DIE_AT")
    (project / "run.json").unlink()

    alone = pytester.runpytest_subprocess("--sd-batch-sizes=1,2,4", "--sd-resume")
    again = run_workers(pytester, "--sd-resume", sizes="1,2,4")

    assert alone.ret == pytest.ExitCode.USAGE_ERROR
    alone.stderr.fnmatch_lines(["ERROR: --sd-resume: the number of workers was 2 and is 1"])
    assert again.ret == 0
    again.assert_outcomes(passed=2)
    again.stdout.fnmatch_lines(["sdbatch: resuming the run of *: 1 case kept"])
    assert list(records_of(project)) == ["1x1", "2x1", "4x1"]


def test_workers_with_nothing_left_to_do_end_well(project: Path, pytester: pytest.Pytester) -> None:
    """Stopped behind the last case: what was kept is said, shown and written, and the exit status is 0."""
    run_workers(pytester, sizes="1,2")
    (project / "run.json").unlink()
    (journal,) = (project / ".sdbatch").glob("*.jsonl")
    journal.write_text(journal.read_text().removesuffix('{"whole":true}\n'))

    result = run_workers(pytester, "--sd-resume", sizes="1,2")

    assert result.ret == 0
    result.assert_outcomes()
    result.stdout.fnmatch_lines(["sdbatch: resuming the run of *: 2 cases kept", "*b2x1 *ok (1,2)"])
    assert list(records_of(project)) == ["1x1", "2x1"]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--sd-save=main", "a run of 2 workers is no baseline"),
        ("--sd-plan", "--sd-plan lists what one process would run"),
    ],
)
def test_what_does_not_go_with_workers_is_refused_first(
    project: Path, pytester: pytest.Pytester, argument: str, said: str
) -> None:
    """One error, before a worker has started."""
    result = run_workers(pytester, argument)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{said}"])
    assert not (project / "run.json").exists()


@pytest.mark.parametrize(
    ("source", "arguments", "said"),
    [
        ("@pytest.mark.sdbatch(steps=0)", [], "*steps*"),
        ("", ["--sd-device=cuda:99"], "*"),
    ],
)
def test_what_workers_find_wrong_is_one_error(
    project: Path, pytester: pytest.Pytester, source: str, arguments: list[str], said: str
) -> None:
    """A marker, a device, whatever only they look at: exit status 4 and the error as one process gives it."""
    if arguments:
        pytester.makeconftest("")
    pytester.makepyfile(test_it=f"import pytest\n{source}\ndef test_generate(sd_benchmark): pass")

    alone = pytester.runpytest_subprocess(*arguments)
    together = run_workers(pytester, *arguments)

    assert alone.ret == together.ret == pytest.ExitCode.USAGE_ERROR
    together.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert set(alone.errlines) <= set(together.errlines)


def test_options_of_pytest_benchmark_are_answered(project: Path, pytester: pytest.Pytester) -> None:
    """Under workers it is off; one sentence names what to give instead."""
    result = run_workers(pytester, "--benchmark-json=theirs.json", "--benchmark-sort=name")

    result.stdout.fnmatch_lines(
        ["sdbatch: --benchmark-json --benchmark-sort: pytest-benchmark is off under -n; --sd-report=FILE*"]
    )
    assert result.ret == 0


def test_another_way_of_spreading_is_kept_and_answered(project: Path, pytester: pytest.Pytester) -> None:
    """Who typed --dist gets it, and a line that says what it may cost; records come all the same, groups and all."""
    pytester.makepyfile(test_it="import pytest\n@pytest.mark.xdist_group('gpu')" + textwrap.dedent(BENCHMARK))

    result = run_workers(pytester, "--dist=loadgroup", "--max-worker-restart=0")

    result.stdout.fnmatch_lines(["sdbatch: --dist=loadgroup: several workers may load the same pipeline;*"])
    assert set(records_of(project)) == {"1x1", "2x1", "16x1"}  # in the order in which they ended


def test_plain_tests_keep_the_scheduler_they_have(pytester: pytest.Pytester) -> None:
    """A project whose tests are no benchmarks sees nothing of ours under -n: no device, no line, both workers busy."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(40))
        def test_plain(number, worker_id, record_property):
            with open("who.txt", "a") as file:
                file.write(worker_id + "\\n")
        """
    )

    result = pytester.runpytest_subprocess("-n", "2")

    result.assert_outcomes(passed=40)
    result.stdout.no_fnmatch_line("*sdbatch: *")
    assert set((pytester.path / "who.txt").read_text().split()) == {"gw0", "gw1"}
    assert not (pytester.path / ".sdbatch").exists()


def test_a_test_of_the_case_alone_leaves_no_run_unfinished(project: Path, pytester: pytest.Pytester) -> None:
    """Only workers know which tests measure; one that asks for its case alone ends like any other."""
    pytester.makepyfile(test_it=BENCHMARK + "\n    def test_fits(sd_case): pass\n")

    result = run_workers(pytester, sizes="1,2")

    result.assert_outcomes(passed=4)
    (run,) = read_run_file(project / "run.json")
    assert not run.interrupted
    result.stdout.no_fnmatch_line("*interrupted*")


def test_a_baseline_that_a_file_names_is_left_out(project: Path, pytester: pytest.Pytester) -> None:
    """A project that always saves may also use workers: the header says that this run is not kept, and it is green."""
    (project / "pytest.ini").write_text("[pytest]\nsd_save = main\n")

    result = run_workers(pytester, sizes="1,2")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["sdbatch: not saved as main: a run of 2 workers is no baseline"])
    assert not (project / "benchmarks").exists()
