"""Figures that a reader moves: bars and curves with sliders, whose every state was computed when the page was made."""

import html
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any


def bar_slider(
    *,
    labels: Sequence[str],
    controls: Sequence[tuple[str, Sequence[str], int]],
    frames: Sequence[Mapping[str, Any]],
    mark: Sequence[float],
    alt: str,
    caption: str,
    name: str,
) -> None:
    """Show horizontal bars of shares that sliders move: precomputed values and a small script, no kernel, no network.

    Parameters
    ----------
    labels : sequence of str
        One a bar.
    controls : sequence of (str, sequence of str, int)
        A slider's label, its printed positions and where it starts.
    frames : sequence of dict
        One for every combination of positions, the last control running fastest: ``bars``, a list of shares between
        0 and 1, and ``note``, a sentence.
    mark : sequence of float
        A reference mark on every bar, between 0 and 1.
    alt : str
        What somebody who cannot see the figure needs to know.
    caption : str
        Plain text.
    name : str
        The label for cross-references.

    Raises
    ------
    ValueError
        When frames, bars and positions do not fit, a bar is outside of [0, 1], or a text is empty.
    """
    for frame in [*frames, {"bars": mark}]:
        if len(frame["bars"]) != len(labels) or not all(0 <= bar <= 1 for bar in frame["bars"]):
            raise ValueError(f"frames: expected {len(labels)} shares in [0, 1], got {frame['bars']!r:.80}")
    start = _start(controls, frames)
    bars = "".join(
        f'<div class="mm-row"><span class="mm-label">{html.escape(label)}</span><span class="mm-track">'
        f'<span class="mm-fill" style="width:{100 * bar:.2f}%"></span>'
        f'<span class="mm-mark" style="left:{100 * reference:.2f}%"></span></span>'
        f'<span class="mm-value">{bar:.3f}</span></div>'
        for label, bar, reference in zip(labels, frames[start]["bars"], mark, strict=True)
    )
    content = f'<div class="mm-bars" role="group" aria-label="{html.escape(alt)}">{bars}</div>'
    data = [{"bars": [round(bar, 4) for bar in frame["bars"]], "note": frame["note"]} for frame in frames]
    _show_slider(controls, data, start, content, alt, caption, name)


def curve_slider(
    *,
    labels: Sequence[tuple[str, str]],
    x: Sequence[float],
    x_axis: tuple[str, Sequence[float]],
    y_axis: tuple[str, Sequence[float]],
    controls: Sequence[tuple[str, Sequence[str], int]],
    frames: Sequence[Mapping[str, Any]],
    alt: str,
    caption: str,
    name: str,
) -> None:
    """Show curves on logarithmic axes that sliders move: precomputed values and a small script, no kernel, no network.

    Parameters
    ----------
    labels : sequence of (str, str)
        A curve's name and its look: ``"a"``, ``"a dashed"``, ``"a dotted"``, ``"a dashed dotted"``, ``"b"``, ... a
        colour and a line.
    x : sequence of float
        Where the curves are given, above 0.
    x_axis : (str, sequence of float)
        The label with its unit, and the ticks. The outer ticks are the axis's ends; what lies beyond is drawn there.
    y_axis : (str, sequence of float)
        The same for the vertical axis.
    controls : sequence of (str, sequence of str, int)
        A slider's label, its printed positions and where it starts.
    frames : sequence of dict
        One for every combination of positions, the last control running fastest: ``curves``, for every label a list
        of numbers above 0, one for every ``x``, and ``note``, a sentence.
    alt : str
        What somebody who cannot see the figure needs to know.
    caption : str
        Plain text.
    name : str
        The label for cross-references.

    Raises
    ------
    ValueError
        When frames, curves and positions do not fit, a value is not above 0, or a text is empty.
    """
    for frame in frames:
        fits = len(frame["curves"]) == len(labels) and all(len(curve) == len(x) for curve in frame["curves"])
        if not fits or not all(0 < value < math.inf for curve in frame["curves"] for value in curve):
            raise ValueError(
                f"frames: expected {len(labels)} curves of {len(x)} numbers above 0, got {frame['curves']!r:.80}"
            )
    for argument, (_, ticks) in (("x_axis", x_axis), ("y_axis", y_axis)):
        if len(ticks) < 2 or not all(0 < a < b for a, b in itertools.pairwise(ticks)):
            raise ValueError(f"{argument}: expected at least two rising ticks above 0, got {ticks!r:.80}")
    if not all(0 < value < math.inf for value in x):
        raise ValueError(f"x: expected finite numbers above 0, got {x!r:.80}")
    for label, look in labels:
        if not set(look.split()) <= {"a", "b", "dashed", "dotted"}:
            raise ValueError(f"labels: expected a look of a, b, dashed, dotted, got {look!r} for {label!r}")
    start = _start(controls, frames)
    left, right, top, bottom = 92, 628, 12, 300

    def place(value, axis, low, high):
        first, last = (math.log10(tick) for tick in (axis[1][0], axis[1][-1]))
        return round(low + (high - low) * min(max((math.log10(value) - first) / (last - first), 0), 1), 1)

    columns = [place(value, x_axis, left, right) for value in x]
    data = [
        {
            "curves": [[place(value, y_axis, bottom, top) for value in curve] for curve in frame["curves"]],
            "note": frame["note"],
        }
        for frame in frames
    ]

    def path(rows):
        return "M" + "L".join(f"{column:g} {row:g}" for column, row in zip(columns, rows, strict=True))

    parts = [f'<path class="mm-axis" d="M{left} {top}V{bottom}H{right}"/>']
    for tick in x_axis[1]:
        at = place(tick, x_axis, left, right)
        parts.append(f'<path class="mm-axis" d="M{at} {bottom}v5"/><text x="{at}" y="{bottom + 26}">{tick:g}</text>')
    for tick in y_axis[1]:
        at = place(tick, y_axis, bottom, top)
        parts.append(f'<path class="mm-axis" d="M{left} {at}h-5"/>')
        parts.append(f'<text class="mm-left" x="{left - 9}" y="{at + 6}">{tick:g}</text>')
    middle = (top + bottom) / 2
    parts.append(f'<text x="{(left + right) / 2}" y="{bottom + 52}">{html.escape(x_axis[0])}</text>')
    parts.append(f'<text transform="translate(18 {middle}) rotate(-90)">{html.escape(y_axis[0])}</text>')
    for (_, look), rows in zip(labels, data[start]["curves"], strict=True):
        parts.append(f'<path class="mm-curve mm-{look.replace(" ", " mm-")}" d="{path(rows)}"/>')
    sample = '<svg viewBox="0 0 30 8" aria-hidden="true"><path class="mm-{}" d="M0 4H30"/></svg>'
    legend = "".join(
        f"<li>{sample.format(look.replace(' ', ' mm-'))}{html.escape(label)}</li>" for label, look in labels
    )
    content = (
        f'<svg class="mm-curves" viewBox="0 0 640 362" role="img" aria-label="{html.escape(alt)}" '
        f'data-x="{json.dumps(columns)}">{"".join(parts)}</svg><ul class="mm-legend">{legend}</ul>'
    )
    _show_slider(controls, data, start, content, alt, caption, name)


