"""Links of the pages that no site is made of lead somewhere; ``tox -e docs`` looks at those of docs/."""

from __future__ import annotations

import re

import pytest
from doc_blocks import ROOT


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_a_link_leads_to_a_file(page: str) -> None:
    """Relative ones, as a forge follows them."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))

    assert [link for link in links if not (ROOT / link).exists()] == []
