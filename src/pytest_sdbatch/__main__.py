"""``python -m pytest_sdbatch`` is ``sdbatch``: for launchers that start a module, such as ``accelerate launch -m``."""

from __future__ import annotations

import sys

from pytest_sdbatch.cli import main

if __name__ == "__main__":
    sys.exit(main())
