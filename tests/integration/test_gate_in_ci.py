"""The workflows of docs/how-to/gate-in-ci.md do what they say: their steps are run, here without GitHub.

So does that of docs/tutorial.md.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import real_processes

from pytest_sdbatch.report.markdown import MARK

yaml: Any = pytest.importorskip("yaml")  # transformers brings it

DOCS = Path(__file__).parents[2] / "docs"
PAGE, TUTORIAL = DOCS / "how-to" / "gate-in-ci.md", DOCS / "tutorial.md"
# Noisy runs are stored too: the machine of the tests is busy.
CONFIGURATION = (
    "[pytest]\naddopts = -p no:cacheprovider -o sd_max_rounds=5 -o sd_memory_round=no -o sd_save_anyway=yes\n"
)
BENCHMARK = """
import time
import numpy

def test_app(sd_benchmark):
    def call(batch):
        time.sleep(0.02)
        return numpy.random.default_rng(0).random((batch.size, 64, 64, 3))

    sd_benchmark(call)
"""
COMMAND = f"#!/bin/sh\nexec {sys.executable} -c 'import sys, pytest_sdbatch.cli as c; sys.exit(c.main())' \"$@\"\n"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the steps are for bash"),
]


def workflows_of(page: Path) -> dict[str, Any]:
    """Return the workflows of *page*, by name."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return {flow["name"]: flow for flow in map(yaml.safe_load, blocks)}


@pytest.fixture(scope="module")
def workflows() -> dict[str, Any]:
    """Return the workflows of the page on gates, by name."""
    return workflows_of(PAGE)


