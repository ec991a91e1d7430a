"""What reads the command lines of ``sdbatch``: without abbreviations, and a mistyped name is told what was meant."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterable, Sequence
from typing import Any, NoReturn

import pytest

from pytest_sdbatch.errors import did_you_mean
from pytest_sdbatch.plain_text import plain

_ALIKE = 0.81  # --bsae and --base; but --basetemp and --setup-show are pytest's
_PLUGIN = "--sd-"  # begins the flags that pytest is given


class Parser(argparse.ArgumentParser):
    """Names what was typed without obeying it, and says what an unknown name may mean.

    Args:
        passes_on: whether what it does not know is another program's, so that only what is nearly its own is refused.
        given: all else that argparse takes.

    """

    def __init__(self, *given: Any, passes_on: bool = False, **named: Any) -> None:
        super().__init__(*given, **{"allow_abbrev": False, **named})
        self._passes_on = passes_on

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


class OwnFlags:
    """A plugin by which pytest, where it does not know a flag, names the one of the command that was meant.

    Args:
        flags: of the command, which reads them in front of ``--``.

    """

    def __init__(self, flags: Iterable[str]) -> None:
        self._flags = tuple(flags)

    @pytest.hookimpl(wrapper=True)  # once the conftest files have declared options of their own
    def pytest_load_initial_conftests(self, parser: pytest.Parser, args: list[str]) -> Generator[None, object, object]:
        """Before pytest refuses the flag."""
        result = yield
        for word in _unknown(parser, args):
            flag = word.partition("=")[0]
            if flag in self._flags:
                raise pytest.UsageError(f"{flag} is of the command, not of pytest\n  do:  write it before --")
            near = did_you_mean(flag, self._flags) if flag.startswith("--") else ""
            if near:
                raise pytest.UsageError(f"unknown option {flag}\n  do:  {near}")
        return result


def _unknown(parser: pytest.Parser, args: Sequence[str]) -> list[str]:
    return list(parser.parse_known_and_unknown_args(list(args))[1])
