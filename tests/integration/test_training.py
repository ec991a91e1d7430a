"""Training takes the way of every benchmark: grid, rounds, memory, outcomes, run file, gate, table.

Two processes that accelerate launches, as in docs/how-to/training.md, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ab_project import ONE, Ab, commit
from benchmark_run import RunBenchmark
from gated import GATE, SIZES, RecordBaseline, device, ended
from PIL import Image

from pytest_sdbatch import Outcome, read_run_file
from pytest_sdbatch.devices.fake import FakeDevice

MIB = 2**20
OWN_STEP = """
    def test_step(sd_training, fake_device):
        def step(batch):
            fake_device.generate(len(batch))
            return 0.5
        assert sd_training(step, batches=lambda size: [0] * size) == [0.5]
"""
OF_THE_GRID = """
    def test_grid(sd_training):
        sd_training()
"""
SCRATCH_STEP = """
def train(device, batch):
    device.advance(0.001 * LAYERS)
    device.generate(len(batch))
    return 0.5
"""
BRANCH_STEP = """
def test_step(sd_training, fake_device):
    import scratch

    sd_training(lambda batch: scratch.train(fake_device, batch), batches=lambda size: [0] * size)
"""
FULL = ("--sd-device=cpu", "-o", "sd_train_method=full", "-o", "sd_rounds=3", "-o", "sd_warmup_calls=1")


def test_a_step_of_the_tests_own_is_measured_over_the_grid(run_benchmark: RunBenchmark) -> None:
    """Seconds a step, images a second, an epoch of the data; a size that does not fit is a row."""
    result = run_benchmark(
        "--sd-batch-sizes=1,2,4", "--sd-images=10", device=FakeDevice(capacity_images=2), source=OWN_STEP
    )

    assert result.outcomes == {"b1x10": "ok", "b2x5": "ok", "b4x3": "oom"}
    first, second, _ = result.records.values()
    assert first.case.id == "fp32-64x64-step-b1x10"
    assert (second.trained and second.trained.effective_batch, len(second.rounds[0].call_s)) == (2, 1)
    rows = [line.split() for line in result.run.outlines if line.strip().endswith(("ok", "oom (1)"))]
    assert [(row[0], row[1:3], row[-1]) for row in rows[:2]] == [("1", ["110", "ms"], "ok"), ("2", ["210", "ms"], "ok")]
    assert "1.10 s" in result.text  # of an epoch of 10 batches, and 1.05 s of one of 5
    assert "batch size 2 is the largest measured that fits (4 ran out of memory)" in " ".join(result.text.split())


def test_page_and_markdown_speak_of_steps(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """What a run writes of training has the columns of training, and the limit its words."""
    result = run_benchmark(
        "--sd-batch-sizes=1,2,4", "--sd-images=10", "-o", "sd_limit=latency:0.3s", f"--sd-report={tmp_path / 'r.html'}",
        f"--sd-report={tmp_path / 'r.md'}", device=FakeDevice(), source=OWN_STEP,
    )  # fmt: skip

    assert "410 ms per step, at most 300 ms" in " ".join(result.text.split())
    assert "| batch | per step |" in (tmp_path / "r.md").read_text()
    page = (tmp_path / "r.html").read_text()
    assert "Seconds per step" in page
    assert "an epoch takes" in page
    assert "per call" not in page


def test_a_model_of_the_grid_is_trained_and_kept(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """Without sd_pipeline among its arguments too; the run file says what training adds."""
    pytest.importorskip("torch").set_num_threads(1)
    report = tmp_path / "run.json"

    result = run_benchmark(
        *FULL, "--sd-batch-sizes=1", "--sd-images=4", "-o", "sd_train_accumulation=1,2", f"--sd-report={report}",
        device=_cpu(), source=OF_THE_GRID,
    )  # fmt: skip

    assert list(result.records) == ["tiny-sd-fp32-64x64-full-b1x4", "tiny-sd-fp32-64x64-full-a2-b1x4"]
    (run,) = read_run_file(report)
    plain, accumulated = run.records
    assert (plain.outcome, accumulated.outcome) == (Outcome.OK, Outcome.OK)
    assert plain.trained is not None
    assert accumulated.trained is not None
    assert (plain.trained.effective_batch, accumulated.trained.effective_batch) == (1, 2)
    assert set(plain.rounds[0].stage_s or {}) == {"forward", "backward", "optimizer"}
    assert plain.memory_round is not None
    assert {"forward", "backward", "optimizer"} <= set(plain.memory_round.stage_peak_bytes or {})
    assert plain.trained.weight_bytes == plain.trained.gradient_bytes == 4 * 53_284
    assert "accumulating 2 batches makes an effective batch of 2 at" in " ".join(result.text.split())


def _cpu() -> FakeDevice:
    from pytest_sdbatch.devices.cpu import CpuDevice

    return CpuDevice()  # type: ignore[return-value]


def test_a_loss_that_is_no_number_fails_with_its_step(run_benchmark: RunBenchmark) -> None:
    """The outcome is diverged, and no row of figures."""
    source = OWN_STEP.replace("return 0.5", "return float('nan')")

    result = run_benchmark("--sd-batch-sizes=1", device=FakeDevice(), source=source)

    assert result.outcomes == {"b1x1": "diverged"}
    result.run.assert_outcomes(failed=1)
    assert "diverged: the loss is nan in step 1" in result.text


@pytest.mark.parametrize(
    ("sizes", "said"), [((), "holds no image"), ((32, 16), "are of several sizes"), ((32,), "1 image do not fill")]
)
def test_data_that_cannot_be_is_one_error_before_work(
    run_benchmark: RunBenchmark, tmp_path: Path, sizes: tuple[int, ...], said: str
) -> None:
    """No device is used, no case begins."""
    for number, size in enumerate(sizes):
        Image.new("RGB", (size, size)).save(tmp_path / f"{number}.png")

    result = run_benchmark("--sd-batch-sizes=2", "-o", f"sd_train_data={tmp_path}", source=OWN_STEP)

    assert result.run.ret == 4
    assert result.records == {}
    assert said in result.text


def test_data_without_a_name_are_an_error(run_benchmark: RunBenchmark) -> None:
    """A variable of a shell that was never set is not the folder that pytest runs in."""
    result = run_benchmark("--sd-batch-sizes=2", "-o", "sd_train_data=", source=OWN_STEP)

    assert result.run.ret == 4
    assert "sd_train_data is empty" in result.text


def test_both_kinds_of_step_say_what_they_need(run_benchmark: RunBenchmark) -> None:
    """A call that is not seen in the text of the test is taken for a step of its own; two calls are one too many."""
    helper = """
        def train(fixture):
            fixture()

        def test_hidden(sd_training):
            train(sd_training)
    """

    result = run_benchmark("--sd-batch-sizes=1", source=helper)

    result.run.assert_outcomes(failed=1)
    assert "make sd_pipeline an argument of the test" in result.text


def test_the_gate_judges_steps_and_their_memory(run_benchmark: RunBenchmark, record: RecordBaseline) -> None:
    """As any case: s/step of each size, and what a step and an example cost where both grew."""
    record(source=OWN_STEP)

    same = run_benchmark(*GATE, device=device(1.001), source=OWN_STEP)
    slower = run_benchmark("--sd-baseline=main", SIZES, device=device(1.2, bytes_per_image=100 * MIB), source=OWN_STEP)

    assert ended(same) == (0, "sdbatch: gate: 2 cases compared, none regressed")
    assert "2 cases compared: 2 regressed" in slower.text
    assert "time: 200 ms -> 240 ms" in slower.text
    assert "memory" in slower.text
    assert "each step costs" in slower.text


@pytest.mark.slow
def test_a_faster_step_is_found_between_two_branches(ab: Ab, project: Path) -> None:
    """``sdbatch ab`` holds the step of one branch against that of the other, as it does for generation.

    Faster, which two pairs decide, where a slower one takes six.
    """
    code = project / "src" / "scratch" / "__init__.py"
    slow = f"{code.read_text()}\n{SCRATCH_STEP}"
    code.write_text(slow)
    (project / "benchmarks" / "test_it.py").write_text(BRANCH_STEP)
    commit(project)
    code.write_text(slow.replace("LAYERS = 2", "LAYERS = 1"))

    done = ab("--base=main", "--setup=true", "--json", *ONE)

    assert done.returncode == 0, done.stdout + done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    assert case["name"] == "benchmarks/test_it.py::test_step[fp32-64x64-step-b1x1]"
    assert (case["verdict"], case["base_call_s"], case["candidate_call_s"]) == (
        "improved", pytest.approx(0.006), pytest.approx(0.005),
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    """Started by accelerate, over gloo: one table, and an effective batch of size x processes x accumulation."""
    report = tmp_path / "two.json"
    launch = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1",
        "--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1", "--main_process_port=0",
    ]  # fmt: skip
    sweep = [
        "-m", "pytest_sdbatch", "sweep", "--train", *FULL, "--sd-models=tiny-sd", "--sd-batch-sizes=2",
        "--sd-images=16", "-o", "sd_train_accumulation=2", f"--sd-report={report}", "-p", "no:cacheprovider",
    ]  # fmt: skip

    done = subprocess.run(
        [*launch, *sweep], capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ, timeout=500
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("test session starts") == 1
    (run,) = read_run_file(report)
    (only,) = run.records
    assert only.case.id == "tiny-sd-fp32-64x64-full-a2-p2-b2x4"
    assert only.trained is not None
    assert (only.trained.effective_batch, only.trained.processes, only.trained.accumulation) == (8, 2, 2)
    assert only.contention is None
