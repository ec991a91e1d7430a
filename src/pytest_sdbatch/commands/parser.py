"""What reads the command lines of ``sdbatch``: without abbreviations, and a mistyped name is told what was meant."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pytest_sdbatch.bridges.pytest_options import flags
from pytest_sdbatch.errors import OptionError, did_you_mean
from pytest_sdbatch.options import TABLE
from pytest_sdbatch.plain_text import plain

_ALIKE = 0.81  # --bsae and --base; but --basetemp and --setup-show are pytest's
_PLUGIN = "--sd-"  # begins the flags that pytest is given
_SWITCHES = [flag for row in TABLE if row.flag is not None and row.kind == "switch" for flag in flags(row)]
_WHOLE = re.compile(r"-[vqsxl]+|-[rn]\w+|.*=.*")  # flags of pytest behind which no value of theirs stands


class Parser(argparse.ArgumentParser):
    """Names what was typed without obeying it, and says what an unknown name may mean.

    Args:
        passes_on: whether what it does not know is another program's, so that only what is nearly its own is refused.
        given: all else that argparse takes.

    """

    def __init__(self, *given: Any, passes_on: bool = False, **named: Any) -> None:
        super().__init__(*given, **{"allow_abbrev": False, **named})
        self._passes_on = passes_on

    @property
    def switches(self) -> list[str]:
        """Its flags that take no value."""
        return [flag for action in self._actions if action.nargs == 0 for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Print the usage and *message* and end the process."""
        super().error(plain(message))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, once every name is known: else a value behind a mistyped flag would be the mistake."""
        commands = self._commands()
        words = list(args or ())
        first = next((at for at, word in enumerate(words) if not word.startswith("-")), len(words))
        own = words[:first] if commands else words  # what stands behind a command is that one's
        for word in own[: own.index("--")] if "--" in own else own:
            self._check(word.partition("=")[0])
        if commands and first < len(words) and words[first] not in commands:
            near = did_you_mean(words[first], commands) or f"there are {', '.join(commands)}"
            self.error(f"unknown command {words[first]}: {near}")
        return super().parse_known_args(args, namespace)

    def _commands(self) -> list[str]:
        actions = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return [name for action in actions for name in action.choices]

    def _check(self, flag: str) -> None:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        if not flag.startswith("--") or flag in known:
            return
        if self._passes_on:
            near = did_you_mean(flag, known, alike=_ALIKE)
            if near:
                self.error(f"unknown option {flag}: {near} What is meant for pytest stands behind --")
            return
        near = did_you_mean(f"--{flag.removeprefix(_PLUGIN)}" if flag.startswith(_PLUGIN) else flag, known)
        self.error(f"unknown option {flag}: {near or f'see {self.prog} --help'}")


def refuse_paths(
    before: Sequence[str], behind: Sequence[str] | None, *, command: str, switches: Iterable[str] = ()
) -> None:
    """Refuse benchmarks in front of ``--``: pytest would run them, and the shipped ones besides.

    Args:
        before: the words in front of it.
        behind: those behind it; None: there is no ``--``.
        command: that was typed.
        switches: flags of its own that take no value.

    Raises:
        OptionError: with the line to type.

    """
    paths = dict(_paths(before, [*switches, *_SWITCHES]))
    if paths:
        kept = [word for at, word in enumerate(before) if at not in paths]
        raise OptionError(
            f"{next(iter(paths.values()))} stands before --",
            why="benchmarks are named behind it; without it those that ship with the plugin are run",
            fix=shlex.join([*command.split(), *kept, "--", *paths.values(), *(behind or ())]),
        )


def _paths(words: Sequence[str], switches: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the places of files, folders and their tests among *words*; not of what may be the value of a flag."""
    for at, (flag, word) in enumerate(zip(("", *words), words, strict=False)):
        may_be_value = flag.startswith("-") and flag not in switches and not _WHOLE.fullmatch(flag)
        if not word.startswith("-") and not may_be_value and Path(word.partition("::")[0]).exists():
            yield at, word
