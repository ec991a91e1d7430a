"""Which models are made for trying the tool: what they are measured at recommends nothing."""

from __future__ import annotations

import re


def is_tiny(model: str | None) -> bool:
    """Return whether *model*, a catalog name, folder or hub id, is one of those made for trying the tool."""
    return model is not None and re.split(r"[/\\]", model.rstrip("/\\"))[-1].startswith("tiny-")
