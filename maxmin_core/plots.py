"""One figure style; every figure leaves with its alternative text and its caption."""

import html
import itertools
import json
from importlib.resources import files

__all__ = ["bar_slider", "show", "style"]


def style():
    """Set the book's figure style: seaborn ticks, a colour-blind-safe palette, transparent ground, SVG output.

    Returns the palette, a list of RGB tuples.
    """
    import seaborn as sns
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg")
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette="colorblind",
        rc={
            "figure.figsize": (7.0, 3.6),
            "figure.constrained_layout.use": True,
            # The page shows through, in light and in dark mode.
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "legend.frameon": False,
            "font.size": 11,
            # The same figure gives the same file: no random ids.
            "svg.hashsalt": "maxmin",
        },
    )
    return sns.color_palette("colorblind")


def show(figure, *, alt, caption, name):
    """Show a matplotlib figure as SVG with its alternative text, and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str, what somebody who cannot see the figure needs to know
    caption : str, Markdown; the book numbers it and prints it below the figure
    name : str, the label for cross-references, such as 'fig-agreement'

    Raises
    ------
    ValueError
        On an empty alt, caption or name, or an axis that has data and no label.
    """
    import io

    from IPython.display import display
    from matplotlib import pyplot as plt

    for argument, value in [("alt", alt), ("caption", caption), ("name", name)]:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{argument}: expected a text, got {value!r}")
    for axes in figure.axes:
        drawn = axes.axison and axes.has_data() and axes.get_label() != "<colorbar>"
        unlabelled = [axis for axis in "xy" if drawn and not _labelled(axes, axis)]
        if unlabelled:
            raise ValueError(f"figure: expected a label on every axis, got none on the {unlabelled[0]} axis of {name}")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    display(
        {"image/svg+xml": buffer.getvalue(), "text/plain": alt},
        metadata={"maxmin": {"alt": alt, "caption": caption, "name": name}},
        raw=True,
    )


def bar_slider(*, labels, controls, frames, mark, alt, caption, name):
    """Show horizontal bars of shares that sliders move: precomputed values and a small script, no kernel, no network.

    Parameters
    ----------
    labels : list of str, one a bar
    controls : list of (str, list of str, int), a slider's label, its printed positions and where it starts
    frames : list of dict with 'bars' (list of float in [0, 1]) and 'note' (str), one for every combination of
        positions, the last control running fastest
    mark : list of float in [0, 1], a reference mark on every bar
    alt, caption, name : str, as in `show`; the caption is plain text

    Raises
    ------
    ValueError
        When frames, bars and positions do not fit, or a bar is outside [0, 1].
    """
    from IPython.display import display

    for argument, value in [("alt", alt), ("caption", caption), ("name", name)]:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{argument}: expected a text, got {value!r}")
    expected = len(list(itertools.product(*(positions for _, positions, _ in controls))))
    if len(frames) != expected:
        raise ValueError(f"frames: expected one for each of {expected} combinations of positions, got {len(frames)}")
    for frame in [*frames, {"bars": mark}]:
        if len(frame["bars"]) != len(labels) or not all(0 <= bar <= 1 for bar in frame["bars"]):
            raise ValueError(f"frames: expected {len(labels)} shares in [0, 1], got {frame['bars']!r:.80}")
    start = 0
    for _, positions, position in controls:
        start = start * len(positions) + position
    display(
        {"text/html": _slider_html(labels, controls, frames, mark, start, alt, caption, name), "text/plain": alt},
        raw=True,
    )


def _labelled(axes, axis):
    """Tell whether the axis has a label, its own or that of a panel that shares the axis."""
    panels = getattr(axes, f"get_shared_{axis}_axes")().get_siblings(axes)
    return any(getattr(panel, f"get_{axis}label")() for panel in panels)


def _slider_html(labels, controls, frames, mark, start, alt, caption, name):
    """Return a figure that stands alone: its first state is in the markup, the script only moves it."""
    text = html.escape
    sliders = "".join(
        f'<label class="mm-control"><span>{text(label)}: <output>{text(positions[position])}</output></span>'
        f'<input type="range" min="0" max="{len(positions) - 1}" step="1" value="{position}" '
        f'aria-label="{text(label)}" aria-valuetext="{text(positions[position])}"></label>'
        for label, positions, position in controls
    )
    bars = "".join(
        f'<div class="mm-row"><span class="mm-label">{text(label)}</span><span class="mm-track">'
        f'<span class="mm-fill" style="width:{100 * bar:.2f}%"></span>'
        f'<span class="mm-mark" style="left:{100 * reference:.2f}%"></span></span>'
        f'<span class="mm-value">{bar:.3f}</span></div>'
        for label, bar, reference in zip(labels, frames[start]["bars"], mark, strict=True)
    )
    data = {
        "positions": [positions for _, positions, _ in controls],
        "frames": [{"bars": [round(bar, 4) for bar in frame["bars"]], "note": frame["note"]} for frame in frames],
    }
    # '<' is written as an escape so that no text can close the script element.
    payload = json.dumps(data).replace("<", "\\u003c")
    script, sheet = ((files(__package__) / file).read_text(encoding="utf-8") for file in ("slider.js", "slider.css"))
    return (
        f'<figure class="mm-slider" id="{text(name)}"><style>{sheet}</style>{sliders}'
        f'<div class="mm-bars" role="group" aria-label="{text(alt)}">{bars}</div>'
        f'<p class="mm-note" aria-live="polite">{text(frames[start]["note"])}</p>'
        f"<figcaption>{text(caption)}</figcaption>"
        f'<script type="application/json">{payload}</script><script>{script}</script></figure>'
    )
