"""What can be known of a block that is not run: its commands are read by the parsers that would, its code compiles."""

from __future__ import annotations

import configparser
import io
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from doc_blocks import ROOT, Block, commands

from pytest_sdbatch.cli import command_parser
from pytest_sdbatch.commands import calibrate
from pytest_sdbatch.commands.ab import command_line
from pytest_sdbatch.commands.sweep import Reader, pytest_arguments, read, split
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host

Words = Sequence[str]
Run = Callable[..., pytest.RunResult]
# They are not ours, and need what is not there; what they are given is no matter of these tests.
FOREIGN = {"git", "echo", "mkdir", "cd", ".", "sbatch", "ray"}
_REDIRECT = {">", "2>", ">>"}


class Wrong(Exception):
    """What a block says cannot be right."""


def check(block: Block, run_pytest: Run) -> None:
    """Check *block* without running it; *run_pytest* runs pytest in this process, in a project with benchmarks."""
    try:
        if block.language == "python":
            compile(block.text, block.at, "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "ini":
            configparser.ConfigParser(interpolation=None).read_string(block.text)
        elif block.language == "yaml":
            _check_yaml(block.text, run_pytest)
        elif block.language == "console":
            for command in commands(block):
                check_command(command.words, run_pytest)
    except (Wrong, SyntaxError, ValueError, configparser.Error, SdbatchError) as error:
        raise AssertionError(f"{block.at}: {error}") from error


def check_command(words: Words, run_pytest: Run) -> None:
    """Refuse a command that its program would; Wrong names both. A program that is not known here is refused, too."""
    words = before_redirect(words)
    program = (Path(words[0]).name or words[0]) if words else ""
    if program in FOREIGN:
        return
    known: Mapping[str, Callable[[list[str], Run], None]] = {
        "sdbatch": _sdbatch,
        "pytest": _pytest,
        "pytest-benchmark": _nothing,
        "python": _python,
        "python3": _python,
        "pip": _pip,
        "tox": _tox,
        "bash": _bash,
        "accelerate": _accelerate,
    }
    if program not in known:
        raise Wrong(f"{program}: teach tests/support/doc_checks.py how a command of it is checked")
    known[program](list(words[1:]), run_pytest)


def before_redirect(words: Words) -> Words:
    """Return *words* up to where the shell sends output elsewhere."""
    return words[: next((index for index, word in enumerate(words) if word in _REDIRECT), len(words))]


def _sdbatch(words: list[str], run_pytest: Run) -> None:
    command, rest = words[0] if words else "", words[1:]
    if command == "sweep":
        *_, arguments = read(rest)
        _pytest(arguments, run_pytest)
    elif command == "ab":
        _pytest(list(_quietly(command_line.read, rest).arguments), run_pytest)
    elif command == "calibrate":
        before, behind = split(rest)
        _, more = _quietly(calibrate._parser().parse_known_args, before)
        _pytest(pytest_arguments(more, behind), run_pytest)
    else:
        _quietly(command_parser().parse_args, words)


def _pytest(words: list[str], run_pytest: Run) -> None:
    """Let pytest read the words, and the plugin what is its own; nothing is collected or run."""
    if any(word in ("--help", "-h", "--version") for word in words):
        return
    reader = Reader(_checked)
    result = run_pytest(*words, plugins=[reader])
    if result.ret != 0 and reader.asked is None:
        raise Wrong(f"pytest {' '.join(words)}: exit status {result.ret}\n{result.stdout}\n{result.stderr}")


def _checked(host: Host) -> bool:
    host.check()
    return True


def _quietly(read: Callable[[list[str]], Any], words: list[str]) -> Any:
    """Return what a parser makes of *words*; it ends the process where they are wrong."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            return read(words)
    except SystemExit as ended:
        if ended.code == 0:
            return None
        raise Wrong(f"{' '.join(words)}: {said.getvalue()}") from None


def _nothing(words: list[str], run_pytest: Run) -> None:
    """Leave it to the program."""


def _python(words: list[str], run_pytest: Run) -> None:
    if words[:1] == ["-m"]:
        module, rest = words[1], words[2:]
        if module == "pytest_sdbatch":
            _sdbatch(rest, run_pytest)
        elif module in ("pip", "tox", "pytest"):
            check_command([module, *rest], run_pytest)
        elif module.startswith("benchmarks"):
            _there(module.replace(".", "/"))
        elif module != "venv":
            raise Wrong(f"python -m {module}")
    else:
        _there(words[0])


def _bash(words: list[str], run_pytest: Run) -> None:
    _there(words[0])


def _there(path: str) -> None:
    if not (ROOT / path).exists():
        raise Wrong(f"{path}: no such file here")


def _pip(words: list[str], run_pytest: Run) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words:
        named = re.fullmatch(rf"{project['name']}(?:\[(\w+)\])?", word)
        if named and named[1] and named[1] not in project["optional-dependencies"]:
            raise Wrong(f"{word}: there is no such extra")


def _tox(words: list[str], run_pytest: Run) -> None:
    read = configparser.ConfigParser(interpolation=None)
    read.read(ROOT / "tox.ini", encoding="utf-8")
    for word, name in pairwise(words):
        if word == "-e" and name != "py" and f"testenv:{name}" not in read:
            raise Wrong(f"tox -e {name}: tox.ini has no such environment")
        if word == "--":
            break


def _accelerate(words: list[str], run_pytest: Run) -> None:
    if words[0] != "launch" or "-m" not in words:
        raise Wrong(f"accelerate {' '.join(words)}")
    _python(words[words.index("-m") :], run_pytest)


def _check_yaml(text: str, run_pytest: Run) -> None:
    yaml: Any = import_module("yaml")  # transformers brings it

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Wrong(str(error)) from error
    for script in _scripts(document):
        known = re.sub(r"\$\{\{[^}]*\}\}", "1", script).replace("$RUNNER_TEMP", ".")  # as GitHub puts something there
        for line in known.replace("\\\n", " ").splitlines():
            if re.match(r"""\s*"?(?:\S*/)?(?:sdbatch|pytest|pip|python3?)"? """, line):
                check_command(shlex.split(line, comments=True), run_pytest)


def _scripts(node: object) -> list[str]:
    """Return the scripts of every step, in order."""
    if isinstance(node, dict):
        own = [node["run"]] if isinstance(node.get("run"), str) else []
        return own + [script for value in node.values() for script in _scripts(value)]
    return [script for value in node for script in _scripts(value)] if isinstance(node, list) else []
