"""Make docs/data-dictionary.md from the declarations that are shipped, with the project of the `rcm` template.

.venv/bin/python tools/make_dictionary.py
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from carelake import dictionary, gold, project
from carelake.lake import opened

PAGE = Path(__file__).parents[1] / "docs" / "data-dictionary.md"


def text() -> str:
    """The page, as it should be. The types of marts are those that they have in an empty lake."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "rcm"
        project.make(made, "rcm")
        with opened(made, {}, writing=True) as lake:
            gold.lay_out_references(lake.engine, lake.declared)
            for _ in gold.build(lake.engine, lake.declared, date(2024, 11, 30)):
                pass
            built = {name: lake.engine.columns(f"gold.{name}") for name in lake.declared.marts}
            return dictionary.page(lake.declared, built)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(PAGE.read_text().splitlines()):,} lines\n")
