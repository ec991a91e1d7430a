"""What the tests of the bridges share."""

from __future__ import annotations

from stores import scripted  # noqa: F401 - a fixture
