"""A reader who follows a page from its first block to its last, in a folder with a project of their own."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import benchmark_run  # noqa: F401 - which imports what cannot be imported twice
import pytest
from doc_blocks import Block, Command, blocks, commands
from doc_checks import before_redirect
from doc_project import PRETENDED, keep_changed, keep_runs, make_project
from real_processes import FEW_PLUGINS

from pytest_sdbatch.cli import main
from pytest_sdbatch.commands.sweep import pytest_arguments, split
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.catalog import ModelCatalog

# On the CPU whatever the machine has, and few rounds: how fast it is, is no matter of these tests.
QUICK = (
    "-p no:cacheprovider -p no:randomly --sd-device=cpu -o sd_max_seconds=0.05 -o sd_min_rounds=3 -o sd_warmup_calls=1"
)
# What a command that names a large model runs here: the tiny one of the family, at one step.
MINIATURES = {"sd15": "tiny-sd", "sdxl": "tiny-sdxl", "flux-dev": "tiny-flux"}
_GIT = ("-c", "user.name=reader", "-c", "user.email=reader@localhost", "-c", "init.defaultBranch=main")
# What differs from machine to machine and from run to run.
_VARIES = (r"\(.* threads?\)", r"about .* left", r"\bin \d.*", r"[^\w\s]*\d[\d.,%]*(?= (?:ns|us|µs|ms|s|min|h)\b)")
_ANSWER = re.compile(r": (?:fastest is|batch size) ")  # where a sentence begins that depends on the figures
_UNITS = {"ns", "us", "µs", "ms", "s", "min", "h", "KiB", "MiB", "GiB"}
_CASE = re.compile(r"(?:[\w.+:-]+-)?b\d+x\d+")
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]+[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    text: str


def stable(line: str) -> list[str]:
    """Return the words of an output line that are the same everywhere: names of cases, and those without digits."""
    for pattern in _VARIES:
        line = re.sub(pattern, " ", line)
    words = []
    for token in line.split():
        if case := _CASE.search(token):
            words.append(case[0])
        elif not re.search(r"\d", token):
            words += [word for word in _WORD.findall(token) if word not in _UNITS]
    return words


def missing(shown: Sequence[str], printed: str) -> list[str]:
    """Return the lines that a page shows and whose words are not printed in this order, wherever lines are broken.

    Notes below a table and what an answer says are left out: they depend on the machine.
    """
    words = [word for line in printed.splitlines() for word in stable(line)]
    at, lost, depends = 0, [], False
    for line in shown:
        if re.match(r"\(\d+\) ", line):
            depends = True
        if depends and re.match(r"\(\d+\) |  ", line):  # a note, or what follows of one or of an answer
            continue
        line, depends = _ANSWER.split(line)[0], bool(_ANSWER.search(line))
        end = at
        try:
            for word in stable(line):
                end = words.index(word, end) + 1
        except ValueError:
            lost.append(line)
        else:
            at = end
    return lost


class Reader:
    """Follows pages; what is wrong with one is an AssertionError that names page and line."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = pytester.path
        self._pytester = pytester
        self._env = monkeypatch
        self._last = 0
        self._changed = False  # whether the application is another one than the base's
        monkeypatch.setenv("PYTEST_ADDOPTS", QUICK)
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a file is written anew within the second
        monkeypatch.syspath_prepend(self.folder)

    def prepare(self, page: str) -> None:
        """Make the project that a reader of *page* is taken to have."""
        make_project(self.folder, page)
        if _has_benchmarks_before(page):
            (first,) = (block for block in blocks("README.md") if block.file == "benchmarks/test_generation.py")
            self.write("benchmarks/test_generation.py", first.text)

    def follow(self, page: str) -> None:
        """Run what is to be run of *page*, in order."""
        given = "\n".join(command.text for block in blocks(page) if block.is_run for command in _commands(block))
        if "--train" in given:
            pytest.importorskip("peft", reason="adapters need the extra training")
        self.prepare(page)
        keep_runs(self.folder, given)
        for block in blocks(page):
            if not block.is_run:
                continue
            with self._settings(block):
                if block.language == "console":
                    self._console(block)
                else:
                    self._file(block)

    @contextmanager
    def _settings(self, block: Block) -> Iterator[None]:
        """Let a block run under what its notes say."""
        conftest, before = self.folder / "conftest.py", None
        options = " -o sd_max_seconds=20 -o sd_rounds=5" if block.has("pretended") else ""
        if block.has("change"):
            keep_changed(self.folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", block.note("columns", "number") or "80")
            patch.setenv("PYTEST_ADDOPTS", f"{QUICK}{options} {block.note('with', 'options') or ''}")
            if block.has("miniature"):
                small = {name: replace(ARCHITECTURES[tiny], name=name, steps=1) for name, tiny in MINIATURES.items()}
                patch.setattr(ModelCatalog.__init__, "__defaults__", ({**ARCHITECTURES, **small},))
                large = ModelCatalog().architecture("sd15")
                assert large is not None
                assert large.parameters < 1e6
            if block.has("pretended"):
                before = conftest.read_text() if conftest.exists() else None
                conftest.write_text(PRETENDED)
                if any(command.words[:2] == ("sdbatch", "ab") for command in _commands(block)):
                    self._change()
                elif any(command.words[:1] == ("git",) for command in _commands(block)):
                    self._commit()
            yield
        if block.has("pretended"):
            conftest.unlink() if before is None else conftest.write_text(before)

    def _change(self) -> None:
        """Commit all there is and change the application, unless a page does."""
        if (self.folder / ".git").exists() and not self._changed:
            return
        with (self.folder / "conftest.py").open("a", encoding="utf-8") as conftest:
            conftest.write("\n\nimport app  # noqa: E402, F401 - whose versions are compared\n")
        if self._changed:
            return
        self._changed = True
        self._commit()
        with (self.folder / "app.py").open("a", encoding="utf-8") as app:
            app.write("# changed\n")

    def _commit(self) -> None:
        """Commit all there is, under a name that pages give a base."""
        for words in (
            ("init", "--quiet"),
            ("add", "--all"),
            ("commit", "--quiet", "--message=A state"),
            ("update-ref", "refs/remotes/origin/main", "HEAD"),
        ):
            subprocess.run(["git", *_GIT, *words], cwd=self.folder, check=True)

    def _console(self, block: Block) -> None:
        given = commands(block)
        for command in given:
            at = f"{block.page}:{command.line}: $ {command.text}"
            if command.words[:1] == ("echo",):
                shown = [line for line in command.shown if line]
                assert shown == [str(self._last)], f"{at}: exit status {self._last}"
                continue
            ended = self.run(command, one_process=block.has("one process"))
            self._last = ended.status
            status = block.note("exit status", "number")
            told = any(other.words[:1] == ("echo",) for other in given)
            if not told:
                wanted = int(status) if status and command is given[-1] else 0
                assert ended.status == wanted, f"{at}: exit status {ended.status}\n{ended.text}"
            lost = missing(command.shown, ended.text)
            assert not lost, f"{at}: does not print\n" + "\n".join(lost) + f"\nbut\n{ended.text}"

    def _file(self, block: Block) -> None:
        """Write the file that a block is, and run its tests, or those beside a conftest, once: commands measure."""
        name = block.file
        assert name is not None, f"{block.at}: which file is this? begin it with # PATH, or note it: <!-- file PATH -->"
        path = self.write(name, block.text)
        if path.name == "conftest.py":
            ended = self.run_pytest("--benchmark-disable", str(path.parent.relative_to(self.folder)))
        elif path.name.startswith("test_"):
            ended = self.run_pytest("--benchmark-disable", name)
        elif path.suffix == ".py":  # code that what comes below uses
            return
        else:
            ended = self.run_pytest("--collect-only", "--strict-config", *self._benchmarks())
        assert ended.ret == 0, f"{block.at}: exit status {ended.ret}\n{ended.stdout}\n{ended.stderr}"

    def _benchmarks(self) -> list[str]:
        return ["benchmarks/"] if (self.folder / "benchmarks").exists() else []

    def write(self, name: str, text: str) -> Path:
        """Write a file of the reader's project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run_pytest(self, *words: str, plugins: Sequence[object] = ()) -> pytest.RunResult:
        """Run pytest in this process and in the reader's folder."""
        return self._pytester.runpytest_inprocess(*words, plugins=list(plugins), no_reraise_ctrlc=True)

    def run(self, command: Command, *, one_process: bool = False) -> Ended:
        """Run *command*: in this process where it can be, since another one would import torch again."""
        words = [self._meant(word) for word in before_redirect(command.words)]
        rest = command.words[len(words) :]
        if one_process:
            words = [word for word in words if not word.startswith("--processes=")]
        program, arguments = words[0], list(words[1:])
        if program == "pytest":
            ended = _ended(self.run_pytest(*arguments))
        elif program == "sdbatch" and arguments[0] == "sweep" and not any("--processes" in word for word in words):
            ended = _ended(self.run_pytest(*pytest_arguments(*split(arguments[1:]))))
        elif program == "sdbatch" and arguments[0] not in ("sweep", "ab", "calibrate"):
            ended = self._main(arguments)
        else:
            own = {
                "sdbatch": [sys.executable, "-m", "pytest_sdbatch"],
                "pytest-benchmark": [sys.executable, "-m", "pytest_benchmark"],
                "python": [sys.executable],
                "git": ["git", *_GIT],
            }
            started = [*own.get(program, [shutil.which(program) or program]), *arguments]
            done = subprocess.run(
                started, cwd=self.folder, text=True, timeout=300, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **FEW_PLUGINS},
            )  # fmt: skip
            ended = Ended(status=done.returncode, text=done.stdout)
        if rest[:1] == (">",):
            (self.folder / rest[1]).write_text(ended.text, encoding="utf-8")
        return ended

    def _meant(self, word: str) -> str:
        """Return the file of the device where a page says DEVICE.json, for each reader has another."""
        if not word.endswith("/DEVICE.json"):
            return word
        (found,) = self.folder.glob(word.replace("DEVICE", "*"))
        return found.relative_to(self.folder).as_posix()

    def _main(self, arguments: list[str]) -> Ended:
        said = io.StringIO()
        modules = dict(sys.modules)
        try:
            with redirect_stdout(said), redirect_stderr(said):
                status = main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            for name in set(sys.modules) - set(modules):
                if name.startswith("conftest"):
                    del sys.modules[name]
        return Ended(status=status, text=said.getvalue())


def _commands(block: Block) -> list[Command]:
    return commands(block) if block.language == "console" else []


def _has_benchmarks_before(page: str) -> bool:
    """Whether a command of *page* runs benchmarks above the first block that is one."""
    for block in blocks(page):
        if block.language == "console" and "benchmarks" in block.text:
            return True
        if (block.file or "").startswith("benchmarks/test_"):
            return False
    return False


def _ended(result: pytest.RunResult) -> Ended:
    return Ended(status=int(result.ret), text=f"{result.stdout}\n{result.stderr}")
