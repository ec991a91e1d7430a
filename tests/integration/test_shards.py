"""Shards: several machines measure one grid, each its part, and the parts are put together again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmark_run import Result, RunBenchmark

from pytest_sdbatch import read_run_file
from pytest_sdbatch.cli import main

BENCHMARK = """
    import pytest

    @pytest.mark.sdbatch(models=["one", "two", "three"])
    def test_generate(sd_benchmark, sd_case, fake_device):
        def generate(batch):
            if sd_case.model == "three":
                fake_device.advance(5.0)
            return fake_device.generate(batch)

        sd_benchmark(generate)

    def test_plain():
        pass
"""
yaml: Any = pytest.importorskip("yaml")  # transformers brings it
RunShard = Callable[..., Result]
Pasted = Callable[..., subprocess.CompletedProcess[str]]
SIZES = "--sd-batch-sizes=1,4"


@pytest.fixture
def shard(run_benchmark: RunBenchmark) -> RunShard:
    """Measure a shard of a grid of three pipelines, beside a test that measures nothing."""

    def run(text: str, *more: str, source: str = BENCHMARK) -> Result:
        return run_benchmark("-o", "sd_rounds=3", SIZES, "-o", f"sd_shard={text}", *more, source=source)

    return run


def held(path: Path) -> set[tuple[str | None, int]]:
    """Return the cases of a run file."""
    return {(r.case.model, r.case.batch_size) for run in read_run_file(path) for r in run.records}


def test_shards_measure_the_grid_together_and_are_merged(shard: RunShard, tmp_path: Path) -> None:
    """Every pipeline is whole in one of them, plain tests are in the first; merged they are the grid."""
    files = [tmp_path / f"shard-{number}.json" for number in (1, 2)]
    for number, path in enumerate(files, start=1):
        run = shard(f"{number}/2", f"--sd-report={path}").run
        assert run.ret == 0
        run.stdout.fnmatch_lines([f"sdbatch: shard {number}/2: {3 - number} of 3 pipelines"])
        run.assert_outcomes(passed=5 if number == 1 else 2, deselected=2 if number == 1 else 5)

    assert held(files[0]) == {(model, size) for model in ("one", "three") for size in (1, 4)}
    assert held(files[1]) == {("two", size) for size in (1, 4)}
    merged = tmp_path / "all.json"
    assert main(["merge", *map(str, files), "-o", str(merged)]) == 0
    assert held(merged) == held(files[0]) | held(files[1])


def test_recorded_seconds_decide_where_there_are_some(shard: RunShard, run_benchmark: RunBenchmark) -> None:
    """A pipeline that took long when it was last measured has a machine for itself."""
    run_benchmark("-o", "sd_rounds=3", SIZES, "--sd-save=main", source=BENCHMARK)

    assert {record.case.model for record in shard("1/2").records.values()} == {"three"}


OWN_CODE = """
    import pytest

    def test_a(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)

    def test_b(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)

    @pytest.mark.parametrize("way", ["x", "y"])
    def test_c(sd_benchmark, fake_device, way):
        sd_benchmark(fake_device.generate)
