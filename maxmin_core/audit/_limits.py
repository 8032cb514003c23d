"""What the data cannot tell: sentences, each with the number that it rests on."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from .._validation import is_count

__all__ = ["cannot_tell", "votes_needed"]


def votes_needed(rewards, pairs, certainty=0.9):
    """Return how many votes tell the two closest groups apart with some certainty, by the Bhattacharyya bound.

    The error after n votes on random pairs is at most half of ``rho^n``, rho the mean over pairs of
    ``sqrt(p q) + sqrt((1 - p)(1 - q))``.
    """
    p = expit(rewards[:, pairs[0]] - rewards[:, pairs[1]])
    closest = max(
        float((np.sqrt(p[u] * p[v]) + np.sqrt((1 - p[u]) * (1 - p[v]))).mean()) for u in range(len(p)) for v in range(u)
    )
    if closest >= 1:
        return None
    return int(np.ceil(np.log(0.5 / (1 - certainty)) / -np.log(closest)))


def cannot_tell(search, votes, report, labels, refused, pairs, missing_order, of_models):
    """Return a list of {"what", "number", "text"}."""
    said = []

    def say(what, number, text):
        said.append(
            {"what": what, "number": number if number is None or is_count(number) else float(number), "text": text}
        )

    count = votes.count
    typical = float(np.median(count[count > 0]))
    need = votes_needed(search.model.rewards, pairs) if search.more_than_one else None
    if need is not None:
        share = float((count < need).mean())
        say(
            "who is in which group",
            need,
            f"About {need} decided votes a person put somebody into the right one of the two closest groups nine times "
            f"out of ten; the median person cast {typical:.0f}, and {share:.0%} cast fewer than needed. Groups are "
            "therefore shares and tendencies here, not labels of persons.",
        )
    se = _error_of_gain(search)
    hidden = [share for share, (gain, _) in search.planted.items() if gain < 2.6 * se]
    if hidden:
        say(
            "small groups",
            max(hidden),
            f"A {'further ' if search.more_than_one else ''}group of {max(hidden):.0%} of the people with "
            "another ranking "
            "of the same strength could be there, and would not be told from individual tastes in these votes.",
        )
    else:
        say("small groups", min(search.planted), f"Groups of fewer than {min(search.planted):.0%} were not tried for.")
    if search.more_than_one is None:
        say("groups or individual tastes", None, search.why)
    neither = report.ties + report.both_bad
    if neither:
        say(
            "ties",
            neither,
            f"{neither:,} votes for neither are counted, but groups and rewards are read from decided votes alone: "
            "somebody who finds everything alike and somebody who does not look cannot be told apart by ties.",
        )
    dropped = {reason: n for reason, n in report.dropped.items() if "tie" in reason}
    if dropped:
        say("dropped ties", sum(dropped.values()), f"{sum(dropped.values()):,} ties were dropped before this audit.")
    if missing_order:
        say(
            "place",
            None,
            "The table does not say which item was shown first, or most pairs stood in one order only, so "
            "neither a bias for the place nor people who always "
            "press one side can be seen.",
        )
    if of_models:
        say(
            "answers",
            None,
            "The items are models. Two votes on the same two models may be about different answers, so "
            "agreement on the "
            "same pair, and the same answer again, may be lower than on the same two answers; reading single responses "
            "(--items response) shows it.",
        )
    n_items = len(labels)
    won, lost = (np.bincount(end, minlength=n_items) for end in (votes.winner, votes.loser))
    never = np.flatnonzero((won == 0) | (lost == 0))
    if len(never):
        shown = ", ".join(labels[i] for i in never[:5]) + (f" and {len(never) - 5} more" if len(never) > 5 else "")
        say(
            "items always or never chosen",
            len(never),
            f"How far {shown} stand from the others is set by the penalty (l2 = 1), not by the votes: "
            "always chosen, or "
            "never.",
        )
    links = coo_array((np.ones(len(votes.winner)), (votes.winner, votes.loser)), shape=(n_items, n_items))
    parts = connected_components(links, directed=False)[0]
    if parts > 1:
        say("unconnected items", parts, f"The compared pairs fall into {parts} parts, which cannot be compared.")
    if len(search.people) < (count > 0).sum():
        say(
            "the search",
            len(search.people),
            f"Groups were looked for among {len(search.people):,} people drawn at random; everybody was "
            "assigned after.",
        )
    for column, reason in refused.items():
        say(f"trait {column}", None, f"The column {column} was not compared: {reason}.")
    say(
        "other people",
        None,
        "Shares are those of the people who voted here. Other people, other items, and tastes that change "
        "with time are "
        "not in these data.",
    )
    return said


def _error_of_gain(search):
    k = max(search.best, min(2, max(search.fit.scores)))
    gain = search.fit.gain(k, search.fit.scores[1])
    return float(gain.std(ddof=1) / np.sqrt(len(gain)))
