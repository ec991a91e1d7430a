"""One of several processes that measure hands its run in: what is to become of the whole is not its matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_run import GENERATE
from real_processes import conftest

from pytest_sdbatch import read_run_file
from pytest_sdbatch.commands.hand_in import HandIn

KEYS = {
    "sd_report": "taken.json", "sd_save": "main", "sd_gate": "yes", "sd_baseline": "none", "sd_resume": "yes",
    "sd_plan": "yes",
}  # fmt: skip
FLAGS = ("--sd-report=taken.json", "--sd-save=main", "--sd-gate", "--sd-baseline=none", "--sd-resume", "--sd-plan")
QUICK = ("-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error", "--sd-batch-sizes=1")


@pytest.mark.parametrize(("typed", "workers"), [(True, ()), (False, ()), (False, ("-n1",))])
def test_it_only_measures_whatever_else_is_asked_for(
    pytester: pytest.Pytester, typed: bool, workers: tuple[str, ...]
) -> None:
    """A file or a word of the command line names a file that exists, a baseline that does not, and a gate.

    The run is in the file that it is told, with a worker too, and nothing else is written, compared or refused.
    """
    if not typed:
        pytester.makeini("\n".join(["[pytest]", *(f"{key} = {value}" for key, value in KEYS.items())]))
    pytester.makepyfile(test_it=GENERATE)
    pytester.makeconftest(conftest())
    (pytester.path / "taken.json").write_text("theirs")
    before = set(pytester.path.iterdir())
    words = (*QUICK, *workers, *(FLAGS if typed else ()))

    done = pytester.runpytest_inprocess(*words, plugins=[HandIn(Path("run.json"))])

    assert done.ret == 0, done.stdout.str() + done.stderr.str()
    assert [len(run.records) for run in read_run_file(Path("run.json"))] == [1]
    assert (pytester.path / "taken.json").read_text() == "theirs"
    made = {path.name for path in set(pytester.path.iterdir()) - before}
    assert made - {".sdbatch", ".benchmarks", "__pycache__"} == {"run.json"}
    assert "gate" not in done.stdout.str()
