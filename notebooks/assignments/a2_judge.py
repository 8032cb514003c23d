"""Hidden checks of assignment 2: properties on populations that nobody has seen, by routes other than the answers'."""

from itertools import combinations

import numpy as np
from scipy.integrate import quad_vec
from scipy.special import expit, logsumexp, softmax

from maxmin_core.course.judging import Check, numbers

SHARES = np.arange(1, 100) / 100


def balance(phi, p, z, rho):
    """Return the largest component of the balance equation: finite preferences against fitted ones."""
    return np.abs(z.T @ (rho * (expit(z @ phi) - p))).max()


def single_rewards(p, z, rho):
    """Return the parameter in balance with every row of p, (B, d), by Newton steps that cannot overshoot."""
    phi, bend = np.zeros((len(p), z.shape[1])), 1e-12 * np.eye(z.shape[1])
    for _ in range(400):
        q = expit(phi @ z.T)
        slope = (rho * (q - p)) @ z
        if np.abs(slope).max() < 1e-13:
            break
        curvature = np.einsum("bn,nd,ne->bde", rho * q * (1 - q), z, z) + bend
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        # The curvature changes by at most the factor e where no margin moves by more than one.
        phi = phi - step / np.maximum(1, np.abs(step @ z.T).max(axis=1, keepdims=True))
    return phi


def population(rng, n_groups, n, d, size=1.5):
    """Draw shares, parameters, pairs and their weights."""
    shares, rho = rng.dirichlet(np.full(n_groups, 2.0)), rng.dirichlet(np.full(n, 2.0))
    return shares, size * rng.normal(size=(n_groups, d)), rng.normal(size=(n, d)), rho


def fit_preferences(ask, rng):
    """A known parameter comes back; the balance holds, unevenly weighted, far out, and in the right gauge."""
    good = True
    for d in (1, 3):
        z, rho, phi = rng.normal(size=(6, d)), rng.dirichlet(np.full(6, 2.0)), rng.normal(size=d)
        found = numbers("fit_preferences", ask("fit_preferences", expit(z @ phi), z, rho), (d,))
        good &= np.abs(found - phi).max() < 1e-5
    yield Check(4, bool(good), "preferences that come from one reward give that reward back")
    good = True
    for d in (2, 3):
        shares, parameters, z, rho = population(rng, 4, 3 * d, d)
        p = shares @ expit(parameters @ z.T)
        found = numbers("fit_preferences", ask("fit_preferences", p, z, rho), (d,))
        good &= balance(found, p, z, rho) < 1e-7
    yield Check(5, bool(good), "the balance holds for preferences of several groups and uneven weights")
    z, rho = rng.normal(size=(5, 2)), rng.dirichlet(np.full(5, 2.0))
    z[1] = -2 * z[0]  # the same direction twice, so that the preferences contradict each other
    p = expit(np.array([7.0, 9.0, -8.0, 2.0, -6.0]) + rng.normal(size=5))
    found = numbers("fit_preferences", ask("fit_preferences", p, z, rho), (2,))
    yield Check(3, bool(balance(found, p, z, rho) < 1e-7), "the balance holds where preferences are nearly certain")
    items = np.eye(5)
    z = np.array([items[i] - items[j] for i, j in combinations(range(5), 2)])
    rho = rng.dirichlet(np.full(10, 3.0))
    p = rng.uniform(0.2, 0.8, size=10)
    found = numbers("fit_preferences", ask("fit_preferences", p, z, rho), (5,))
    good = balance(found, p, z, rho) < 1e-7 and abs(found.sum()) < 1e-6
    yield Check(4, bool(good), "one-hot options: in balance, and of smallest norm")


