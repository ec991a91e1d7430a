"""``sdbatch ab`` as a user runs it: scratch repositories of git, real processes, a device on a virtual clock."""

from __future__ import annotations

import json
import os
import re
import signal
import site
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

COMMAND = ("-c", "import sys; from pytest_sdbatch.cli import main; sys.exit(main())", "ab")
# Builds wheels by itself: what a test environment has installed makes no difference.
BACKEND = """
import zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "scratch-1-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        for file in sorted(Path("src").rglob("*.py")):
            wheel.write(file, file.relative_to("src"))
        wheel.writestr("scratch-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: scratch\\nVersion: 1\\n")
        wheel.writestr("scratch-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("scratch-1.dist-info/RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "scratch"
version = "1"
"""
# A pipeline whose denoiser takes 1 ms a layer and step, of the device's virtual time.
CODE = """
from types import SimpleNamespace

LAYERS = 2

class Unet:
    def __init__(self, device):
        self.device = device

    def forward(self):
        self.device.advance(0.001 * LAYERS)

    def state_dict(self):
        return {}

    def __call__(self):
        return self.forward()

class Pipeline:
    def __init__(self, device):
        self.device = device
        self.unet = Unet(device)
        self.components = {"unet": self.unet}

    def __call__(self, prompt, num_inference_steps=1, generator=None, output_type="pt"):
        for _ in range(num_inference_steps):
            self.unet()
        return SimpleNamespace(images=self.device.generate(len(prompt)))
"""
CONFTEST = """
import pytest
from pytest_sdbatch.devices.fake import FakeDevice

DEVICE = FakeDevice(seconds_per_call=0.003, seconds_per_image=0.001)

def pytest_sdbatch_make_device(name):
    return DEVICE

@pytest.fixture
def fake_device():
    return DEVICE

@pytest.fixture
def sd_pipeline(sd_case, fake_device):
    import scratch

    return scratch.Pipeline(fake_device)
"""
BENCHMARK = """
def test_it(sd_benchmark, sd_pipeline):
    sd_benchmark(sd_pipeline)
"""
USES_WHAT_IS_NEW = """
from scratch import new

def test_new(sd_benchmark, sd_pipeline):
    sd_benchmark(sd_pipeline)
"""
# Puts the candidate before everything, as the import hooks of some editable installs do.
HOOK = """
import sys
from importlib.machinery import PathFinder

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [{source!r}]) if name == "scratch" else None

def install():
    sys.meta_path.insert(0, Finder)
"""
Ab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a repository of one commit: a package under src, and a benchmark of it."""
    root = tmp_path / "project"
    files = {
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND,
        "src/scratch/__init__.py": CODE,
        "benchmarks/conftest.py": CONFTEST,
        "benchmarks/test_it.py": BENCHMARK,
        ".gitignore": "__pycache__/\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    return root


@pytest.fixture
def ab(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ab:
    """Run the command in the project; its temporary files are where they can be looked for."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv(
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"
    )  # others' plugins: half a second in each of many processes
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_benchmark.plugin,pytest_sdbatch.plugin")

    def run(*words: str, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
        command = [str(python), *COMMAND, *words]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False)

    return run


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    """Commit all there is."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=A state")


def twice_the_layers(project: Path) -> None:
    """Make the candidate slower."""
    file = project / "src" / "scratch" / "__init__.py"
    file.write_text(file.read_text().replace("LAYERS = 2", "LAYERS = 4"))


def without_project(python: Path) -> None:
    """Make an environment at *python*'s prefix that has what this process has."""
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(python.parents[1])
    (own,) = python.parents[1].glob("lib/python*/site-packages")
    (own / "0-these.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    for folder in site.getsitepackages():  # of an editable install of the plugin itself
        for file in Path(folder).glob("*.pth"):
            (own / file.name).write_text(file.read_text())


def left_over(project: Path, temporary: Path) -> list[str]:
    """Return what a job left behind: temporary folders, worktrees that git remembers."""
    return [*map(str, temporary.glob("sdbatch-ab-*")), *git(project, "worktree", "list").splitlines()[1:]]


def words_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return what was printed, whatever the width of the screen."""
    return " ".join((done.stdout + done.stderr).split())


ONE = ("--", "benchmarks/", "--sd-batch-sizes=1")


@pytest.mark.slow
def test_twice_the_layers_are_regressed_whatever_is_installed(ab: Ab, project: Path, tmp_path: Path) -> None:
    """An editable install of the candidate wins on neither side; the stage that grew is named; a new benchmark is new.

    Both ways of editable installs are there: a path, and an import hook before all others.
    """
    python = tmp_path / "environment" / "bin" / "python"
    without_project(python)
    (own,) = python.parents[1].glob("lib/python*/site-packages")
    source = str(project / "src")
    (own / "_scratch.pth").write_text(f"{source}\nimport _scratch_hook; _scratch_hook.install()\n")
    (own / "_scratch_hook.py").write_text(HOOK.format(source=source))
    twice_the_layers(project)
    (project / "src" / "scratch" / "new.py").write_text("")
    (project / "benchmarks" / "test_new.py").write_text(USES_WHAT_IS_NEW)

    done = ab("--base=main", "--report=report.md", *ONE, python=python)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "candidate the working tree" in done.stdout
    assert "with 1 changed file and 2 new" in done.stdout
    assert done.stdout.count("installed into an environment of its own") == 2
    assert "regressed: benchmarks/test_it.py::test_it[fp32-64x64-s4-b1x1]" in done.stdout
    assert "  stage: denoiser 8.00 ms -> 16.0 ms per call, 100 % of what was added" in done.stdout
    assert "1 regressed, 0 improved, 0 unchanged, 0 inconclusive; besides 1 new" in words_of(done)
    report = (project / "report.md").read_text()
    assert "**regressed: benchmarks/test\\_it.py::test\\_it\\[fp32-64x64-s4-b1x1\\]**" in report
    (kept,) = (project / ".sdbatch").glob("ab-*")
    assert len(list(kept.glob("pair-*-base.json"))) == 6
    assert left_over(project, tmp_path / "temporary") == []
    assert git(project, "status", "--porcelain", "--", "src/scratch/__init__.py") == " M src/scratch/__init__.py\n"


@pytest.mark.slow
def test_the_same_code_on_both_sides_is_no_comparison(ab: Ab, project: Path, tmp_path: Path) -> None:
    """Whatever else differs in the repository: what was imported does not. Nothing to install is found by path."""
    (project / "src" / "scratch").rename(project / "scratch")
    for name in ("pyproject.toml", "backend.py"):
        (project / name).unlink()
    commit(project)
    (project / "notes.txt").write_text("new")

    done = ab("--base=main", *ONE)

    assert done.returncode == 12
    assert done.stdout.count("not installed (it says nowhere how to build it); its modules are found by path") == 2
    assert "ERROR: both sides ran the same code" in done.stderr
    assert "do not differ in what was imported: scratch\n" in done.stderr
    assert "pair 2" not in done.stdout
    assert left_over(project, tmp_path / "temporary") == []


@pytest.mark.slow
def test_a_changed_dependency_is_compared_by_two_pythons(ab: Ab, project: Path, tmp_path: Path) -> None:
    """The files are the same on both sides, the packages are not; what a machine reads names both."""
    pythons = {}
    for name, layers in (("old", 4), ("new", 2)):
        python = tmp_path / name / "bin" / "python"
        without_project(python)
        (own,) = python.parents[1].glob("lib/python*/site-packages")
        (own / "scratch.py").write_text(CODE.replace("LAYERS = 2", f"LAYERS = {layers}"))
        pythons[name] = python
    (project / "pyproject.toml").unlink()

    done = ab(f"--base-python={pythons['old']}", "--json", *ONE, python=pythons["new"])

    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)
    assert [(case["name"], case["verdict"]) for case in data["cases"]] == [
        ("benchmarks/test_it.py::test_it[fp32-64x64-s4-b1x1]", "improved")
    ]
    assert {run["file"] for run in data["base"]} == {str(pythons["old"])}
    assert data["pairs"] == 2
    assert "sdbatch: pair 2, base: 1 case in " in done.stderr


# The third process waits to be stopped.
WAITS = """
import time
from pathlib import Path

def test_it(sd_benchmark, sd_pipeline):
    counted = Path({folder!r})
    (counted / str(len(list(counted.iterdir())))).touch()
    if len(list(counted.iterdir())) == {number}:
        (counted / "waiting").touch()
        time.sleep(60)
    sd_benchmark(sd_pipeline)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the console tells all its processes")
@pytest.mark.parametrize(
    ("number", "told", "status", "said"),
    [
        (1, signal.SIGTERM, 130, "ERROR: stopped before a pair was run"),
        (3, signal.SIGINT, 130, "sdbatch: it was stopped: what had not been decided by then is inconclusive"),
    ],
)
def test_stopped_it_judges_what_it_has_and_leaves_nothing_behind(
    ab: Ab, project: Path, tmp_path: Path, number: int, told: signal.Signals, status: int, said: str
) -> None:
    """No worktree, no environment, no process; the whole pairs are kept."""
    counted = tmp_path / "counted"
    counted.mkdir()
    (project / "benchmarks" / "test_it.py").write_text(WAITS.format(folder=str(counted), number=number))
    twice_the_layers(project)
    command = [sys.executable, *COMMAND, "--base=main", "--setup=true", *ONE]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (counted / "waiting").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(told)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == status, output
    assert said in output
    assert children
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert left_over(project, tmp_path / "temporary") == []
    (kept,) = (project / ".sdbatch").glob("ab-*")
    assert len(list(kept.glob("*.json"))) == (0 if number == 1 else 2)


def test_a_base_that_is_not_there_is_one_clear_error(ab: Ab, project: Path, tmp_path: Path) -> None:
    """A shallow clone says how to get it; so does an unknown name, a folder without history, and no change at all."""
    commit_of_base = git(project, "rev-parse", "HEAD").strip()
    same = ab("--base=main", *ONE)
    unknown = ab("--base=nowhere", *ONE)
    twice_the_layers(project)
    commit(project)
    git(tmp_path, "clone", "--quiet", "--depth=1", project.as_uri(), str(tmp_path / "shallow"))
    command = [sys.executable, *COMMAND, f"--base={commit_of_base}", *ONE]
    shallow = subprocess.run(command, cwd=tmp_path / "shallow", capture_output=True, text=True, check=False)
    outside = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert [done.returncode for done in (same, unknown, shallow, outside)] == [12] * 4
    assert same.stderr.startswith("ERROR: --base main is what is checked out, and nothing is changed")
    assert unknown.stderr.startswith("ERROR: --base nowhere: no such commit, branch or tag here")
    assert "fetch-depth: 0" in shallow.stderr
    assert outside.stderr.startswith("ERROR: --base needs the history of the project: not a git repository")
    assert all(re.match(r"ERROR: .+\n(  why: .+\n)?  do:  .+\n$", d.stderr) for d in (same, unknown, shallow, outside))


@pytest.mark.slow
def test_a_base_that_cannot_run_is_said_with_its_last_words(ab: Ab, project: Path) -> None:
    """Here its code does not even import; there is nothing to compare, and no verdict."""
    file = project / "src" / "scratch" / "__init__.py"
    sound = file.read_text()
    file.write_text("raise RuntimeError('not built')\n" + sound)
    commit(project)
    file.write_text(sound)

    done = ab("--base=main", "--setup=true", *ONE)

    assert done.returncode == 12
    assert "ERROR: the base ran none of 1 case that the candidate runs" in done.stderr
    assert "RuntimeError: not built" in done.stderr
    assert "--setup CMD" in done.stderr


@pytest.mark.slow
def test_tests_beside_the_code_share_none_of_it(ab: Ab, project: Path) -> None:
    """A folder of the package is named, and another module is changed, too: the base runs its own of both.

    A test that the candidate has no more is missing.
    """
    package = project / "scratch"
    (project / "src" / "scratch").rename(package)
    for name in ("test_it.py", "conftest.py"):
        (project / "benchmarks" / name).rename(package / name)
    (package / "test_it.py").write_text("import common\n" + BENCHMARK)
    (package / "test_gone.py").write_text(BENCHMARK)
    for name in ("pyproject.toml", "backend.py"):
        (project / name).unlink()
    (project / "common.py").write_text("VALUE = 1\n")
    commit(project)
    (project / "common.py").write_text("VALUE = 2\n")
    (package / "test_gone.py").unlink()
    (package / "__init__.py").write_text(CODE.replace("LAYERS = 2", "LAYERS = 4"))

    done = ab("--base=main", "--", "scratch", "--sd-batch-sizes=1")

    assert done.returncode == 10, done.stdout + done.stderr
    assert "sdbatch: scratch: may hold code of the project, so that only its test files" in done.stdout
    assert "scratch/test_gone.py::test_it" in done.stdout
    assert "0 new, 1 missing" in words_of(done)


@pytest.mark.slow
def test_a_part_of_the_repository_that_both_sides_have_installed_is_no_comparison(
    ab: Ab, project: Path, tmp_path: Path
) -> None:
    """What differs of it ran on no side, while the project's own module did; the error says how to install it."""
    python = tmp_path / "environment" / "bin" / "python"
    without_project(python)
    (own,) = python.parents[1].glob("lib/python*/site-packages")
    (project / "core" / "src").mkdir(parents=True)
    (project / "src" / "scratch").rename(project / "core" / "src" / "scratch")
    (own / "scratch.py").write_text(CODE)
    (project / "app.py").write_text("VALUE = 1\n")
    for name in ("pyproject.toml", "backend.py"):
        (project / name).rename(project / "core" / name)
    (project / "benchmarks" / "test_it.py").write_text("import app\n" + BENCHMARK)
    commit(project)
    (project / "app.py").write_text("VALUE = 2\n")
    file = project / "core" / "src" / "scratch" / "__init__.py"
    file.write_text(CODE.replace("LAYERS = 2", "LAYERS = 4"))

    refused = ab("--base=main", *ONE, python=python)
    mended = ab("--base=main", "--setup=pip install --no-deps --no-build-isolation ./core", *ONE, python=python)

    assert refused.returncode == 12, refused.stdout + refused.stderr
    assert "ERROR: the base ran scratch of neither side" in refused.stderr
    assert '--setup "pip install --no-deps ./core"' in refused.stderr
    assert "pair 2" not in refused.stdout
    assert mended.returncode == 10, mended.stdout + mended.stderr


@pytest.mark.slow
def test_a_case_that_kills_its_process_takes_no_verdict_from_others(ab: Ab, project: Path) -> None:
    """It crashed in every process of the candidate; the other one is slower."""
    (project / "benchmarks" / "test_it.py").write_text(
        "import scratch\n"
        + BENCHMARK
        + BENCHMARK.replace("test_it", "test_dies").replace(":\n", ":\n    scratch.check()\n")
    )
    file = project / "src" / "scratch" / "__init__.py"
    file.write_text(CODE + "\ndef check():\n    pass\n")
    commit(project)
    file.write_text(CODE.replace("LAYERS = 2", "LAYERS = 4") + "\ndef check():\n    import os; os.abort()\n")

    done = ab("--base=main", "--setup=true", "--", "benchmarks/", "--sd-batch-sizes=1")

    assert done.returncode == 10, done.stdout + done.stderr
    assert "2 cases compared: 2 regressed" in words_of(done)
    assert "ok before, crashed now: the process died in it" in words_of(done)
