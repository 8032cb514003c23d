"""The first screen of the first page: what the book finds, in the run's own numbers, and one figure."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["first_screen"]

FIGURE = "fig-lm-first"


def first_screen(judged: "pd.DataFrame", notebooks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the results as Markdown, and the figure beside them as SVG, both empty where a run has neither.

    `judged` is what `judge` returns, `notebooks` are executed chapters.
    """
    found = {claim["id"]: claim for claim in judged.to_dict("records")}
    outputs = (output for each in notebooks for cell in each["cells"] for output in cell.get("outputs", []))
    told = next((each for each in outputs if _named(each)), None)
    if told is None or "lm.maxmin_beats_single_minority" not in found:
        return {"first.md": "", "first.svg": ""}
    results = [
        "**One reward costs somebody.** If the others pull the reward away from what a group wants, and the policy can "
        "give what was compared, the group is left with a gap that no amount of data removes. "
        "{doc}`Chapter 3 </notebooks/03_impossibility>` proves it.",
        "**The worst-off can be served, with a certificate.** Max-min is a search for one weight for each group, and "
        "the weights prove the optimum ({doc}`chapter 5 </notebooks/05_welfare>`). Where every text can be counted, "
        f"training closes {_number(found, 'lm.enumerable_optimum', '.0%')} or more of the way to it "
        "({doc}`chapter 9 </notebooks/09_optimum>`).",
        "**A trained model hears the minority, and the majority pays.** In a small experiment with simulated people "
        f"max-min gives the minority {_number(found, 'lm.maxmin_beats_single_minority', '.2f')} spreads more than one "
        "reward does. The majority keeps "
        f"{_number(found, 'lm.majority_kept', '.0%')} of what it gained ({{doc}}`chapter 8 </notebooks/08_training>`). "
        f"With three groups {_lead(found.get('lm.maxmin_best_worst_group'))}.",
    ]
    source = told["data"]["image/svg+xml"]
    picture, metadata = source if isinstance(source, str) else "".join(source), told["metadata"]["maxmin"]
    lines = ["::::{grid} 1 1 2 2", ":class-container: mm-first", ":gutter: 3", "", ":::{grid-item}"]
    lines += [f"{k}. {text}" for k, text in enumerate(results, 1)]
    lines += [":::", "", ":::{grid-item}", "```{figure} _generated/first.svg", f":alt: {metadata['alt']}"]
    lines += [":figclass: mm-first-figure", "", f"{metadata['caption']} From {{ref}}`chapter 8 <sec-lm-results>`."]
    lines += ["```", ":::", "::::", ""]
    return {"first.md": "\n".join(lines), "first.svg": picture}


def _named(output):
    return output.get("metadata", {}).get("maxmin", {}).get("name") == FIGURE


def _number(found, claim, form):
    value = found[claim]["value"] if claim in found else None
    return "*(not run)*" if value is None or value != value else format(value, form)


def _lead(claim):
    """Max-min beside its nearest rival in the value of the worst-off group, as far as the interval tells."""
    if claim is None or not claim["interval"]:
        return "the comparison is *not run*"
    low, high = claim["interval"]
    if low > 0:
        return "no other method that we tried serves the worst-off as well"
    return "another method serves the worst-off better" if high < 0 else "not every rival can be told apart from it"