def mismatch_floor(ask, rng):
    """Never above the mismatch, equal to it where nothing is lost, and what the theorem says in between."""
    below, tight, formula = True, True, True
    for k in range(60):
        d = 1 + k % 3
        shares, parameters, z, rho = population(rng, 2 + k % 4, d + 2 + k % 3, d, 10 ** rng.uniform(-1, 0.7))
        u = int(rng.integers(len(shares)))
        floor = float(numbers("mismatch_floor", ask("mismatch_floor", shares, parameters, z, rho, u), ()))
        p_bar = shares @ expit(parameters @ z.T)
        apart = np.linalg.norm(single_rewards(p_bar[None], z, rho)[0] - parameters[u])
        below &= floor <= apart * (1 + 1e-6)
        if k < 6:
            formula &= abs(floor / _floor_by_differences(p_bar, parameters[u], z, rho) - 1) < 1e-4
    for _ in range(4):
        # Small margins and equally many features in every direction: each step of the proof is an equality.
        d = int(rng.integers(1, 4))
        z = np.linalg.qr(rng.normal(size=(d, d)))[0] * rng.uniform(0.5, 2)
        shares, parameters, rho = rng.dirichlet(np.full(3, 2.0)), 0.01 * rng.normal(size=(3, d)), np.full(d, 1 / d)
        floor = float(numbers("mismatch_floor", ask("mismatch_floor", shares, parameters, z, rho, 1), ()))
        apart = np.linalg.norm(single_rewards((shares @ expit(parameters @ z.T))[None], z, rho)[0] - parameters[1])
        tight &= abs(floor / apart - 1) < 1e-3
    yield Check(6, bool(below and tight), "never above the mismatch, and equal to it where margins are small and even")
    yield Check(4, bool(formula), "the value of the theorem, found by differences of the likelihood")
    # Around the first group the others cancel over all pairs together, though on none of them.
    z, direction = np.array([1.0, 2.0]), rng.normal(size=2)
    logits = np.array([0.0, rng.uniform(2.5, 3.5), -rng.uniform(0.8, 1.2)])
    apart = expit(logits[1:, None] * z) - 0.5
    odds = np.sqrt(-apart[0] / apart[1]).prod()  # between those at which either pair alone would be in balance
    shares = 0.75 * np.array([1 / 3, 1 / (1 + odds), odds / (1 + odds)])
    pull = np.abs(shares[1:] @ apart * z)
    rho, floors = pull[::-1] / pull.sum(), []
    direction /= np.linalg.norm(direction)
    for u in range(3):
        arguments = shares, logits[:, None] * direction, z[:, None] * direction, rho, u
        floors.append(float(numbers("mismatch_floor", ask("mismatch_floor", *arguments), ())))
    good = abs(floors[0]) < 1e-9 and min(floors[1:]) > 0.1
    yield Check(4, bool(good), "no floor for a group around which the others cancel, one for the others")


def _floor_by_differences(p_bar, phi, z, rho):
    """Return the floor from the slope of the likelihood at the group's reward, and H's largest stretch by iteration."""

    def loss(phi):
        m = z @ phi
        return rho @ (np.logaddexp(0, m) - p_bar * m)

    h = 1e-5
    slope = np.array([(loss(phi + h * e) - loss(phi - h * e)) / (2 * h) for e in np.eye(len(phi))])
    v = np.ones(len(phi)) + 0.1 * np.arange(len(phi))
    for _ in range(3000):
        v = z.T @ (rho * (z @ v))
        v /= np.linalg.norm(v)
    return 4 * np.linalg.norm(slope) / (rho @ (z @ v) ** 2)


def cancelling(ask, rng):
    """The three groups that were built are evaluated: no mismatch, and a sum that asks for one."""
    for points, own, says in [
        (5, 0.0, "the first group is undecided, the others have different shares"),
        (7, None, "the first group has an opinion"),
    ]:
        good = True
        for _ in range(3):
            first = rng.uniform(0.2, 0.28)
            second = rng.uniform(0.2, 0.3)
            shares = np.array([first, second, 1 - first - second])
            if rng.random() < 0.5:
                shares[1:] = shares[:0:-1]
            mine = own if own is not None else rng.choice([-1, 1]) * rng.uniform(0.4, 0.8)
            margins = numbers("cancelling", ask("cancelling", shares, mine), (3,))
            p = expit(margins)
            p_bar = shares @ p
            mismatch = abs(np.log(p_bar / (1 - p_bar)) - mine)
            asked = 4 * shares[1:] @ np.abs(p[1:] - p[0])
            good &= abs(margins[0] - mine) < 1e-9 and mismatch < 1e-6 and asked >= 0.25
        yield Check(points, bool(good), f"no mismatch, and a sum of at least 0.25: {says}")


