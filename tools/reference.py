"""Write the generated pages of docs/reference from the code: ``python tools/reference.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reference_code import cell, commands_page, files_page, python_page

from pytest_sdbatch import units
from pytest_sdbatch.options import GROUPS, TABLE, flag_of
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.variants import VARIANTS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
BY_DEVICE_AND_MODEL = dict.fromkeys(("models", "steps", "resolutions", "dtypes"), "by device and model")
OPTIONS_HEAD = """# Options

Made from the table in `src/pytest_sdbatch/options.py` by `python tools/reference.py`.

Every option is an ini key `sd_...`; a flag is there for what is used daily, and `-o sd_...=value` sets the others from
the command line. What is typed wins over a marker `@pytest.mark.sdbatch(...)`, a marker over the configuration file,
the file over the default. Axes are plural; their singular spelling is accepted too. In a file or a marker a value may
be text, a number or a list.
"""
MODELS_HEAD = """# Models

Made from the catalog in `src/pytest_sdbatch/pipelines/architectures/` by `python tools/reference.py`.

What `--sd-models` can name without a path. Each is an architecture, built with seeded random weights on the device that
is measured; nothing is downloaded. Trained weights are given as a folder, a `.safetensors` file or a hub id
(`org/name@revision`). A project adds its own: see [extend.md](../how-to/extend.md).

Parameters and sizes are those of all components, text encoders and VAE included; sizes are of the weights alone.

| name | parameters | fp32 | fp16, bf16 | native size | steps | what |
|---|---:|---:|---:|---|---:|---|
"""
PARTS_HEAD = """
## Parameters by component

| name | pipeline of diffusers | components |
|---|---|---|
"""
VARIANTS_HEAD = """# Variants

Made from the table in `src/pytest_sdbatch/pipelines/variants` by `python tools/reference.py`.

What `--sd-variants` can name: ways of running the same weights. `+` joins, `,` separates:
`--sd-variants=eager,channels-last+vae-slicing` measures two. Parts may be written in any order; ids have them in the
order of this table. A project adds its own: see [extend.md](../how-to/extend.md).

| name | what |
|---|---|
"""


def options_page() -> str:
    """Return the page of options."""
    lines = [OPTIONS_HEAD]
    for group, title in GROUPS.items():
        lines += [f"## {title.removeprefix('pytest-sdbatch: ').capitalize()}", ""]
        lines += ["| flag | ini key | marker | default | meaning |", "|---|---|---|---|---|"]
        for row in TABLE:
            if row.group == group:
                flag = f"`{flag_of(row)}{'=' + row.flag if row.flag else ''}`" if row.flag is not None else ""
                marker = f"`{row.name}=`" if row.marker else ""
                default = f"`{row.default}`" if row.default else BY_DEVICE_AND_MODEL.get(row.name, "")
                lines.append(f"| {flag} | `sd_{row.name}` | {marker} | {default} | {cell(row.help)} |")
        lines.append("")
    return "\n".join(lines)


def models_page() -> str:
    """Return the page of models."""
    lines = []
    for row in ModelCatalog().listing():
        entry = ARCHITECTURES[row.name]
        size = f"{entry.height}x{entry.width}" + (f", {entry.frames} frames" if entry.frames else "")
        fp32, fp16 = (units.memory(row.weight_bytes[dtype]) for dtype in ("fp32", "fp16"))
        figures = f"{entry.parameters:,} | {fp32} | {fp16} | {size} | {entry.steps}"
        lines.append(f"| `{row.name}` | {figures} | {cell(row.what)} |\n")
    parts = []
    for entry in ARCHITECTURES.values():
        weights = ", ".join(f"{key} {part.parameters:,}" for key, part in entry.components.items() if part.parameters)
        parts.append(f"| `{entry.name}` | `{entry.pipeline_class}` | {weights} |\n")
    return MODELS_HEAD + "".join(lines) + PARTS_HEAD + "".join(parts)


def variants_page() -> str:
    """Return the page of variants."""
    return VARIANTS_HEAD + "".join(f"| `{row.name}` | {cell(row.what)} |\n" for row in VARIANTS.values())


PAGES: Mapping[str, Callable[[], str]] = {
    "options.md": options_page,
    "models.md": models_page,
    "variants.md": variants_page,
    "commands.md": commands_page,
    "python.md": python_page,
    "files.md": files_page,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
