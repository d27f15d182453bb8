"""Make docs/lineage.md from the declarations that are shipped, with the project of the `rcm` template.

.venv/bin/python tools/make_lineage.py
"""

from __future__ import annotations

from pathlib import Path

from carelake import declare, lineage_page

PAGE = Path(__file__).parents[1] / "docs" / "lineage.md"


def text() -> str:
    """The page, as it should be."""
    return lineage_page.page(declare.read(declare.shipped() / "templates" / "rcm"))


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"{PAGE.name}: {len(text().splitlines()):,} lines")
