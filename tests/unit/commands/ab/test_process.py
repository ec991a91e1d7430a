"""A process of a side, for real."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.process import Side, collect, run_process
from pytest_sdbatch.storage.sides import read_side_runs

BENCHMARK = """
import time
from pytest_sdbatch.devices.fake import FakeDevice

def test_it(sd_benchmark, pytestconfig):
    time.sleep({seconds})
    sd_benchmark(lambda batch: FakeDevice().generate(batch.size))
"""


def side(folder: Path) -> Side:
    """Return a side that is called in *folder*."""
    return Side(name="candidate", label="x", python=Path(sys.executable), called_in=folder, variables=None)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["PYTEST_ADDOPTS", "addopts"])
def test_workers_are_refused_wherever_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Processes that time at once disturb each other; the command line is looked at elsewhere."""
    pytest.importorskip("xdist")
    (tmp_path / "test_it.py").write_text(BENCHMARK.format(seconds=0))
    (tmp_path / "pytest.ini").write_text("[pytest]\n" + ("addopts = -n 2\n" if where == "addopts" else ""))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-n 2" if where == "PYTEST_ADDOPTS" else "")

    with pytest.raises(NoComparison) as refused:
        collect(side(tmp_path), ["test_it.py"], folder=tmp_path)

    assert "ERROR: -n, or --tx: not with ab" in str(refused.value)


@pytest.mark.slow
def test_an_import_that_hangs_is_ended_with_the_time(tmp_path: Path) -> None:
    """No case is known by then; the message says which side it was."""
    (tmp_path / "test_it.py").write_text("import time; time.sleep(60)\n")

    with pytest.raises(NoComparison, match="the candidate's benchmarks were not collected within --minutes"):
        collect(side(tmp_path), ["test_it.py"], folder=tmp_path, until_s=time.monotonic() + 3)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there it is ended without being told")
def test_a_process_hears_that_it_is_to_stop_though_its_parent_would_not(tmp_path: Path) -> None:
    """A job in the background of a shell ignores SIGINT, and passes that on."""
    (tmp_path / "test_it.py").write_text(BENCHMARK.format(seconds=60))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        begun_s = time.monotonic()
        ended = run_process(side(tmp_path), ["test_it.py", "--sd-device=cpu"], stem=tmp_path / "x", until_s=begun_s + 4)
    finally:
        signal.signal(signal.SIGINT, before)

    assert ended.stopped
    assert ended.status == pytest.ExitCode.INTERRUPTED
    assert not list(tmp_path.glob("*.died.json"))


@pytest.mark.slow
def test_a_process_that_dies_leaves_what_it_had_and_where_it_died(tmp_path: Path) -> None:
    """The first case is whole, the second one crashed; of the third nothing is known."""
    text = BENCHMARK.format(seconds=0)
    dies = text.replace("test_it", "test_dies").replace("time.sleep(0)", "import os; os.abort()")
    (tmp_path / "test_it.py").write_text(text + dies + text.replace("test_it", "test_last"))
    words = ["test_it.py", "--sd-batch-sizes=1", "-o", "sd_max_rounds=5", "-p", "no:randomly"]

    ended = run_process(side(tmp_path), words, stem=tmp_path / "x")

    assert ended.died
    (run,) = read_side_runs(ended.run_file)
    assert [(name.partition("[")[0], m.state) for name, m in run.cases.items()] == [
        ("test_it.py::test_it", "ok"),
        ("test_it.py::test_dies", "crashed"),
    ]
