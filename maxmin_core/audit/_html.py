"""What pages of an audit are made of: their style, paragraphs, tables, numbers with intervals."""

from html import escape

__all__ = ["STYLE", "number", "paragraph", "share", "table"]

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #505a66; --line: #c9d0d8; --card: #f3f5f8;
  --g0: #505a66; --g1: #0b57a4; --g2: #a33c00; --g3: #1d6b35; --g4: #6b2fa0; --g5: #7a5a00; --g6: #9c1c5b; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e8eaed; --soft: #b3bcc7; --line: #49525d;
  --card: #1f242b; --g0: #b3bcc7; --g1: #7db7ff; --g2: #ffab7d; --g3: #8ddba3; --g4: #d0a6ff; --g5: #f0cf6a;
  --g6: #ff9cc9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
.verdict { background: var(--card); border-left: 0.4rem solid var(--g1); padding: 0.7rem 1rem; margin: 1rem 0; }
.verdict p { margin: 0.4rem 0; } .verdict strong { font-size: 1.1rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; min-width: 34rem; overflow-wrap: normal; }
caption { text-align: left; color: var(--soft); padding: 0.3rem 0; }
th, td { text-align: left; padding: 0.3rem 0.7rem 0.3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.2rem 0; } figcaption { color: var(--soft); font-size: 0.92rem; }
svg text { fill: var(--ink); font-size: 13px; } svg text.end { fill: var(--soft); font-size: 12px; }
svg line { stroke-width: 2; } svg line.zero { stroke: var(--line); stroke-width: 1; }
""" + "".join(
    f"svg .g{k} {{ stroke: var(--g{k}); fill: var(--g{k}); }} .t{k} {{ color: var(--g{k}); }}\n" for k in range(7)
)


def paragraph(text):
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>\n"


def share(found):
    """Return a share with its interval in words."""
    if found is None or found[0] is None:
        return "unknown"
    if found[1] is None:
        return f"{found[0]:.0%}"
    return f"{found[0]:.0%} ({found[1]:.0%} to {found[2]:.0%})"


def number(found, digits=2):
    """Return a number with its interval in words."""
    return f"{found[0]:z.{digits}f} ({found[1]:z.{digits}f} to {found[2]:z.{digits}f})"


def table(caption, head, rows):
    """Return a table that scrolls where it is wide; the first column names the rows."""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(
        "<tr>"
        + f'<th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td{_kind(cell)}>{escape(str(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>\n"
    )


def _kind(cell):
    return ' class="n"' if isinstance(cell, str) and cell[:1].isdigit() and len(cell) < 24 else ""