def steps(flow: dict[str, Any]) -> dict[str, str]:
    """Return the scripts of the one job of *flow*, by the name of the step."""
    (job,) = flow["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


def git(*words: str, at: Path) -> str:
    """Run git in *at*."""
    named = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *named, *words], cwd=at, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a project on a branch main, with a remote, and the command where the runner would have installed it."""
    project, tools = tmp_path / "project", tmp_path / "runner" / "venv" / "bin"
    (project / "benchmarks").mkdir(parents=True)
    (project / "pytest.ini").write_text(CONFIGURATION)
    (project / "benchmarks" / "test_app.py").write_text(BENCHMARK)
    git("init", "--quiet", "--bare", "remote.git", at=tmp_path)
    git("init", "--quiet", at=project)
    git("remote", "add", "origin", str(tmp_path / "remote.git"), at=project)
    git("add", ".", at=project)
    git("commit", "--quiet", "-m", "main", at=project)
    tools.mkdir(parents=True)
    (tools / "sdbatch").write_text(COMMAND)
    (tools / "sdbatch").chmod(0o755)
    return project


def run(*command: str, at: Path) -> subprocess.CompletedProcess[str]:
    """Run *command* with the variables that GitHub sets."""
    env = {**os.environ, "RUNNER_TEMP": str(at.parent / "runner"), "GITHUB_SHA": "abc"}
    return subprocess.run(command, cwd=at, env=env, capture_output=True, text=True, check=False)


def test_the_baseline_of_main_lands_on_its_branch_and_is_compared_with(
    workflows: dict[str, Any], checkout: Path
) -> None:
    """Recorded by five processes, pushed, and read by a pull request's checkout from the branch alone."""
    for name, script in steps(workflows["baseline"]).items():
        if name != "Install":
            done = run("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script, at=checkout)
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    assert re.fullmatch(
        r"benchmarks/baselines/main/[\w.-]+\.json\n",
        git("ls-tree", "-r", "--name-only", "baselines", at=checkout.parent / "remote.git"),
    )

    git("switch", "--quiet", "main", at=checkout)
    git("fetch", "--quiet", "origin", "baselines", at=checkout)
    (command,) = re.findall(r"^\$ (pytest .*origin/baselines.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    done = run(sys.executable, "-m", *command.split(), at=checkout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 cases compared" in " ".join(done.stdout.split())


def test_the_job_of_the_tutorial_compares_with_what_was_merged_into(checkout: Path) -> None:
    """Its step is run where GitHub has merged a pull request into its base: nothing regressed, the summary says so."""
    (flow,) = workflows_of(TUTORIAL).values()
    (checkout / "app.py").write_text("VALUE = 1\n")
    (checkout / "conftest.py").write_text(real_processes.conftest())
    (checkout / "benchmarks" / "test_app.py").write_text(f"import app\n{real_processes.BENCHMARK}")
    git("add", ".", at=checkout)
    git("commit", "--quiet", "-m", "base", at=checkout)
    git("switch", "--quiet", "--create", "change", at=checkout)
    (checkout / "app.py").write_text("VALUE = 2\n")
    git("commit", "--quiet", "--all", "-m", "change", at=checkout)
    git("switch", "--quiet", "main", at=checkout)
    git("merge", "--quiet", "--no-ff", "-m", "merged", "change", at=checkout)

    script = steps(flow)["Base and pull request in turn"]
    done = run("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script, at=checkout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "base: 2 runs of HEAD^1" in " ".join(done.stdout.split())
    assert "2 cases compared: 0 regressed" in " ".join(done.stdout.split())


def test_the_gate_compares_with_what_was_merged_into(workflows: dict[str, Any], tmp_path: Path) -> None:
    """The command is one that sdbatch ab takes, the base is there, its time lies within the job's, its file is kept."""
    from pytest_sdbatch.commands.ab.command_line import read

    (job,) = workflows["benchmark"]["jobs"].values()
    checked_out, kept = (step["with"] for step in job["steps"] if "with" in step)
    script = steps(workflows["benchmark"])["Base and pull request in turn"].replace("\\\n", " ")
    command, name, *words = shlex.split(script.replace("$RUNNER_TEMP", str(tmp_path)))
    given = read(words)

    assert (Path(command).name, name) == ("sdbatch", "ab")
    assert (given.base, checked_out["fetch-depth"]) == ("HEAD^1", 0)
    assert str(given.outlets.report) == kept["path"].replace("${{ runner.temp }}", str(tmp_path))
    assert given.minutes is not None
    assert given.minutes < job["timeout-minutes"]


def test_no_step_runs_a_forks_code_unlabelled_or_with_a_token(workflows: dict[str, Any]) -> None:
    """Only the label starts the job, with rights to read."""
    flow = workflows["benchmark"]
    (job,) = flow["jobs"].values()

    assert flow[True] == {"pull_request": {"types": ["labeled"]}}  # YAML 1.1 reads the key `on` as true
    assert job["if"] == "github.event.label.name == 'benchmark'"
    assert flow["permissions"] == {"contents": "read"}
    assert [step["with"].get("persist-credentials") for step in job["steps"] if "checkout" in step.get("uses", "")] == [
        False
    ]


# What the step asks of GitHub's command, answered from a file by the real jq; what it would send is noted.
GH = """#!/bin/sh
for word; do [ "$before" = --jq ] && query=$word; before=$word; done
case "$1 $*" in
    "pr "*) jq -r "$query" pulls.json ;;
    *" --paginate "*) jq -r "$query" comments.json ;;
    *) echo "$*" >> sent.txt ;;
esac
"""


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq, by whose language the step asks")
@pytest.mark.parametrize(
    ("comments", "sent"),
    [
        ([], "api --silent repos/o/r/issues/12/comments -F body=@comment.md"),
        (
            [("someone", 1, MARK), ("github-actions[bot]", 2, "hello"), ("github-actions[bot]", 3, f"{MARK}\nold"),
             ("github-actions[bot]", 4, MARK)],
            "api --silent --method PATCH repos/o/r/issues/comments/3 -F body=@comment.md",
        ),
    ],
)  # fmt: skip
def test_the_comment_takes_the_place_of_its_own_earlier_one(
    workflows: dict[str, Any], tmp_path: Path, comments: list[tuple[str, int, str]], sent: str
) -> None:
    """Found by author and mark, in the pull request that has the commit; without a report nothing is sent."""
    script = steps(workflows["benchmark-comment"])["Comment, in place of the comment before"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    pulls = [{"number": 11, "headRefOid": "aaa"}, {"number": 12, "headRefOid": "bbb"}]
    (tmp_path / "pulls.json").write_text(json.dumps(pulls))
    (tmp_path / "comments.json").write_text(
        json.dumps([{"user": {"login": login}, "id": number, "body": body} for login, number, body in comments])
    )
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "GH_REPO": "o/r", "HEAD": "bbb"}
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]

    subprocess.run(command, cwd=tmp_path, env=env, check=True)
    assert not (tmp_path / "sent.txt").exists()
    (tmp_path / "comment.md").write_text(MARK)
    subprocess.run(command, cwd=tmp_path, env={**env, "HEAD": "ccc"}, check=True)
    assert not (tmp_path / "sent.txt").exists()
    subprocess.run(command, cwd=tmp_path, env=env, check=True)

    assert (tmp_path / "sent.txt").read_text() == f"{sent}\n"


def test_what_may_write_runs_no_code_of_a_pull_request(workflows: dict[str, Any]) -> None:
    """The workflow that comments checks nothing out, and takes the pull request's number from its commit."""
    flow = workflows["benchmark-comment"]
    (job,) = flow["jobs"].values()

    assert flow[True] == {"workflow_run": {"workflows": ["benchmark"], "types": ["completed"]}}
    assert flow["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] == ["actions/download-artifact"]
    assert not any("${{" in step["run"] for step in job["steps"] if "run" in step)
