"""Write docs/reference/options.md from the table of options: ``python tools/options_reference.py``."""

from __future__ import annotations

from pathlib import Path

from pytest_sdbatch.options import GROUPS, TABLE, flag_of

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "options.md"
BY_DEVICE_AND_MODEL = dict.fromkeys(("models", "steps", "resolutions", "dtypes"), "by device and model")
HEAD = """# Options

Made from the table in `src/pytest_sdbatch/options.py` by `python tools/options_reference.py`.

Every option is an ini key `sd_...`; a flag is there for what is used daily, and `-o sd_...=value` sets the others from
the command line. What is typed wins over a marker `@pytest.mark.sdbatch(...)`, a marker over the configuration file,
the file over the default. Axes are plural; their singular spelling is accepted too. In a file or a marker a value may
be text, a number or a list.
"""


def reference() -> str:
    """Return the page."""
    lines = [HEAD]
    for group, title in GROUPS.items():
        lines += [f"## {title.removeprefix('pytest-sdbatch: ').capitalize()}", ""]
        lines += ["| flag | ini key | marker | default | meaning |", "|---|---|---|---|---|"]
        for row in TABLE:
            if row.group == group:
                flag = f"`{flag_of(row)}{'=' + row.flag if row.flag else ''}`" if row.flag is not None else ""
                marker = f"`{row.name}=`" if row.marker else ""
                default = f"`{row.default}`" if row.default else BY_DEVICE_AND_MODEL.get(row.name, "")
                lines.append(f"| {flag} | `sd_{row.name}` | {marker} | {default} | {row.help} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
