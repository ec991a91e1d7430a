"""What ends the command without a verdict."""

from __future__ import annotations

from pytest_sdbatch.errors import SdbatchError


class NoComparison(SdbatchError):
    """The two sides cannot be compared: exit status 12."""


class WrongCommandLine(NoComparison):
    """What pytest was given means nothing to it: exit status 2."""


class StoppedBeforeAPair(SdbatchError):
    """It was told to stop before there was anything to judge: exit status 130."""

    def __init__(self, what: str = "stopped before a pair was run", *, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