"""


def test_tests_that_bring_their_own_pipelines_are_dealt_one_by_one(shard: RunShard, tmp_path: Path) -> None:
    """Nobody knows what they load, so nothing of it is shared; their cases over batch size stay together."""
    found: list[set[str]] = []
    plans: list[str] = []
    for number in (1, 2):
        path = tmp_path / f"shard-{number}.json"
        result = shard(f"{number}/2", f"--sd-report={path}", source=OWN_CODE)
        result.run.stdout.fnmatch_lines([f"sdbatch: shard {number}/2: 2 of 4 pipelines"])
        (run,) = read_run_file(path)
        assert len(run.records) == 4
        found.append({record.test.partition("::")[2] for record in run.records})
        plans.append(run.options["shard_plan"])

    assert found == [{"test_a", "test_c[x]"}, {"test_b", "test_c[y]"}]
    assert plans[0] == plans[1]


def test_shards_of_other_tests_have_other_plans(shard: RunShard, tmp_path: Path) -> None:
    """A test that was renamed on one machine only would be measured twice, or not at all."""
    plans = set()
    for number, source in enumerate((OWN_CODE, OWN_CODE.replace("test_b", "test_z"))):
        path = tmp_path / f"{number}.json"
        shard("1/2", f"--sd-report={path}", source=source)
        (run,) = read_run_file(path)
        plans.add(run.options["shard_plan"])

    assert len(plans) == 2


def test_a_shard_without_a_pipeline_passes_and_leaves_its_file(shard: RunShard, tmp_path: Path) -> None:
    """Four machines for three pipelines: what collects the files finds one of each."""
    path = tmp_path / "shard-4.json"
    run = shard(
        "4/4", f"--sd-report={path}", f"--sd-report={path.with_suffix('.md')}", "--sd-gate", "--sd-limit=latency:9s"
    ).run

    assert run.ret == 0
    run.stdout.fnmatch_lines(["sdbatch: shard 4/4: nothing to measure here: 3 pipelines for 4 shards, none is split"])
    assert held(path) == set()


@pytest.mark.parametrize("more", [(), ("-k", "plain")])
def test_tests_that_measure_nothing_run_in_the_first_shard_also_without_benchmarks(
    shard: RunShard, more: tuple[str, ...]
) -> None:
    """Where none was collected, and where none was selected: no test runs twice, and no shard fails for having none."""
    source = BENCHMARK if more else "def test_plain(): pass"

    first, second = (shard(f"{number}/2", *more, source=source).run for number in (1, 2))

    first.assert_outcomes(passed=1, deselected=6 if more else 0)
    second.assert_outcomes(passed=0, deselected=7 if more else 1)
    assert (first.ret, second.ret) == (0, 0)
    second.stdout.fnmatch_lines(["sdbatch: shard 2/2: no benchmark: tests that measure nothing run in shard 1"])


def test_a_selection_of_nothing_is_no_empty_shard(shard: RunShard) -> None:
    """Where there is no benchmark at all pytest says so, as ever: a name may be mistyped."""
    assert shard("1/2", "-k", "nothing_of_that_name").run.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_shard_that_is_none_is_refused_before_collection(shard: RunShard) -> None:
    """SLURM counts from 0 unless it is told otherwise."""
    result = shard("0/4")

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "sd_shard=0/4: no shard" in result.text


def test_a_shard_is_no_baseline(shard: RunShard) -> None:
    """What one of them stored would change the plan of those that start later."""
    result = shard("1/2", "--sd-save=main")

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "--sd-save and -o sd_shard do not go together" in result.text


def test_shards_of_other_stored_runs_are_not_merged(
    shard: RunShard, run_benchmark: RunBenchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A baseline that came between the first and the second changes what is whose."""
    shard("1/2", f"--sd-report={tmp_path / '1.json'}")
    run_benchmark("-o", "sd_rounds=3", SIZES, "--sd-save=main", source=BENCHMARK)
    shard("2/2", f"--sd-report={tmp_path / '2.json'}")

    assert main(["merge", str(tmp_path / "1.json"), str(tmp_path / "2.json"), "-o", str(tmp_path / "all.json")]) == 1
    assert "were not planned alike" in capsys.readouterr().err


def test_a_shard_goes_on_with_its_own_run(shard: RunShard) -> None:
    """Of several in one folder, which is usual on a cluster, each finds its own."""
    stops = BENCHMARK.replace("fake_device):", "fake_device):\n        assert sd_case.batch_size == 1")
    for number in (1, 2):
        shard(f"{number}/2", "-x", source=stops)

    first = shard("1/2", "--sd-resume")
    assert "resuming the run of" in first.text
    assert {record.case.model for record in first.records.values()} == {"one", "three"}
    assert "nothing to resume: the last run was asked for other tests" in shard("1/3", "--sd-resume").text


def test_workers_measure_their_shard_alone(pytester: pytest.Pytester, few_plugins: None, tmp_path: Path) -> None:
    """Every worker plans alike, and their controller knows an empty shard."""
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.sdbatch(models=["one", "two"], rounds=3)
        def test_own(sd_benchmark):
            sd_benchmark(lambda batch: sum(range(100_000)))
        """
    )
    arguments = ("-n2", "--sd-device=cpu", SIZES)
    path = tmp_path / "run.json"

    pytester.runpytest_subprocess(*arguments, "-o", "sd_shard=2/2", f"--sd-report={path}").assert_outcomes(passed=2)
    assert held(path) == {("two", 1), ("two", 4)}
    assert pytester.runpytest_subprocess(*arguments, "-o", "sd_shard=3/3").ret == 0
    mistyped = pytester.runpytest_subprocess(*arguments, "-o", "sd_shard=1/3", "-k", "nothing_of_that_name")
    assert mistyped.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    pytester.makepyfile(test_it="def test_plain(): pass")
    plain = [pytester.runpytest_subprocess(*arguments, "-o", f"sd_shard={number}/2") for number in (1, 2)]
    assert [run.parseoutcomes().get("passed", 0) for run in plain] == [1, 0]
    assert [run.ret for run in plain] == [0, 0]


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "many-machines.md"
OWN = """
import pytest

