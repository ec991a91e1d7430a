"""The example of docs/how-to/parity.md, as a user would run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "parity.md"


def test_the_page_on_parity_works_as_written(pytester: pytest.Pytester) -> None:
    """Its code passes at the command line that it gives."""
    text = PAGE.read_text(encoding="utf-8")
    pytester.makepyfile(test_parity="\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    (command,) = re.findall(r"^\$ pytest (.*)$", text, re.MULTILINE)

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--sd-device=cpu", *command.split())

    result.assert_outcomes(passed=2)
