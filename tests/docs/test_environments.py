"""Blocks that make environments: pip installs a wheel of what is tested, and tox's commands are run.

Those of README.md, CONTRIBUTING.md, docs/tutorial.md and docs/explanation/training.md. What would be downloaded is what
this environment has.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import site
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from doc_blocks import ROOT, Block, blocks, commands

import pytest_sdbatch

Run = Callable[..., str]
_THIS = "tests/docs/test_environments.py"
# Has what is installed here in sight, as if pip had downloaded it; the setuptools that some Pythons bring is too old.
PYTHON = """#!/bin/sh
"{python}" "$@" || exit
[ "$1 $2" = "-m venv" ] || exit 0
for own in "$3"/lib/python*/site-packages; do cp "{seen}" "$own"; rm -rf "$own"/setuptools*; done
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the blocks are for a shell"),
]


def of(page: str) -> list[Block]:
    """Return the blocks of *page* that are run here."""
    return [block for block in blocks(page) if block.note("run by", "path") == _THIS]


def script(block: Block) -> str:
    """Return what a reader would type."""
    return "".join(line.removeprefix("$ ") for line in block.text.splitlines(keepends=True) if line.startswith("$ "))


def make_wheel(folder: Path) -> None:
    """Pack the package with the metadata of its distribution, which a build back end has made."""
    found, package = metadata.distribution("pytest-sdbatch"), Path(pytest_sdbatch.__file__).parent
    name = f"pytest_sdbatch-{found.version}"
    with ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        for file in sorted(package.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                wheel.write(file, file.relative_to(package.parent))
        for part in ("METADATA", "entry_points.txt"):
            wheel.writestr(f"{name}.dist-info/{part}", found.read_text(part) or "")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a script in a folder of a reader, whose pip finds one wheel and asks nobody for more."""
    pytest.importorskip("ensurepip", reason="this Python makes no environments with pip")
    folder = tmp_path_factory.mktemp("reader")
    programs, wheels, seen = folder / "bin", folder / "wheels", folder / "0-these.pth"
    for made in (programs, wheels):
        made.mkdir()
    make_wheel(wheels)
    seen.write_text("\n".join(site.getsitepackages()) + "\n")
    (programs / "python").write_text(PYTHON.format(python=sys.executable, seen=seen))
    (programs / "python").chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "PYTEST_"))}
    own |= {
        "PATH": os.pathsep.join([str(programs), own["PATH"]]),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
    }

    def run(text: str, **more: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text], cwd=folder, env={**own, **more}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def installed(shell: Run) -> Run:
    """Run a script in the environment that the tutorial makes."""
    (block,) = of("docs/tutorial.md")
    shell(script(block), PIP_NO_DEPS="1", PIP_IGNORE_INSTALLED="1")  # or that of this environment would do

    def run(text: str) -> str:
        return shell(f"cd painter && . .venv/bin/activate\n{text}")

    return run


def test_the_tutorial_begins_with_a_command_that_works(installed: Run) -> None:
    """It is the one of the new environment, and what it needs is what a resolver would have found."""
    said = installed("type sdbatch; python -c 'import pytest_sdbatch as own; print(own.__file__)'; sdbatch models")
    command, package, *models = said.splitlines()

    assert command.endswith("/painter/.venv/bin/sdbatch")
    assert "/painter/.venv/lib/" in package
    assert any(line.startswith("tiny-sd ") for line in models)
    assert [line for line in installed("pip check || true").splitlines() if line.startswith("pytest-sdbatch ")] == []


def test_what_other_pages_install_is_there(installed: Run) -> None:
    """The package by its name, and its extra: pip knows it, and it asks for what this environment has."""
    for needed in ("peft", "sklearn"):
        pytest.importorskip(needed, reason="the extra training")
    for page in ("README.md", "docs/explanation/training.md"):
        (block,) = of(page)
        said = installed(script(block))
        assert "Requirement already satisfied: pytest-sdbatch" in said
        assert "does not provide the extra" not in said


def test_words_for_pytest_are_given_to_pytest_by_tox() -> None:
    """CI makes the environments; here their command is run, with the words behind ``--``, on a file of few tests."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    (block,) = of("CONTRIBUTING.md")
    env = {**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider tests/unit/grid/test_axes.py"}
    for command in commands(block):
        (line,) = tox["testenv"]["commands"].splitlines()
        words = shlex.split(re.sub(r"\{posargs:[^}]*\}", shlex.join(command.words[4:]), line))
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )

        assert command.words[:4] == ("tox", "-e", "py", "--")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"\d+ passed", done.stdout)
