"""A store for tests of what a node plans by."""

from __future__ import annotations

from stores import scripted  # noqa: F401 - a fixture
