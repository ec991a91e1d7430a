"""docs/how-to/trackers.md: what is pasted from it works, and each file is read by the tool that gets it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from readers import bencher_metrics, custom_benchmark

from pytest_sdbatch.cli import main
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.report.exports import EXPORTS
from pytest_sdbatch.storage.run_file import write_run

yaml: Any = pytest.importorskip("yaml")  # transformers brings it

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "trackers.md").read_text(encoding="utf-8")
CASE = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=1, batch_count=1)
READERS = {"tool: customBiggerIsBetter": custom_benchmark, "tool: customSmallerIsBetter": custom_benchmark,
           "--adapter json": bencher_metrics}  # fmt: skip


@pytest.fixture
def _run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store what the step "Measure" would have."""
    monkeypatch.chdir(tmp_path)
    rounds = tuple(Round(wall_s=1.0, cpu_s=0.0, call_s=(1.0,), peak_allocated_bytes=2**30) for _ in range(6))
    record = Record(
        test="benchmarks/test_x.py::test_it", outcome=Outcome.OK, case=CASE, rounds=rounds,
        memory_source="peak_allocated_bytes",
    )  # fmt: skip
    where = Environment(must_match={"device_name": "Card"}, drift={}, shown={})
    write_run(Path("run.json"), [Run(id="1", started_at="2026", environment=where, options={}, records=(record,))])


@pytest.mark.usefixtures("_run_file")
def test_each_workflow_hands_its_tracker_a_file_that_it_reads() -> None:
    """The commands of the step are run; what reads a file is told its format as the table of formats has it."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    written: dict[str, str] = {}
    told: set[tuple[str, str]] = set()
    for block in blocks:
        (job,) = yaml.safe_load(block)["jobs"].values()
        for step in job["steps"]:
            words = shlex.split(step.get("run", "").replace("\\\n", " "))
            if step.get("name") == "Write it for the tracker":
                for line in step["run"].splitlines():
                    _, *arguments = shlex.split(line)
                    assert main(arguments) == 0
                    written[arguments[-1]] = EXPORTS[arguments[arguments.index("--format") + 1]].reader
            if "github-action-benchmark" in step.get("uses", ""):
                told.add((step["with"]["output-file-path"], f"tool: {step['with']['tool']}"))
            if "--adapter" in words:
                told.add((words[words.index("--file") + 1], f"--adapter {words[words.index('--adapter') + 1]}"))

    assert set(written.items()) == told
    assert set(written.values()) == set(READERS)
    for path, reader in written.items():
        assert len(READERS[reader](Path(path).read_text(encoding="utf-8"))) > 0


def test_the_page_names_every_format() -> None:
    """None is forgotten."""
    assert {name for name in EXPORTS if f"`--format {name}`" in PAGE} == set(EXPORTS)
