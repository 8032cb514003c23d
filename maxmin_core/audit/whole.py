"""Somebody's votes in, one page out: whom one reward serves, how many groups there are, and what cannot be told.

Chapter 11.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from .._files import write_json, write_whole
from .._validation import as_positive
from ..preferences.comparisons import Comparisons
from ..preferences.presets import PRESETS
from ..preferences.tables import TableReport, read_comparisons, read_table
from ._crowd import crowd_reliability
from ._found import behaviour, described, gain_of, given_traits, over, served, single_reward, worst_off
from ._limits import cannot_tell
from ._names import guess_columns, item_labels, plain, pseudonyms
from ._search import clickers, either_way, find_groups
from ._serving import CALIBRATIONS, by_rule, label, named
from ._space import Votes
from ._tastes import fit_tastes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Audit", "audit_votes"]

_SURE = 0.9


@dataclass(frozen=True, eq=False)
class Audit:
    """Hold what an audit found; in a notebook it shows its page.

    Attributes
    ----------
    record : dict
        Every number, as in audit.json: people, votes, ties, dropped, position_bias, groups, careless, served, rules,
        worst_off, cannot_tell and more.
    tables : dict of str to pandas.DataFrame
        By name of its file: people (pseudonyms), items, groups, rules.
    page : str
        The page, HTML that stands alone.

    Examples
    --------
    >>> Audit({"people": 3}, {}, "<p>three</p>").record["people"]
    3
    """

    record: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    page: str

    def write(self, folder: Path | str) -> Path:
        """Write index.html, audit.json and the tables into a folder, and return the page's path.

        Parameters
        ----------
        folder : Path or str
            Is made where it is not there.

        Returns
        -------
        Path

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Audit({"people": 3}, {}, "<p>three</p>").write(folder).name
        'index.html'
        """
        folder = Path(folder)
        write_json(folder / "audit.json", self.record)
        for name, table in self.tables.items():
            with write_whole(folder / f"{name}.csv") as partial:
                table.to_csv(partial, index=False)
        with write_whole(folder / "index.html") as partial:
            partial.write_text(self.page, encoding="utf-8")
        return folder / "index.html"

    def _repr_html_(self) -> str:
        frame = f'<iframe title="Audit of votes" style="width: 100%; height: 40rem" srcdoc="{html.escape(self.page)}">'
        return frame + "</iframe>"


def audit_votes(
    source: Any,
    *,
    annotator: str | None = None,
    first: str | None = None,
    second: str | None = None,
    choice: str | None = None,
    preset: str | None = None,
    beta: float = 1.0,
    seed: int = 0,
    tell: Callable[[float, str], None] = lambda part, what: None,
    **reading: Any,
) -> Audit:
    """Audit a table of votes: is one reward enough, how many groups are there, who is served, what cannot be told?

    Groups are claimed where people who were held out are predicted better by groups than by individual tastes without
    groups; who votes at random, or for the place, is no group. Every number has an interval over people.

    Parameters
    ----------
    source : path, or table
        As for `read_comparisons`.
    annotator : str, optional
        The column that says who voted; left out, it is looked for by its usual names, and so are the next three.
    first : str, optional
        The column of the response shown first.
    second : str, optional
        The column of the other one.
    choice : str, optional
        The column of the vote.
    preset : str, optional
        The name of a public table, instead of columns.
    beta : float
        KL strength of the rules, above 0, in logits per nat.
    seed : int
        Of folds, starts and resamples.
    tell : callable, (float, str) -> None
        Is told how much of a step is done, and which step; for a bar.
    **reading
        Further arguments of `read_comparisons`, such as group, labels, positive or ties.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        On what `read_comparisons` refuses, columns that cannot be found, votes without a single decided one, or fewer
        than two people.

    References
    ----------
    Chen, Bennett, Collins-Thompson and Horvitz (2013). Pairwise ranking aggregation in a crowdsourced setting. WSDM.

    Examples
    --------
    >>> from maxmin_core.data import load_survey
    >>> found = audit_votes(load_survey()[0])  # doctest: +SKIP
    >>> found.record["people"]  # doctest: +SKIP
    192
    """
    beta = as_positive("beta", beta)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed: expected an integer of at least 0, got {seed!r}")
    columns: dict[str, Any] = {"annotator": annotator, "first": first, "second": second, "choice": choice}
    if preset is None:
        source = read_table(source)
        columns = guess_columns(source.columns, columns)
    comparisons, report = read_comparisons(source, **columns, preset=preset, **reading)
    tell(1.0, "reading")
    votes = _decided(comparisons, report)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said on the page, by what it means
        of_models = preset is not None and (reading.get("items") or PRESETS[preset].items[0]) == "model"
        record, tables = _audited(votes, comparisons, report, columns, beta, int(seed), of_models, tell)
    from ._page import page_of

    return Audit(record, tables, page_of(record))


def _decided(comparisons: Comparisons, report: TableReport) -> Votes:
    """Return the decided votes, sorted by person."""
    table = report.table
    decided = table["outcome"].isin(["first", "second"]).to_numpy()
    if not decided.any():
        raise ValueError("source: expected at least one vote for one of two items, got ties alone")
    if comparisons.n_annotators < 2:
        raise ValueError("annotator: expected at least two people, got one; an audit compares people")
    table = table[decided]
    order = np.argsort(table["annotator"].to_numpy(), kind="stable")
    person, one, other, weight = (table[name].to_numpy()[order] for name in ("annotator", "first", "second", "weight"))
    won = (table["outcome"] == "first").to_numpy()[order]
    shown = np.zeros(len(won)) if comparisons.winner_first is None else np.where(won, 1.0, -1.0)
    if not either_way(one, other):
        shown = np.zeros(len(won))  # place and item are one
    winner, loser = np.where(won, one, other), np.where(won, other, one)
    return Votes(comparisons.features, comparisons.n_annotators, person, winner, loser, shown, weight.astype(float))


def _audited(votes, comparisons, report, columns, beta, seed, of_models, tell):
    import pandas as pd

    n = votes.n_people
    labels, names = item_labels(comparisons.items), pseudonyms(comparisons.annotators)
    totals = np.bincount(report.table["annotator"], minlength=n)
    tied = np.bincount(report.table["annotator"], report.table["outcome"].isin(["tie", "both_bad"]), n)
    side = clickers(votes)
    careful = votes.rows(np.flatnonzero(side[votes.person] == 0))
    if not len(careful.person):
        raise ValueError("source: expected somebody who does not always press one side, got none")
    single, ends = single_reward(careful, seed, 100 if len(careful.person) < 50_000 else 20)
    tell(1.0, "one reward")
    search = find_groups(careful, seed, tell)
    some = _searched(careful, search, seed)
    how, each = behaviour(votes, tied, totals, search.model, search.draws)
    groups, home = described(search, careful, each, labels, side != 0)
    by_group, everybody, gaps, agrees = served(search, some, single, beta, seed)
    worst, why_worst = worst_off(search, groups, gaps)
    tested, refused = given_traits(
        {column: [values[i] for i in search.people] for column, values in report.groups.items()},
        home[search.people] if search.more_than_one else np.full(len(search.people), -1),
        agrees,
        seed,
    )
    tell(1.0, "who is served")
    pairs, unordered = np.array([careful.winner, careful.loser]), not careful.shown.any()
    told = [one["described"] for one in groups]
    rules = by_rule(search.model.rewards, search.model.shares, single, beta)
    reliability = crowd_reliability(votes)
    posterior = search.posterior[:, 0]
    careless = np.flatnonzero((posterior >= _SURE) & (side == 0) & (careful.count > 0))
    record = {
        "version": __version__,
        "settings": {
            "beta": beta,
            "seed": seed,
            "preset": report.preset,
            "columns": {k: plain(v) for k, v in columns.items()},
        },
        "rows": report.rows,
        "people": report.people,
        "votes": report.votes,
        "items": report.items,
        "dropped": dict(report.dropped),
        "changed": dict(report.changed),
        "ties": {"ties": report.ties, "both_bad": report.both_bad, "share": how.pop("ties")},
        "position_bias": how.pop("position_bias"),
        "behaviour": how,
        "single": [
            {"item": labels[i], "reward": single[i], "low": ends[0, i], "high": ends[1, i]} for i in np.argsort(-single)
        ],
        "groups": {
            "more_than_one": {True: True, False: False, None: "cannot tell"}[search.more_than_one],
            "why": search.why,
            "tastes_differ": search.differ[1] > 0,
            "differ": search.differ,
            "chosen": search.chosen,
            "best_predicting": search.best,
            "shares": [one.get("share") for one in groups],
            "heldout_gain": gain_of(search) if len(search.fit.scores) > 1 else None,
            "heldout": {
                "one reward": search.fit.one.mean(),
                **{str(k): score.mean() for k, score in search.fit.scores.items()},
            },
            "chosen_in_resamples": {str(k): part for k, part in search.fit.frequencies(seed).items()},
            "restarts_agree": search.restarts,
            "unseen_people_stay": search.unseen,
            "visible": {f"{share:g}": list(found) for share, found in search.planted.items()},
            "described": groups,
            "traits": tested,
        },
        "careless": {
            "people": [names[i] for i in careless],
            "share": search.careless,
            "half_hearted": over(search.model.care[2], [draw.care[2] for draw in search.draws], (0.0, 1.0)),
            "press_one_side": [names[i] for i in np.flatnonzero(side)],
            "crowd_model_below_0.6": int((reliability < 0.6).sum()),
            "both": int((reliability[careless] < 0.6).sum()),
        },
        "served": [one if shown else _hidden(one) for one, shown in zip(by_group, told, strict=True)],
        "everybody": everybody,
        "worst_off": {"group": worst, "why": why_worst},
        "rules": named(rules, labels, told),
        "choice_by_calibration": {
            how: {
                rule: label(one["chosen"], labels)
                for rule, one in by_rule(search.model.rewards, search.model.shares, single, beta, how).items()
            }
            for how in CALIBRATIONS
            if how != "winrate" or len(labels) <= 500
        },
        "choice_by_groups": _by_groups(search, some, single, beta, labels, seed),
        "cannot_tell": cannot_tell(search, careful, report, labels, refused, pairs, unordered, of_models),
    }
    tell(1.0, "rules")
    cycles, met = each["circles"]
    people = pd.DataFrame(
        {
            "person": names,
            "votes": totals,
            "ties": tied.astype(int),
            "share_first": _share(*each["first"]),
            "agreement_on_the_same_pair": _share(*each["agreement"]),
            "same_answer_again": _share(*each["repeats"]),
            "circles": _share(cycles, met),
            "presses": np.array(["second", "", "first"])[side + 1],
            "careless": np.where(side == 0, posterior, np.nan),
            "crowd_reliability": reliability,
        }
    )
    for u in range(len(search.model.shares)):
        if search.more_than_one and groups[u]["described"]:
            people[f"group_{u + 1}"] = np.where(side == 0, search.posterior[:, 1 + u], np.nan)
    items = pd.DataFrame({"item": labels, "single": single, "low": ends[0], "high": ends[1]})
    for u, reward in enumerate(search.model.rewards):
        if groups[u]["described"]:
            items[f"group_{u + 1}"] = reward
    tables = {
        "people": people.sort_values("person"),
        "items": items.sort_values("single", ascending=False),
        "groups": pd.DataFrame([{k: v for k, v in one.items() if k != "rewards"} for one in groups]),
        "rules": pd.DataFrame([{"rule": rule, **one} for rule, one in record["rules"].items()]),
    }
    return plain(record), tables


def _searched(votes, search, seed):
    from ._search import sample

    return sample(votes, np.random.default_rng([seed, 4]))[1]


def _by_groups(search, some, single, beta, labels, seed):
    """Return what the rules choose with one group fewer and one more."""
    found = {}
    for k in sorted({max(1, search.best - 1), search.best, search.best + 1} & set(search.fit.scores)):
        model = search.model if k == len(search.model.shares) else fit_tastes(some, search.null.space, k, seed=seed)
        rules = by_rule(model.rewards, model.shares, single, beta)
        found[str(k)] = {rule: label(one["chosen"], labels) for rule, one in rules.items()}
    return found


def _hidden(one):
    return {"group": one["group"], "described": False}


def _share(parts, wholes):
    return np.divide(parts, wholes, out=np.full(len(wholes), np.nan), where=wholes > 0)
