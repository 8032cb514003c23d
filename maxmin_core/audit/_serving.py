"""Who is served, and what every rule would choose: win rates, gaps and prices of one reward; welfare rules."""

import numpy as np
from scipy.special import expit

from ..alignment.bargaining import Nash, Regret
from ..alignment.calibration import calibrate
from ..alignment.policies import gibbs_policy
from ..alignment.robust import ChiSquare, CVaR, SoftMin
from ..alignment.solution import solve
from ..alignment.welfare import Egalitarian, Utilitarian
from ..preferences.population import diversity
from ..theory.gaps import alignment_gap
from ..theory.sharing import price_of_sharing

__all__ = ["CALIBRATIONS", "by_rule", "label", "losses_of_groups", "named", "rates_of_winning"]

CALIBRATIONS = ("standardize", "center", "winrate", "none")
# A win rate against all items needs a matrix of items by items.
_MOST_ITEMS = 2000


def _welfares(shares):
    return {
        "average, by share": Utilitarian(shares),
        "worst-off group (max-min)": Egalitarian(),
        "soft minimum (temperature 0.5)": SoftMin(0.5, shares),
        "worst half (CVaR 0.5)": CVaR(0.5, shares),
        "shares may shift (chi-square 0.5)": ChiSquare(0.5, shares),
        "bargain (Nash)": Nash(None, shares),
        "least largest regret": Regret(),
    }


def by_rule(rewards, shares, single, beta, calibration="standardize"):
    """Return by rule: the chosen item, its probability, values and win rates of the groups, weights, certificate's gap.

    The items are the answers to one prompt, and the reference chooses among them at random. rewards (K, I), single
    (I,).
    """
    n_items = rewards.shape[1]
    reference = np.full((1, n_items), -np.log(n_items))
    scaled = calibrate(rewards[:, None, :], reference, method=calibration)
    found = {}
    alone = calibrate(single[None, None, :], reference, method=calibration)[0]
    policy = gibbs_policy(alone, reference, beta)
    found["one reward for everybody"] = _told(policy[0], None, scaled, rewards, None)
    for name, welfare in _welfares(shares).items():
        if len(shares) == 1 and not isinstance(welfare, Utilitarian):
            continue  # with one group every rule is the average
        try:
            solution = solve(welfare, scaled, reference, beta)
        except ValueError as error:
            found[name] = {"chosen": None, "why": str(error)}
            continue
        found[name] = _told(solution.policy[0], solution.weights, scaled, rewards, float(solution.gap))
    return found


def _told(policy, weights, scaled, rewards, gap):
    chosen = int(policy.argmax())
    return {
        "chosen": chosen,
        "probability": float(policy[chosen]),
        "values": (scaled[:, 0] @ policy).tolist(),
        "win_rates": rates_of_winning(policy, rewards).tolist(),
        "weights": None if weights is None else np.asarray(weights).tolist(),
        "gap": gap,
    }


def rates_of_winning(policy, rewards):
    """Return how often every group prefers an item of the policy (I,) to one at random, (K,)."""
    if rewards.shape[1] > _MOST_ITEMS:
        best = np.argsort(-policy)[:50]
        part = policy[best] / policy[best].sum()
        return np.array([part @ expit(r[best, None] - r).mean(axis=1) for r in rewards])
    return np.array([policy @ expit(r[:, None] - r).mean(axis=1) for r in rewards])


def losses_of_groups(rewards, shares, single, beta, pairs):
    """Return what one reward costs every group: win rate, alignment gap, price of sharing, and how diverse groups are.

    pairs (2, P) are those that were compared. In logits, but for win rates and diversity.
    """
    n_items = rewards.shape[1]
    reference = np.full((1, n_items), -np.log(n_items))
    policy = gibbs_policy(single[None, :], reference, beta)
    own = [gibbs_policy(reward[None, :], reference, beta)[0] for reward in rewards]
    found = {
        "win_rate": rates_of_winning(policy[0], rewards).tolist(),
        "best_win_rate": [
            float(rates_of_winning(best, reward[None])[0]) for best, reward in zip(own, rewards, strict=True)
        ],
        "gap": [float(alignment_gap(policy, reward[None, :], reference, beta)) for reward in rewards],
        "price": 0.0,
        "diversity": 0.0,
    }
    if len(rewards) > 1:
        shared = price_of_sharing(rewards[:, None, :], reference, beta)
        found["price"] = float(-shared.primal)
        margin = rewards[:, pairs[0]] - rewards[:, pairs[1]]
        prefer = expit(margin)
        every = [(shares[u] * shares[v], diversity(prefer[u], prefer[v])) for u in range(len(shares)) for v in range(u)]
        found["diversity"] = float(sum(w * d for w, d in every) / sum(w for w, _ in every))
    return found


def named(rules, labels, told):
    """Return the rules with the items' names, and nothing of groups that are not described."""
    found = {}
    for rule, one in rules.items():
        found[rule] = {**one, "chosen": label(one["chosen"], labels)}
        for part in ("values", "win_rates", "weights"):
            if one.get(part) is not None:
                found[rule][part] = [x if shown else None for x, shown in zip(one[part], told, strict=True)]
    return found


def label(chosen, labels):
    """Return the name of a chosen item, None where none was."""
    return None if chosen is None else labels[chosen]
