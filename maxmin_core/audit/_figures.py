"""Figures as SVG whose places are in per cent: they fit any width, follow light and dark, and need nothing else."""

from html import escape

__all__ = ["dots"]

_ROW, _TOP = 34, 8


def dots(rows, *, alt, caption, line=None, unit="", ends=None):
    """Return a figure with one row an entry: a label, and points with intervals.

    rows : list of (label, list of (value, low, high, colour number)); low and high may be None.
    line : where a thin upright line stands; ends : the axis's ends, else those of the data.
    """
    values = [x for _, points in rows for value, low, high, _ in points for x in (value, low, high) if x is not None]
    low, high = ends or (
        min([*values, *([] if line is None else [line])]),
        max([*values, *([] if line is None else [line])]),
    )
    if low == high:
        low, high = low - 1, high + 1

    def at(x):
        return f"{3 + 94 * (min(max(x, low), high) - low) / (high - low):.2f}%"

    height = _TOP + _ROW * len(rows) + 24
    parts = [f'<svg role="img" width="100%" height="{height}" aria-label="{escape(alt)}">']
    if line is not None:
        parts.append(f'<line class="zero" x1="{at(line)}" x2="{at(line)}" y1="0" y2="{height - 24}"/>')
    for number, (label, points) in enumerate(rows):
        y = _TOP + _ROW * number
        parts.append(f'<text x="0" y="{y + 10}">{escape(label)}</text>')
        for k, (value, left, right, colour) in enumerate(points):
            level = y + 20 + 5 * k - (2 * (len(points) - 1))
            if left is not None and right is not None:
                parts.append(f'<line class="g{colour}" x1="{at(left)}" x2="{at(right)}" y1="{level}" y2="{level}"/>')
            parts.append(f'<circle class="g{colour}" cx="{at(value)}" cy="{level}" r="4"/>')
    parts.append(f'<text class="end" x="3%" y="{height - 6}">{low:z.2g}{unit}</text>')
    parts.append(f'<text class="end" x="97%" y="{height - 6}" text-anchor="end">{high:z.2g}{unit}</text></svg>')
    return f"<figure>{''.join(parts)}<figcaption>{escape(caption)}</figcaption></figure>"
