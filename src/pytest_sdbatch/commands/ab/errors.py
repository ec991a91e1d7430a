"""What ends the command without a verdict."""

from __future__ import annotations

from pytest_sdbatch.errors import SdbatchError


class NoComparison(SdbatchError):
    """The two sides cannot be compared: exit status 12."""


class WrongCommandLine(NoComparison):
    """What pytest was given means nothing to it: exit status 2."""
