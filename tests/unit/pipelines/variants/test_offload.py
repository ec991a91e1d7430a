"""Offloading; what needs an accelerator is tested on one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.variants.offload import by_group, check_group


def test_a_pipeline_that_diffusers_cannot_offload_says_so() -> None:
    """A component without support ends in diffusers' own reason, a pipeline without the method in ours."""

    def refuse(**_: object) -> None:
        raise ValueError("AutoencoderX does not support group offloading.\nMore.")

    with pytest.raises(ModelError, match="group-offload") as error:
        by_group(SimpleNamespace(enable_group_offload=refuse), "cpu")
    assert error.value.why == "AutoencoderX does not support group offloading."

    with pytest.raises(ModelError, match="group-offload cannot be applied"):
        by_group(SimpleNamespace(), "cpu")


def test_an_accelerator_is_never_asked_to_prove_group_offloading() -> None:
    """Where there is one, diffusers has always been able to; nothing is imported to find out."""
    check_group("cuda:0")
