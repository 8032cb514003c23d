"""The studies of the book: comparisons recorded once and shown as recorded. Chapter 8.

A study's file, ``book/studies/NAME.json``, holds every run's numbers, with command, commit, lock, machine and seconds.
A build makes one run of each study again, drawn by the commit, and compares it with the study's own spread.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from .._files import read_json
from .analysis import Results
from .profiles import find_profile
from .study import Part, Study

__all__ = ["STUDIES", "find_study", "load_study"]

_RIVALS: tuple[str, ...] = ("single", "equal", "per_response", "maxmin", "maxmin_known", "maxmin_predicted")
_RIVALS += ("maxmin_fixed", "soup", "product", "choice", "regret", "nash", "grpo", "grpo_scaled")
_VARIED, _FEW = ("single", "equal", "maxmin", "soup"), ("equal", "maxmin", "soup", "regret")
# Where a learning rate is to be chosen: a choice among texts has none.
_TUNED = ("single", "equal", "per_response", "maxmin", "soup", "product", "regret", "nash", "grpo")
_CHANGED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "10 comparisons each": {"n_per_annotator": 10},
    "EM looks for two groups": {"n_groups": 2},
    "EM looks for four groups": {"n_groups": 4},
    "a fifth toss a coin, four groups": {"careless": 0.2, "n_groups": 4},
    "one unit for all rewards": {"common_unit": True},
}
_PRETRAINED = ("single", "equal", "maxmin")
# Just under two hours on two cores that multiply in 16 bits.
_ON_A_PROCESSOR: dict[str, Any] = {"bf16": True, "reward_bf16": True, "n_pairs": 120, "reward_steps": 40}
# Fewer people or comparisons may leave EM's first guess without the third group.
_ON_A_PROCESSOR |= {"n_evaluation": 96, "n_annotators": 50, "n_per_annotator": 50}
# What would count as which answer, written before the runs.
_CRITERIA: dict[str, tuple[str, ...]] = {
    "rivals": (
        "lm.maxmin_best_worst_group, three groups, five seeds, paired: reproduced if for every other method "
        "(single, equal, per_response, soup, product, choice, regret, nash, grpo, grpo_scaled) the 95% interval "
        "of max-min's lead in the worst group's gold value lies above zero; direction only if all mean leads are "
        "positive; else refuted.",
        "lm.maxmin_over_equal_average: the same against the equal average alone.",
        "lm.maxmin_best_objective: the same for the least of value less beta KL.",
        "lm.predicted_start_is_cheaper, three groups: reproduced if the 95% interval of the divergence with "
        "predicted weights less that with equal ones lies below zero while the worst group's lead differs by less "
        "than 0.1; direction only if both hold of the means.",
        "lm.fixed_weights_lose, three groups: reproduced if the 95% interval of max-min's lead over fixed "
        "predicted weights lies above zero; direction only if the mean does.",
        "lm.nash_surplus: reproduced if every group has a positive surplus in every seed of both settings.",
    ),
    "steps": (
        "lm.lead_grows: reproduced if with three groups max-min's mean lead over the equal average and over the "
        "soup is larger at 300 than at 100 steps and at 1000 at least half of that at 300.",
    ),
    "frontier": (
        "lm.lead_at_equal_divergence: reproduced if, read off the frontiers seed by seed at max-min's own "
        "divergence at beta 0.15 (or at the nearest end of the other's frontier), max-min's mean lead in the "
        "worst group over the equal average and over the soup is above zero with intervals that exclude it; "
        "direction only if the means are.",
    ),
    "weights": (
        "lm.rate_of_weights: reproduced if no mean of the worst group with gamma 0.01 or 0.15 differs from that "
        "with 0.05 by more than 0.15 in either setting.",
    ),
    "rates": (
        "lm.tuned_order: every method takes the rate with the best mean of its own learned objective over the two "
        "pilot seeds (worst group's learned value less beta KL; for single, equal, grpo their own average less "
        "beta KL). Reproduced if max-min's worst group then stays ahead of every trained rival's on average.",
    ),
    "references": (
        "lm.lead_over_references: reproduced if the 95% interval over three references of max-min's mean lead "
        "over the equal average (three seeds each) lies above zero; direction only if the mean does.",
    ),
    "sensitivity": (
        "lm.lead_is_robust: reproduced if max-min's mean lead over the equal average stays positive in every part "
        "but the one of ten comparisons and those of another number of groups, of which nothing is promised.",
    ),
    "pretrained": (
        "scale.instruction_model_learns: reproduced if the 95% interval over seeds of the equal average's gain, the "
        "mean of the groups' gold values less the reference's, lies above zero. Where it does not, nothing was learned "
        "for certain in so many steps, and the study says nothing of the order of the methods.",
        "scale.groups_found: reproduced if EM puts at least 0.8 of the annotators into their group on average over "
        "seeds: half way from 0.6, which whoever names the largest group for all gets right, to all of them.",
        "scale.maxmin_over_single, the paper's comparison: reproduced if the 95% interval over seeds, paired, of "
        "max-min's lead over the single reward in the worst group's gold value lies above zero; direction only if the "
        "mean does; else refuted.",
        "scale.maxmin_over_equal: the same against the equal average of the learned groups, the stronger rival.",
        "scale.worst_gains: reproduced if the 95% interval over seeds of the worst group's gold value under max-min, "
        "less the reference's of that group, lies above zero; direction only if the mean does.",
        "Seeds: four. With four the half-width is 1.6 standard deviations of the paired differences; in chapter 8 that "
        "is 0.2 where the lead over the equal average is 0.4. The learning rate is the profile's. What was known "
        "before the runs: a first recording of this study, under the same criteria. There EM began with the groups of "
        "ten attributes of a text, 88% to 98% right, moved people by reward models, and ended with 68% in their group; "
        "no interval of a lead or a gain was above zero. Since then EM begins with what the frozen base makes of the "
        "texts, as with people's own comparisons, and its models move nobody unless they predict clearly better.",
    ),
    "pretrained-larger": (
        "scale.larger_groups_found, scale.larger_over_single, scale.larger_over_equal: as the study `pretrained` asks "
        "of its claims.",
    ),
}


def load_study(root: Path | str, name: str, label: str | None = None) -> Results:
    """Return the recorded runs of a study, to be asked by setting and method.

    Parameters
    ----------
    root : Path or str
        The folder of the book, with ``studies/NAME.json``.
    name : str
        A key of ``STUDIES``.
    label : str or None
        Which part; None is all.

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        On an unknown study or label, or a study that was not recorded yet: says which command records it.

    Examples
    --------
    >>> load_study("nowhere", "rivals")
    Traceback (most recent call last):
    ValueError: study: expected nowhere/studies/rivals.json, got none; call `maxmin study rivals`
    """
    study = find_study(name)
    path = Path(root) / "studies" / f"{study.name}.json"
    if not path.exists():
        raise ValueError(f"study: expected {path}, got none; call `maxmin study {name}`")
    kept = read_json(path)
    rows = [row for row in kept["runs"] if label is None or row["label"] == label]
    if not rows:
        raise ValueError(f"label: expected one of {', '.join(part.label for part in study.parts)}, got {label!r}")
    table = pd.DataFrame(rows)
    table["learned"] = [{"mixture": means} for means in table["learned"]]
    return Results(table, find_profile(kept["profile"]).beta)


STUDIES = {
    study.name: study
    for study in (
        Study(
            "rivals",
            "Which method leaves the worst-off group best off after three hundred steps?",
            (
                Part("three", "three", _RIVALS, (50, 51, 52, 53, 54), {"steps": 300}),
                Part("80:20", "80:20", _RIVALS, (50, 51, 52), {"steps": 300}),
            ),
            _CRITERIA["rivals"],
        ),
        Study(
            "steps",
            "When does the order of the methods settle?",
            tuple(
                Part(f"{setting}, {steps} steps", setting, _FEW, seeds, {"steps": steps})
                for setting, steps, seeds in (
                    ("three", 100, (50, 51, 52, 53, 54)),
                    ("80:20", 100, (50, 51, 52)),
                    ("three", 1000, (50, 51)),
                )
            ),
            _CRITERIA["steps"],
        ),
        Study(
            "frontier",
            "Does the order hold at equal divergence?",
            (
                Part(
                    "three",
                    "three",
                    tuple(f"{method}@{beta:g}" for beta in (0.08, 0.3) for method in ("equal", "maxmin", "soup")),
                    (50, 51, 52),
                    {"steps": 300},
                ),
            ),
            _CRITERIA["frontier"],
        ),
        Study(
            "weights",
            "How fast should the group weights move?",
            tuple(
                Part(setting, setting, ("maxmin_slow", "maxmin", "maxmin_fast"), (50, 51, 52), {"steps": 300})
                for setting in ("three", "80:20")
            ),
            _CRITERIA["weights"],
        ),
        Study(
            "rates",
            "Does the order hold when every method has the learning rate that suits it?",
            tuple(
                Part(
                    f"rate {rate:g}",
                    "three",
                    tuple(m for m in _RIVALS if m not in ("choice", "maxmin_known")),
                    (46, 47),
                    {"steps": 300, "rate": rate},
                )
                for rate in (2.5e-4, 5e-4, 1e-3)
            ),
            _CRITERIA["rates"],
        ),
        Study(
            "references",
            "How much depends on the reference policy?",
            (
                *(
                    Part(f"reference {seed}", "three", _VARIED, (50, 51, 52), {"steps": 300, "reference_seed": seed})
                    for seed in (0, 1, 2)
                ),
                # The same people and answers every time: what is left is training.
                Part("the same annotators", "three", _VARIED, (50, 51, 52), {"steps": 300, "annotator_seed": 50}),
            ),
            _CRITERIA["references"],
        ),
        Study(
            "sensitivity",
            "What if annotators compare less, EM looks for other groups, or some people do not care?",
            tuple(
                Part(label, "three", ("equal", "maxmin"), (50, 51, 52), {"steps": 300, **changes})
                for label, changes in _CHANGED.items()
            ),
            _CRITERIA["sensitivity"],
        ),
        # Tastes like those of the paper's personas: friendly, informative, concise.
        Study(
            "pretrained",
            "Does the order of the methods hold for an instruction model that learns by adapters?",
            (Part("three", "three", _PRETRAINED, (50, 51, 52, 53), _ON_A_PROCESSOR),),
            _CRITERIA["pretrained"],
            "pretrained",
        ),
        Study(
            "pretrained-larger",
            "Does it hold with as many people and steps as chapter 8 has?",
            (Part("three", "three", _PRETRAINED, (50, 51, 52, 53)),),
            _CRITERIA["pretrained-larger"],
            "pretrained-gpu",
        ),
    )
}


def find_study(name: str) -> Study:
    """Return the study of a name.

    Parameters
    ----------
    name : str
        A key of ``STUDIES``.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        On an unknown name: lists the known ones.

    Examples
    --------
    >>> find_study("steps").question
    'When does the order of the methods settle?'
    """
    if name not in STUDIES:
        raise ValueError(f"study: expected one of {', '.join(STUDIES)}, got {name!r}")
    return STUDIES[name]
