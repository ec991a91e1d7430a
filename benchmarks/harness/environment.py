"""The environment that a command is timed in."""

from __future__ import annotations

import os


def users_environment() -> dict[str, str]:
    """Return the variables of a user, who keeps compiled modules, as whatever installs a package does.

    Without them every command pays for compiling all that it imports, which takes longer than its work.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
