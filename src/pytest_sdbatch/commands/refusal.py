"""How a command that only reads and writes files ends where it refuses."""

from __future__ import annotations

import sys

from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.errors import OptionError, SdbatchError


def refused(error: SdbatchError) -> ExitStatus:
    """Print *error*, and return the exit status that goes with it: of a wrong command line, or of a file."""
    print(f"ERROR: {error}", file=sys.stderr)
    return ExitStatus.USAGE if isinstance(error, OptionError) else ExitStatus.NOT_WRITTEN
