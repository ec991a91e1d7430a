"""A project that ``sdbatch ab`` is run in: a scratch repository of git, and a device on a virtual clock."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from real_processes import SDBATCH, call, conftest

COMMAND = (*SDBATCH[1:], "ab")  # behind a Python
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
CONFTEST = f"""
{conftest("FakeDevice(seconds_per_call=0.003, seconds_per_image=0.001)")}

@pytest.fixture
def sd_pipeline(sd_case, fake_device):
    import scratch

    return scratch.Pipeline(fake_device)
"""
BENCHMARK = """
def test_it(sd_benchmark, sd_pipeline):
    sd_benchmark(sd_pipeline)
"""
ONE = ("--", "benchmarks/", "--sd-batch-sizes=1")
Ab = Callable[..., subprocess.CompletedProcess[str]]


def make_project(root: Path) -> Path:
    """Make a repository of one commit in *root*: a package under src, and a benchmark of it."""
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
def project(tmp_path: Path) -> Path:
    """Make a repository of one commit."""
    return make_project(tmp_path / "project")


@pytest.fixture
def ab(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_plugins: None) -> Ab:
    """Run the command in the project; its temporary files are where they can be looked for."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def run(*words: str, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
        return call(project, str(python), *COMMAND, *words)

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