def _start(controls, frames):
    """Return the index of the frame that the sliders start at; ValueError where the frames do not fit the positions."""
    expected = math.prod(len(positions) for _, positions, _ in controls)
    if len(frames) != expected:
        raise ValueError(f"frames: expected one for each of {expected} combinations of positions, got {len(frames)}")
    start = 0
    for label, positions, position in controls:
        if not 0 <= position < len(positions):
            raise ValueError(f"controls: expected a start in 0..{len(positions) - 1} for {label!r}, got {position}")
        start = start * len(positions) + position
    return start


def _show_slider(controls, frames, start, content, alt, caption, name):
    """Show a figure that stands alone: its first state is in the markup, the script only moves it."""
    from IPython.display import display

    for argument, value in [("alt", alt), ("caption", caption), ("name", name)]:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{argument}: expected a text, got {value!r}")
    text = html.escape
    sliders = "".join(_control(*control) for control in controls)
    data = {"positions": [positions for _, positions, _ in controls], "frames": frames}
    # '<' is written as an escape so that no text can close the script element.
    payload = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    script, sheet = ((files(__package__) / file).read_text(encoding="utf-8") for file in ("slider.js", "slider.css"))
    markup = (
        f'<figure class="mm-slider" id="{text(name)}"><style>{sheet}</style>{sliders}{content}'
        f'<p class="mm-note" aria-live="polite">{text(frames[start]["note"])}</p>'
        f"<figcaption>{text(caption)}</figcaption>"
        f'<script type="application/json">{payload}</script><script>{script}</script></figure>'
    )
    display({"text/html": markup, "text/plain": alt}, raw=True)


def _control(label, positions, position):
    """Return a slider for numbers, a list for words, which have no order to slide along."""
    label, shown = html.escape(label), [html.escape(text) for text in positions]
    if not any(text.lstrip("-−")[:1].isdigit() for text in positions):
        chosen = ["", " selected"]
        options = (f'<option value="{k}"{chosen[k == position]}>{text}</option>' for k, text in enumerate(shown))
        return f'<label class="mm-control"><span>{label}:</span><select>{"".join(options)}</select></label>'
    return (
        f'<label class="mm-control"><span>{label}: <output>{shown[position]}</output></span>'
        f'<input type="range" min="0" max="{len(shown) - 1}" step="1" value="{position}" '
        f'aria-label="{label}" aria-valuetext="{shown[position]}"></label>'
    )
