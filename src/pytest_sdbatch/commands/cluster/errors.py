"""What ends a sweep on a cluster before it measures, or when nobody is left who could."""

from __future__ import annotations

from pytest_sdbatch.errors import SdbatchError


class ClusterError(SdbatchError):
    """The cluster, or a node of it, cannot measure what it is asked for."""
