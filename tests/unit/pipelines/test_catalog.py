"""The catalog: names, near names, and everything that is not a name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.catalog import ModelCatalog


def test_facts_of_a_name_are_those_of_its_architecture() -> None:
    """Native resolution and steps are the defaults of the grid."""
    facts = ModelCatalog().facts("sdxl")

    assert (facts.weights, facts.height, facts.width, facts.steps, facts.factor) == ("random", 1024, 1024, 20, 8)
    assert facts.parameters == 3_468_837_867
    assert ModelCatalog().facts("sd21").height == 768


@pytest.mark.parametrize(
    ("name", "hint"), [("tiny-sdx", "did you mean tiny-sdxl"), ("SD15", ""), ("qqq", ""), ("tiny_sd", "tiny-sd")]
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, hint: str) -> None:
    """A typing error costs one look."""
    with pytest.raises(ModelError, match="unknown model") as error:
        ModelCatalog().facts(name)

    assert hint in error.value.fix
    assert "see `sdbatch models`" in error.value.fix


def test_a_path_that_does_not_exist_is_no_unknown_name() -> None:
    """The error speaks of the folder that was meant."""
    with pytest.raises(ModelError, match="no such folder"):
        ModelCatalog().facts("./nowhere")


def test_the_listing_has_every_model_and_its_bytes() -> None:
    """What `sdbatch models` prints: weights take 4 bytes a parameter in fp32, 2 in fp16 and bf16."""
    rows = {row.name: row for row in ModelCatalog().listing()}

    assert list(rows) == list(ARCHITECTURES)
    sd15 = rows["sd15"]
    assert sd15.parameters == 1_066_235_307
    assert sd15.weight_bytes == {"fp32": 4_264_941_228, "fp16": 2_132_470_614, "bf16": 2_132_470_614}


def test_a_catalog_may_hold_other_architectures() -> None:
    """Projects add their own."""
    catalog = ModelCatalog({"mine": ARCHITECTURES["tiny-sd"]})

    assert catalog.facts("mine").name == "mine"
    assert catalog.architecture("sd15") is None


def test_variants_are_read_by_the_table() -> None:
    """The grid asks the catalog, which asks the variants."""
    assert ModelCatalog().canonical_variant("compile+channels-last") == "channels-last+compile"


def test_looking_at_models_imports_no_torch() -> None:
    """Planning and listing are instant: nothing heavy is loaded for a name, a folder or an error."""
    code = """
import sys
from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.catalog import ModelCatalog
catalog = ModelCatalog()
catalog.facts("sdxl"), catalog.listing(), catalog.canonical_variant("compile")
try:
    catalog.facts(".")
except ModelError:
    pass
import pytest_sdbatch.pipelines.pool, pytest_sdbatch.pipelines.generation
print(sorted({"torch", "diffusers", "transformers", "numpy", "huggingface_hub"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
