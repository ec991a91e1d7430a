"""What ends the command without a verdict."""

from __future__ import annotations

from pytest_sdbatch.errors import SdbatchError


class NoComparison(SdbatchError):
    """The two sides cannot be compared: exit status 12."""
