"""The first screen says what the run found, and says so differently where the run found something else."""

import pandas as pd
import pytest

from maxmin_core.book._landing import FIGURE, first_screen


def notebook(name=FIGURE):
    told = {"name": name, "alt": "Two dots.", "caption": "What two groups get."}
    picture = {"data": {"image/svg+xml": ["<svg>", "</svg>"]}, "metadata": {"maxmin": told}}
    return {"cells": [{"source": "no outputs"}, {"outputs": [{"text": "x"}, picture]}]}


def judged(**changed):
    values = {
        "lm.maxmin_beats_single_minority": (1.479, (1.18, 1.78)),
        "lm.majority_kept": (0.297, None),
        "lm.enumerable_optimum": (0.983, None),
        "lm.maxmin_best_worst_group": (-0.03, (-0.1, 0.02)),
    }
    values |= {f"lm.{name}": value for name, value in changed.items()}
    return pd.DataFrame([{"id": name, "value": v, "interval": i} for name, (v, i) in values.items()])


def test_numbers_are_the_run_s():
    made = first_screen(judged(), [{"cells": []}, notebook()])
    text = made["first.md"]
    assert made["first.svg"] == "<svg></svg>"
    for told in ("1.48 spreads more", "keeps 30% of", "closes 98% or more", ":alt: Two dots.", "What two groups get."):
        assert told in text, told
    assert text.count("\n1. ") == text.count("\n2. ") == text.count("\n3. ") == 1
    assert (
        "0.50 spreads more" in first_screen(judged(maxmin_beats_single_minority=(0.5, None)), [notebook()])["first.md"]
    )


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ((0.3, (0.1, 0.5)), "no other method that we tried serves the worst-off as well"),
        ((-0.03, (-0.1, 0.02)), "not every rival can be told apart from it"),
        ((-0.3, (-0.5, -0.1)), "another method serves the worst-off better"),
        ((None, None), "the comparison is *not run*"),
    ],
)
def test_a_rival_that_wins_is_told(claim, said):
    assert said in first_screen(judged(maxmin_best_worst_group=claim), [notebook()])["first.md"]


def test_a_number_that_is_not_there_is_not_run():
    text = first_screen(judged(enumerable_optimum=(None, None)), [notebook()])["first.md"]
    assert "closes *(not run)* or more" in text


@pytest.mark.parametrize("notebooks", [[], [{"cells": []}], [notebook("fig-other")]])
def test_without_the_figure_there_is_no_first_screen(notebooks):
    assert first_screen(judged(), notebooks) == {"first.md": "", "first.svg": ""}


def test_the_figure_and_the_claims_are_those_of_the_book(root):
    assert f'name=\\"{FIGURE}\\"' in (root / "notebooks/08_training.ipynb").read_text()
    ledger = (root / "book/claims.yml").read_text()
    assert all(f"- id: {name}\n" in ledger for name in judged()["id"])
    assert "{include} _generated/first.md" in (root / "book/welcome.md").read_text().split("People differ.")[0]
