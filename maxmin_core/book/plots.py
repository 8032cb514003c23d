"""One figure style; every figure leaves with its alternative text and its caption."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import require_book
from ._sliders import bar_slider, curve_slider

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from seaborn import FacetGrid, JointGrid, PairGrid

__all__ = ["bar_slider", "curve_slider", "show", "style"]


def style() -> Sequence[tuple[float, float, float]]:
    """Set the book's figure style: seaborn ticks, colours safe for colour-blind readers, transparent ground, SVG.

    Figures are laid out by constrained layout; those that seaborn makes itself (`relplot`, `pairplot`, ...) by seaborn.

    Returns
    -------
    sequence of (red, green, blue)
        The palette, each between 0 and 1.

    Examples
    --------
    >>> palette = style()
    >>> [round(part, 2) for part in palette[0]]
    [0.0, 0.45, 0.7]
    """
    require_book("matplotlib", "seaborn", "IPython")
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
            "figure.hooks": [f"{__name__}:_leave_grids_alone"],
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


def show(figure: "Figure | Axes | FacetGrid | JointGrid | PairGrid", *, alt: str, caption: str, name: str) -> None:
    """Show a figure as SVG with its alternative text, and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure, or what has one
        What was drawn; of axes, or of a grid of seaborn's, the whole figure.
    alt : str
        What somebody who cannot see the figure needs to know.
    caption : str
        Markdown; the book numbers it and prints it below the figure.
    name : str
        The label for cross-references, such as ``"fig-agreement"``.

    Raises
    ------
    ValueError
        On an empty text, or an axis that has data and no label.
    TypeError
        On what has no figure, such as an array of axes.
    """
    import io

    from IPython.display import display
    from matplotlib import pyplot as plt

    for argument, value in [("alt", alt), ("caption", caption), ("name", name)]:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{argument}: expected a text, got {value!r}")
    figure = _figure_of(figure)
    for axes in figure.axes:
        drawn = axes.axison and axes.has_data() and axes.get_label() != "<colorbar>"
        unlabelled = [axis for axis in "xy" if drawn and _visible(axes, axis) and not _labelled(axes, axis)]
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


def _leave_grids_alone(figure):
    """Turn the layout off where a grid of seaborn's makes the figure: it has its own, and would warn, or fail."""
    import seaborn as sns
    from matplotlib.layout_engine import PlaceHolderLayoutEngine

    caller = sys._getframe(1)
    while caller.f_back and caller.f_globals.get("__name__", "").startswith("matplotlib."):
        caller = caller.f_back
    grids = (sns.FacetGrid, sns.PairGrid, sns.JointGrid, sns.matrix.ClusterGrid)
    if isinstance(caller.f_locals.get("self"), grids):
        # As a figure without a layout is, for colour bars, too.
        figure.set_layout_engine(PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True))


def _figure_of(given):
    """Return the figure itself, or that of axes, of a part of a figure, of a grid; TypeError where there is none."""
    from matplotlib.figure import Figure

    figure = given
    # Axes lie in a figure, or in a part of one.
    for _ in range(3):
        if isinstance(figure, Figure):
            return figure
        figure = getattr(figure, "figure", None)
    raise TypeError(
        "figure: expected a figure of matplotlib, axes, or a grid of seaborn (of relplot, jointplot, pairplot), got "
        f"{type(given).__name__}; hand in the figure, such as plt.gcf()"
    )


def _visible(axes, axis):
    """Tell whether anything of an axis is drawn, its line or a number: of a marginal distribution nothing is."""
    own, sides = getattr(axes, f"{axis}axis"), {"x": ("bottom", "top"), "y": ("left", "right")}[axis]
    lines = [axes.spines[side] for side in sides if side in axes.spines]
    parts = [*lines, *own.get_ticklabels()] if lines else [own]
    return own.get_visible() and any(part.get_visible() for part in parts)


def _labelled(axes, axis):
    """Tell whether the axis has a label, its own or that of a panel that shares the axis."""
    panels = getattr(axes, f"get_shared_{axis}_axes")().get_siblings(axes)
    return any(getattr(panel, f"get_{axis}label")() for panel in panels)