def gap(ask, rng):
    """The difference of values, by the path between two rewards, by closed forms, and by logarithms."""
    good = True
    for _ in range(3):
        other, mine = rng.normal(size=(2, 3, 4))
        log_reference, beta = np.log(rng.dirichlet(np.ones(4), size=3)), float(rng.uniform(0.3, 3))

        def bend(t, other=other, mine=mine, log_reference=log_reference, beta=beta):
            """(1 - t) Var_t(mine - other) / beta, averaged over prompts: the lemma of chapter 3."""
            at = softmax(log_reference + (other + t * (mine - other)) / beta, axis=1)
            s = mine - other
            return (1 - t) * ((at * s**2).sum(axis=1) - (at * s).sum(axis=1) ** 2).mean() / beta

        found = float(
            numbers("gap", ask("gap", softmax(log_reference + other / beta, axis=1), mine, log_reference, beta), ())
        )
        good &= abs(found / quad_vec(bend, 0, 1)[0] - 1) < 1e-6
    yield Check(5, bool(good), "the gap of the best policy of another reward")
    good = True
    for _ in range(2):
        mine, beta = rng.normal(size=(2, 3)), float(rng.uniform(0.3, 3))
        reference = rng.dirichlet(np.ones(3), size=2)
        chosen = rng.integers(3, size=2)
        best = beta * logsumexp(np.log(reference) + mine / beta, axis=1)
        value = mine[[0, 1], chosen] + beta * np.log(reference[[0, 1], chosen])
        found = float(numbers("gap", ask("gap", np.eye(3)[chosen], mine, np.log(reference), beta), ()))
        good &= abs(found / (best - value).mean() - 1) < 1e-8
    yield Check(4, bool(good), "the gap of a policy that always gives the same response")
    with np.errstate(divide="ignore"):
        log_reference = np.log([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    mine, beta = rng.uniform(1, 2, size=(2, 3)) * [[1, -1, 5], [-1, 1, -1]], 1e-3
    p = rng.uniform(0.2, 0.8)
    policy = np.array([[p, 1 - p, 0.0], [0.0, p, 1 - p]])
    expected = (policy * mine).sum(axis=1)
    spent = [np.log(2) + p * np.log(p) + (1 - p) * np.log(1 - p), p * np.log(p / 0.3) + (1 - p) * np.log((1 - p) / 0.5)]
    best = beta * logsumexp(log_reference + mine / beta, axis=1)
    found = float(numbers("gap", ask("gap", policy, mine, log_reference, beta), ()))
    good = abs(found / (best - expected + beta * np.array(spent)).mean() - 1) < 1e-8
    yield Check(3, bool(good), "responses that cannot be given, and rewards a thousand times beta")


def growing(ask, rng):
    """The rise between the two shares, by values and a solver of the judge's own, against the best rise on the grid."""
    psi = np.array([[-1.0, 2.0], [2.0, -1.0], [-1.0, -2.0]])
    never = rng.normal(size=(4, 1)), np.full(6, 1 / 6), [float(rng.uniform(1, 2))], [float(-rng.uniform(1, 2))], 1.0
    alone = ask("growing", *never)
    for points, n, says in [(6, 3, "three responses"), (6, 4, "")]:
        while True:
            features = np.vstack([psi, rng.normal(size=(n - 3, 2))]) + 0.15 * rng.normal(size=(n, 2))
            rho = rng.dirichlet(np.full(n * (n - 1) // 2, 8.0))
            own, other = np.array([1.0, -3.0]) + rng.normal(size=2) / 5, np.array([3.0, 1.0]) + rng.normal(size=2) / 5
            beta = float(rng.uniform(0.8, 1.3))
            gaps = _gaps(features, rho, own, other, beta)
            rise = (gaps - np.minimum.accumulate(gaps)).max()
            if rise > 0.2:
                break
        found = ask("growing", features, rho, own, other, beta)
        small, large = numbers("growing", found, (2,))
        at = np.array([small, large])
        on_grid = np.abs(at * 100 - np.round(at * 100)).max() < 1e-6 and 0 < small < large < 1
        good = on_grid and np.diff(gaps[np.round(at * 100).astype(int) - 1])[0] > 0.99 * rise if on_grid else False
        if not says:
            good, says = bool(good) and alone is None, "four responses; and None where the group only gains by growing"
        yield Check(points, bool(good), f"the largest rise of the gap: {says}")


def _gaps(features, rho, own, other, beta):
    """Return the gap of the first group at every share, as a difference of values."""
    z = np.array([features[i] - features[j] for i, j in combinations(range(len(features)), 2)])
    p_bar = SHARES[:, None] * expit(z @ own) + (1 - SHARES[:, None]) * expit(z @ other)
    scores = single_rewards(p_bar, z, rho) @ features.T / beta
    log_policy = scores - logsumexp(scores, axis=1, keepdims=True)
    reward, log_n = features @ own, np.log(len(features))
    value = (np.exp(log_policy) * (reward - beta * (log_policy + log_n))).sum(axis=1)
    return beta * (logsumexp(reward / beta) - log_n) - value


def beyond_chance(ask, rng):
    """Distance and p-value against all parts of that size, enumerated."""
    items = np.eye(4)
    z = np.array([items[i] - items[j] for i, j in combinations(range(4), 2)])
    even = np.full(6, 1 / 6)
    p = expit(0.9 * rng.normal(size=(14, 4)) @ z.T)
    wins = rng.binomial(6, np.clip(p, 0.1, 0.9)) / 6
    everybody = single_rewards(wins.mean(axis=0)[None], z, even)[0]
    right, plausible, n_draws = True, True, 199
    # Few people, and half of them: there, parts that are drawn with replacement lie much farther away than these.
    for size, level in ((3, 0.3), (7, 0.8)):
        parts = np.array(list(combinations(range(14), size)))
        apart = np.linalg.norm(single_rewards(wins[parts].mean(axis=1), z, even) - everybody, axis=1)
        chosen = np.argsort(apart)[int(level * len(parts))]
        inside = np.isin(np.arange(14), parts[chosen])
        found = ask("beyond_chance", wins, z, inside, n_draws, int(rng.integers(1000)))
        distance, p_value = numbers("beyond_chance", found, (2,))
        truth = (apart >= apart[chosen] - 1e-9).mean()
        spread = np.sqrt(truth * (1 - truth) / n_draws)
        right &= abs(distance / apart[chosen] - 1) < 1e-5
        plausible &= abs(p_value - truth) < 4 * spread + 1 / n_draws
    yield Check(1, bool(right), "the distance between the part's reward and everybody's")
    yield Check(4, bool(plausible), "the p-value that all parts of that size give, up to chance", after=bool(right))
    # A part that is far away, of many: no random part comes near it.
    p = np.repeat(expit(z @ rng.normal(size=4) / 2)[None], 40, axis=0)
    p[:8] = 1 - p[:8] + 0.3 * (p[:8] < 0.5) - 0.3 * (p[:8] >= 0.5)
    wins = rng.binomial(9, np.clip(p, 0.08, 0.92)) / 9
    _, p_value = numbers("beyond_chance", ask("beyond_chance", wins, z, np.arange(40) < 8, 49, 3), (2,))
    yield Check(4, bool(abs(p_value - 1 / 50) < 1e-9), "a part that no random part reaches has the smallest p-value")


TASKS = {
    "fit_preferences": fit_preferences,
    "mismatch_floor": mismatch_floor,
    "cancelling": cancelling,
    "gap": gap,
    "growing": growing,
    "beyond_chance": beyond_chance,
}