@pytest.mark.sdbatch(models=["one", "two"], rounds=3, memory_round=False)
def test_own(sd_benchmark):
    sd_benchmark(lambda batch: sum(range(10_000)))
"""


@pytest.fixture
def pasted(tmp_path: Path, few_plugins: None, monkeypatch: pytest.MonkeyPatch) -> Pasted:
    """Run shell text of the page in a project with an environment as it wants one, under these variables."""
    scripts = tmp_path / "venv" / "bin"
    scripts.mkdir(parents=True)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "test_own.py").write_text(OWN)
    (scripts / "activate").write_text(f"PATH={scripts}:$PATH")
    for name, module in (("pytest", "pytest"), ("sdbatch", "pytest_sdbatch")):
        (scripts / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (scripts / name).chmod(0o755)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-o sd_device=cpu -p no:cacheprovider -p no:randomly")

    def run(text: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def block(language: str) -> str:
    """Return the only block of the page in *language*."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


# What SLURM does with a script: a task for each number of its array, with these variables, somewhere else, into a file.
SBATCH = r"""#!/bin/bash
set -euo pipefail
wanted() { sed -n "s/^#SBATCH --$1=//p" "$script"; }
script=$PWD/$1
export SLURM_SUBMIT_DIR=$PWD SLURM_ARRAY_JOB_ID=4711
IFS=- read -r first last <<< "$(wanted array)"
export SLURM_ARRAY_TASK_COUNT=$((last - first + 1))
for task in $(seq "$first" "$last"); do
    log=$(wanted output | sed "s/%A/$SLURM_ARRAY_JOB_ID/; s/%a/$task/")
    (cd / && SLURM_ARRAY_TASK_ID=$task bash "$script" > "$SLURM_SUBMIT_DIR/$log" 2>&1) &
done
echo "Submitted batch job $SLURM_ARRAY_JOB_ID"
wait
"""


def test_the_array_of_the_page_measures_the_whole_grid(pasted: Pasted, tmp_path: Path) -> None:
    """Submitted as the page says, to a stand-in for SLURM; the command below it puts the files together."""
    (typed,) = re.findall(r"```console\n(\$ sbatch .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "sweep.sh").write_text(block("bash"))
    (tmp_path / "venv" / "bin" / "sbatch").write_text(SBATCH)
    (tmp_path / "venv" / "bin" / "sbatch").chmod(0o755)
    said = pasted(
        "\n".join(["set -e", "source venv/bin/activate", *re.findall(r"^\$ (.*)", typed, re.MULTILINE)])
    ).stdout

    assert re.findall(r"^(?!\$).+", typed, re.MULTILINE) == said.splitlines()[:1]
    assert len(list(tmp_path.glob("sweep-4711-*.log"))) == 4
    assert held(tmp_path / "all.json") == {(model, size) for model in ("one", "two") for size in (1, 4, 8)}


def test_the_matrix_of_the_page_measures_the_whole_grid(pasted: Pasted, tmp_path: Path) -> None:
    """Its steps as they stand, with what GitHub puts in place of its expressions."""
    jobs = yaml.safe_load(block("yaml"))["jobs"]
    (measure,) = (step["run"] for step in jobs["shard"]["steps"] if step.get("name") == "Measure")
    (together,) = (step["run"] for step in jobs["merge"]["steps"] if step.get("name") == "Put together")
    numbers = jobs["shard"]["strategy"]["matrix"]["shard"]
    assert numbers == [1, 2, 3, 4]
    (tmp_path / "shards").mkdir()
    for number in numbers[:2]:
        text = measure.replace("${{ matrix.shard }}", str(number)).replace("${{ strategy.job-total }}", "2")
        pasted(text, RUNNER_TEMP=str(tmp_path))
        (tmp_path / f"shard-{number}.json").rename(tmp_path / "shards" / f"shard-{number}.json")
    pasted(together, RUNNER_TEMP=str(tmp_path))

    assert len(held(tmp_path / "shards" / "all.json")) == len(("one", "two")) * len((1, 4, 8))
    assert (tmp_path / "shards" / "all.html").stat().st_size > 0
