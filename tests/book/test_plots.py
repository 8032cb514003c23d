import json
import re
import warnings

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
from matplotlib import pyplot as plt

from maxmin_core.book import plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, as (data, metadata)."""
    outputs = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, metadata=None, raw=False: outputs.append((data, metadata))
    )
    return outputs


@pytest.fixture
def figure():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1])
    axes.set(xlabel="x (m)", ylabel="y (s)")
    return figure


def test_show(shown, figure):
    plots.show(figure, alt="a line", caption="A *line*", name="fig-line")
    data, metadata = shown[0]
    assert data["image/svg+xml"].lstrip().startswith("<?xml")
    assert metadata == {"maxmin": {"alt": "a line", "caption": "A *line*", "name": "fig-line"}}
    assert not plt.fignum_exists(figure.number)


def test_the_same_figure_gives_the_same_file(shown):
    plots.style()
    for _ in range(2):
        figure, axes = plt.subplots()
        axes.scatter([0, 1], [0, 1])
        axes.set(xlabel="x", ylabel="y")
        plots.show(figure, alt="a", caption="c", name="n")
    assert shown[0][0] == shown[1][0]


@pytest.mark.parametrize("argument", ["alt", "caption", "name"])
def test_a_missing_text_is_named(figure, argument):
    with pytest.raises(ValueError, match=f"^{argument}: expected a text"):
        plots.show(figure, **({"alt": "a", "caption": "c", "name": "n"} | {argument: " "}))


def test_an_axis_without_a_label_is_named(figure):
    figure.axes[0].set_ylabel("")
    with pytest.raises(ValueError, match="none on the y axis of fig-x"):
        plots.show(figure, alt="a", caption="c", name="fig-x")


def test_a_shared_axis_needs_one_label(shown):
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    for axes in (left, right):
        axes.plot([1, 2])
        axes.set_xlabel("x")
    left.set_ylabel("y")
    plots.show(figure, alt="a", caption="c", name="n")
    assert len(shown) == 1


ROWS = {
    "x": np.arange(12.0) % 5,
    "y": np.arange(12.0) % 7,
    "z": np.arange(12.0) % 4,
    "one": [*"ab"] * 6,
    "two": [*"ppqq"] * 3,
}
# Without intervals, which seaborn draws by a bootstrap of its own: the two figures would differ.
GRIDS = {
    "relplot": {"x": "x", "y": "y", "col": "one", "row": "two", "hue": "two"},
    "displot": {"x": "x", "col": "one", "hue": "two"},
    "catplot": {"x": "one", "y": "y", "col": "two", "kind": "point", "errorbar": None},
    "lmplot": {"x": "x", "y": "y", "hue": "one", "ci": None},
    "jointplot": {"x": "x", "y": "y", "hue": "one"},
    "pairplot": {"hue": "one"},
    "clustermap": {},
}


def drawn(name):
    import pandas as pd
    import seaborn as sns

    rows = pd.DataFrame(ROWS)
    if name == "clustermap":
        grid = sns.clustermap(rows[["x", "y", "z"]].rename_axis(index="row", columns="column"))
        grid.ax_cbar.set_ylabel("value")
        return grid
    return getattr(sns, name)(rows, **GRIDS[name])


@pytest.mark.parametrize("name", GRIDS)
def test_a_figure_that_seaborn_makes_is_seaborn_s_and_shown_without_a_warning(shown, name):
    plots.style()
    with warnings.catch_warnings():
        # What comes and goes with versions is said to developers alone.
        warnings.simplefilter("error", UserWarning)
        grid = drawn(name)
        with plt.rc_context({"figure.constrained_layout.use": False, "figure.hooks": []}):
            plain = drawn(name)
        for one, two in zip(grid.figure.axes, plain.figure.axes, strict=True):
            np.testing.assert_allclose(one.get_position().bounds, two.get_position().bounds, rtol=1e-12)
        plots.show(grid, alt="a", caption="c", name="n")
        plots.show(plain.figure, alt="a", caption="c", name="n")
    assert len(shown) == 2 and not plt.get_fignums()


def test_other_figures_keep_the_book_s_layout():
    import seaborn as sns

    plots.style()
    # Drawn by seaborn, in a figure that it asks pyplot for.
    axes = sns.scatterplot(x=[1, 2], y=[1, 2])
    assert type(axes.figure.get_layout_engine()).__name__ == "ConstrainedLayoutEngine"


@pytest.mark.parametrize("part", [lambda f: f.axes[0], lambda f: f.axes[0].lines[0], lambda f: f.subfigures(1, 1)])
def test_what_lies_in_a_figure_stands_for_it(shown, figure, part):
    plots.show(part(figure), alt="a", caption="c", name="n")
    assert len(shown) == 1 and not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("given", [None, "x", plt, np.zeros(2), [1], (1, 2), object])
def test_what_has_no_figure_is_named(given):
    with pytest.raises(
        TypeError, match=rf"^figure: expected a figure .*, got {type(given).__name__}; hand in the figure"
    ):
        plots.show(given, alt="a", caption="c", name="n")


def test_an_axis_of_which_something_is_seen_needs_its_label(figure):
    axes = figure.axes[0]
    axes.set_ylabel("")
    for hide in (lambda: axes.spines.left.set_visible(False), lambda: axes.set_yticks([])):
        with pytest.raises(ValueError, match="none on the y axis"):
            plots.show(figure, alt="a", caption="c", name="n")
        hide()
    assert not plots._visible(axes, "y") and plots._visible(axes, "x")
    assert plots._visible(figure.add_subplot(projection="polar"), "y")


def test_the_palette_is_told_apart_by_colour_blind_readers():
    # Machado et al. (2009), full deuteranopia and protanopia, on linear RGB: the first three
    # colours, which lines and bars use together, stay apart in lightness or hue.
    simulate = {
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    }
    colours = np.array(plots.style()[:3])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for matrix in simulate.values():
        seen = linear @ np.array(matrix).T
        distance = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(3, 1)]
        assert distance.min() > 0.15


class TestBarSlider:
    arguments = {
        "labels": ["a", "b"],
        "controls": [("first", ["0", "1"], 1), ("second <x>", ["p", "q", "r"], 2)],
        "frames": [{"bars": [k / 6, 1 - k / 6], "note": f"</script> {k}"} for k in range(6)],
        "mark": [0.5, 0.5],
        "alt": "bars",
        "caption": "two bars",
        "name": "fig-bars",
    }

    def test_starts_where_told_and_escapes(self, shown):
        plots.bar_slider(**self.arguments)
        markup = shown[0][0]["text/html"]
        payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup, re.S).group(1))
        assert payload["frames"][5] == {"bars": [0.8333, 0.1667], "note": "</script> 5"}
        assert markup.count("</script>") == 2
        assert "second &lt;x&gt;" in markup
        assert "width:83.33%" in markup  # frame 1 * 3 + 2

    def test_words_are_a_list_and_numbers_a_slider(self, shown):
        plots.bar_slider(**self.arguments)
        markup = shown[0][0]["text/html"]
        assert markup.count('type="range"') == 1 and markup.count("<select>") == 1
        assert '<option value="2" selected>r</option>' in markup

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"frames": []}, "frames"),
            ({"mark": [0.5]}, "frames"),
            ({"mark": [0.5, 1.5]}, "frames"),
            ({"alt": ""}, "alt"),
        ],
    )
    def test_bad_arguments_are_named(self, change, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            plots.bar_slider(**(self.arguments | change))


class TestCurveSlider:
    arguments = {
        "labels": [("gap <u>", "a"), ("bound", "a dashed")],
        "x": [0.1, 1.0, 10.0],
        "x_axis": ("beta (logits per nat)", [0.1, 1, 10]),
        "y_axis": ("gap (logits)", [0.01, 1]),
        "controls": [("share", ["p", "q"], 1)],
        "frames": [{"curves": [[0.1, 0.1, 0.1], [1e-9, 1, 5]], "note": "first"}] * 2,
        "alt": "curves",
        "caption": "two curves",
        "name": "fig-curves",
    }

    def test_curves_stand_where_they_belong(self, shown):
        plots.curve_slider(**self.arguments)
        markup = shown[0][0]["text/html"]
        assert "gap &lt;u&gt;" in markup and 'class="mm-curve mm-a mm-dashed"' in markup
        payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup, re.S).group(1))
        level, clipped = payload["frames"][1]["curves"]
        # .1 is halfway between .01 and 1 on a logarithmic axis from 300 (bottom) to 12 (top); the rest is clipped.
        assert level == [156, 156, 156] and clipped == [300, 12, 12]

    def test_two_kinds_of_line_make_a_third(self, shown):
        plots.curve_slider(**self.arguments | {"labels": [("below", "b dashed"), ("above", "b dashed dotted")]})
        markup = shown[0][0]["text/html"]
        assert 'class="mm-curve mm-b mm-dashed mm-dotted"' in markup
        styles = re.findall(r"path((?:\.mm-d\w+)+) \{ stroke-dasharray: ([\d ]+)", markup)
        assert len(styles) == 3 == len(set(dict(styles).values()))
        assert json.loads(re.search(r'data-x="(.*?)"', markup).group(1)) == [92, 360, 628]
        assert 'role="img" aria-label="curves"' in markup
        for text in ("0.1", "10", "0.01", "beta (logits per nat)", "gap (logits)"):
            assert f">{text}</text>" in markup
        assert markup.count('d="M92 156L360 156L628 156"') == 1

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"frames": []}, "frames"),
            ({"x": [1.0]}, "frames"),
            ({"frames": [{"curves": [[1, 1, 1], [1, 1, 0]], "note": ""}] * 2}, "frames"),
            ({"caption": " "}, "caption"),
            ({"x": [0.0, 1.0, 10.0]}, "x"),
            ({"x_axis": ("b", [1])}, "x_axis"),
            ({"y_axis": ("b", [1, 0.1])}, "y_axis"),
            ({"labels": [("a", 'a" onload="x'), ("b", "b")]}, "labels"),
            ({"controls": [("share", ["p", "q"], 2)]}, "controls"),
        ],
    )
    def test_bad_arguments_are_named(self, change, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            plots.curve_slider(**(self.arguments | change))
