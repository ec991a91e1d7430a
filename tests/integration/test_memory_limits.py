"""Predictions of memory held against a real limit and a real measurement, in real processes.

What docs/how-to/largest-batch.md shows was measured as in the last one.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sdbatch.storage.run_file import read_run_file

CHILD = Path(__file__).parents[1] / "support" / "memory_child.py"
ROOMS_MIB = (235, 255, 275)  # one for each of three children
# Above 32 MiB, as those of real models are, the C library maps each block by itself. Smaller ones it keeps on a heap
# whose size depends on history; set so, the small blocks of a decoder that takes seconds are mapped like large ones.
BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"}
SWEEP = """
import resource, sys
import pytest
from memory_child import MIB, Decoding, decoder, measured
from pytest_sdbatch.devices.host import HostMemory
vae = decoder()
measured(vae, 1)
granted = int(HostMemory().address_space().used.value) + int(sys.argv[1]) * MIB
resource.setrlimit(resource.RLIMIT_AS, (granted, granted))
class Decoder:
    @pytest.fixture
    def decode(self):
        return lambda batch: Decoding(vae, batch.size).call().sample
sys.exit(pytest.main(sys.argv[2:], plugins=[Decoder()]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.system() != "Linux", reason="RLIMIT_AS and the resident peak are Linux's"),
]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Return what a child printed."""
    path = os.pathsep.join([str(CHILD.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **BLOCKS, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=cwd)


@pytest.mark.parametrize("room_mib", ROOMS_MIB)
def test_the_predicted_largest_batch_runs_and_a_fifth_more_does_not(room_mib: int, tmp_path: Path) -> None:
    """Under a limit of address space, predicted as address space, from 4 and 8 images."""
    child = run(str(CHILD), "limit", str(room_mib), "4,8", cwd=tmp_path)

    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert found["largest"] >= 10
    assert (found["runs"], found["beyond_runs"]) == ("ok", "oom"), found


def test_the_resident_peak_is_predicted_8_times_beyond_the_probes(tmp_path: Path) -> None:
    """From 2 and 4 images to 32, within 5 %."""
    child = run(str(CHILD), "predict", "2,4", "32", cwd=tmp_path)

    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert found["predicted"] == pytest.approx(found["measured"], rel=0.05)


def test_a_sweep_grows_to_the_limit_and_not_into_it(tmp_path: Path) -> None:
    """Nothing runs out of memory: sizes that need more than the limit leaves are skipped, and it is said of what."""
    (tmp_path / "test_it.py").write_text("def test_decode(sd_benchmark, decode):\n    sd_benchmark(decode)\n")
    options = ["--sd-batch-sizes=auto:32", "-osd_rounds=3", "-osd_warmup_calls=1", "--sd-report=run.json"]

    child = run("-c", SWEEP, "400", "-p", "no:randomly", "-p", "no:cacheprovider", *options, cwd=tmp_path)

    assert child.returncode == 0, child.stdout + child.stderr
    (made,) = read_run_file(tmp_path / "run.json")
    outcomes = {record.case.batch_size: record.outcome.value for record in made.records}
    reasons = {record.case.batch_size: record.reason for record in made.records if record.reason}
    assert outcomes == {1: "ok", 2: "ok", 4: "ok", 8: "ok", 12: "ok", 16: "skipped", 32: "skipped", 24: "skipped"}
    assert all("of address space more than is in use" in str(reason) for reason in reasons.values())
    assert "12 is the largest measured that fits" in " ".join(child.stdout.split())
