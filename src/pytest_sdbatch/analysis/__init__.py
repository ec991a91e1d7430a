"""What the numbers mean: pure functions on values; numpy and scipy only here.

The gate's decision is public: :func:`decide`, what it takes and what it returns, resolved when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.config import Config
    from pytest_sdbatch.analysis.decision import decide
    from pytest_sdbatch.analysis.explanation import Explanation
    from pytest_sdbatch.analysis.verdict import CaseVerdict, Decision, Verdict

_HOMES = {
    "CaseVerdict": "verdict",
    "Config": "config",
    "Decision": "verdict",
    "Explanation": "explanation",
    "Verdict": "verdict",
    "decide": "decision",
}

__all__ = ["CaseVerdict", "Config", "Decision", "Explanation", "Verdict", "decide"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
