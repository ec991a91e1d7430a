"""pytest-sdbatch: batch size or batch count? Benchmarks of diffusers pipelines, and the answer.

The public names are resolved when they are used: importing the package imports neither torch nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.parity import Parity
    from pytest_sdbatch.bridges.measuring import SdBenchmark, SdTraining
    from pytest_sdbatch.errors import SdbatchError
    from pytest_sdbatch.grid.case import Case
    from pytest_sdbatch.pipelines.catalog import Model
    from pytest_sdbatch.pipelines.dtypes import torch_dtype
    from pytest_sdbatch.pipelines.generation import Batch
    from pytest_sdbatch.pipelines.parity import check_parity
    from pytest_sdbatch.pipelines.variants import Variant
    from pytest_sdbatch.records import Outcome, Record, Round, Run
    from pytest_sdbatch.storage.run_file import read_run_file
    from pytest_sdbatch.training.noise_scale import measure_noise_scale

_HOMES = {
    "Batch": "pipelines.generation",
    "Case": "grid.case",
    "Model": "pipelines.catalog",
    "Outcome": "records",
    "Parity": "analysis.parity",
    "Record": "records",
    "Round": "records",
    "Run": "records",
    "SdBenchmark": "bridges.measuring",
    "SdTraining": "bridges.measuring",
    "SdbatchError": "errors",
    "Variant": "pipelines.variants",
    "check_parity": "pipelines.parity",
    "measure_noise_scale": "training.noise_scale",
    "read_run_file": "storage.run_file",
    "torch_dtype": "pipelines.dtypes",
}

__all__ = [
    "Batch",
    "Case",
    "Model",
    "Outcome",
    "Parity",
    "Record",
    "Round",
    "Run",
    "SdBenchmark",
    "SdTraining",
    "SdbatchError",
    "Variant",
    "check_parity",
    "measure_noise_scale",
    "read_run_file",
    "torch_dtype",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
