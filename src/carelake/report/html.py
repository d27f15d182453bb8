"""A page -> HTML that stands alone: no script, nothing from elsewhere, fit for paper, for a phone and to be read aloud.

Every word is escaped, whoever gave it: a name of a feed or the reason for a rollback can hold anything. Pure.
"""

from __future__ import annotations

import re
from html import escape

from .sheet import Grid, Section, Sheet, Words

# Signs that could steer a terminal, hide text, or turn its direction around.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
NUMBER = re.compile(r"[+-]?[0-9][0-9,]*(\.[0-9]+)?( %)?")
TONES = {
    **dict.fromkeys(("failed", "not", "F", "missed", "overdue", "beyond"), "bad"),
    **dict.fromkeys(("warned", "with care", "D", "held", "open"), "care"),
    **dict.fromkeys(("done", "holds", "may be used", "A", "met"), "good"),
}
# The browser itself is told to load nothing and to run nothing, should a word ever escape the escaping.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; margin: 0 auto; padding: 1rem;
  max-width: 72rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 2px solid #1b1b1b; }
p { margin: .5rem 0; max-width: 48rem; white-space: pre-line; }
p.loud { border: 2px solid #8a1c1c; padding: .5rem .75rem; font-weight: 600; }
.wide { overflow-x: auto; margin: .75rem 0 1.25rem; }
.wide:focus { outline: 3px solid #1a4e8a; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #767676;
  min-width: 4rem; overflow-wrap: break-word; }
thead th { border-bottom: 2px solid #1b1b1b; }
tbody th { font-weight: 400; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: #14532d; font-weight: 600; }
.care { color: #7a4b00; font-weight: 600; }
.bad { color: #8a1c1c; font-weight: 600; }
footer { margin-top: 2rem; font-size: .9rem; }
@page { margin: 15mm; }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  .wide { overflow: visible; }
  thead { display: table-header-group; }
  tr, p.loud { break-inside: avoid; }
  h2, caption { break-after: avoid; }
}
"""


def html(sheet: Sheet, footer: str) -> str:
    """The whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>{safe(sheet.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{safe(sheet.title)}</h1>\n<p>{safe(sheet.about)}</p>\n</header>\n<main>\n"
        + "".join(_section(number, one) for number, one in enumerate(sheet.sections, 1))
        + f"</main>\n<footer>\n<p>{safe(footer)}</p>\n</footer>\n</body>\n</html>\n"
    )


def safe(text: str) -> str:
    """A word that can stand anywhere in the page, and be seen for what it is."""
    return escape(HIDDEN.sub("\ufffd", text), quote=True)


def _section(number: int, section: Section) -> str:
    name, title = f"s{number}", safe(section.title)
    parts = "".join(
        _grid(f"t{number}-{n}", one) if isinstance(one, Grid) else _words(one) for n, one in enumerate(section.parts)
    )
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n{parts}</section>\n'


def _words(words: Words) -> str:
    return f'<p class="loud">{safe(words.text)}</p>\n' if words.loud else f"<p>{safe(words.text)}</p>\n"


def _grid(name: str, grid: Grid) -> str:
    """A table that a narrow screen scrolls, also with the keyboard."""
    columns = range(len(grid.columns))
    numeric = [all(NUMBER.fullmatch(row[n]) for row in grid.rows if row[n]) for n in columns]
    head = "".join(_cell("th", "col", grid.columns[n], "n" if numeric[n] else "") for n in columns)
    body = "".join(f"<tr>{_row(row, numeric)}</tr>\n" for row in grid.rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-labelledby="{name}">\n<table>\n'
        f'<caption id="{name}">{safe(grid.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def _row(cells: tuple[str, ...], numeric: list[bool]) -> str:
    tones = ["n" if is_number else TONES.get(text, "") for text, is_number in zip(cells, numeric, strict=True)]
    return "".join(_cell("td" if n else "th", "" if n else "row", text, tones[n]) for n, text in enumerate(cells))


def _cell(tag: str, scope: str, text: str, tone: str) -> str:
    of = f' scope="{scope}"' if scope else ""
    look = f' class="{tone}"' if tone else ""
    return f"<{tag}{of}{look}>{safe(text)}</{tag}>"
