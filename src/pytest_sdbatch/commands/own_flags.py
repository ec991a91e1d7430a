"""Flags of a command that were written where pytest reads: it names them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import pytest

from pytest_sdbatch.errors import did_you_mean


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
