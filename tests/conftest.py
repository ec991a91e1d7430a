"""What all tests share: no network, and property tests that stay within seconds."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import settings

# Before huggingface_hub is imported by anyone: it reads this once.
os.environ["HF_HUB_OFFLINE"] = "1"
# Before torch is: its threads spin while they wait for each other, and other tests want the cores. A pipeline of tiny
# networks takes 0.4 s of CPU time by one thread, and 7 s by two on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A job in a shell's background starts with it ignored, and so would every process that a test tells to stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["pytester", "nvml_shim.fixtures", "real_processes"]

# The clock of a shared machine is no property of the code, hence no deadline.
settings.register_profile("sdbatch", deadline=None, max_examples=50)
settings.load_profile("sdbatch")


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pytest run within a test not take this process for a worker of its own, be it one of ours (``-n``).

    pytest-benchmark reads the variable, switches itself off and warns of that when it ends.
    """
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no run within a test write into the summary of the job that runs the tests, nor annotate it."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_leases(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no benchmark outside, nor a test in another worker, be taken for one beside those that are tested."""
    monkeypatch.setenv("SDBATCH_LEASES", str(tmp_path_factory.getbasetemp() / "leases"))


@pytest.fixture(autouse=True)
def _only_new_garbage() -> None:
    """Let a full collection look at what the test made: each case of a sweep makes two, of 0.2 s over all of torch."""
    gc.collect()
    gc.freeze()
