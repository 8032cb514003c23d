"""People with tastes of their own, in K groups or in none: the models that the audit compares on held-out people.

Person i is of group u with probability eta(u), has a taste ``z_i ~ N(m_u, Sigma)``, and is careful to a degree s_i: 1,
0.35, or 0, with shares rho. A vote for a over b, where a was shown first (x = 1) or second (x = -1), has probability ::

    sigma(s_i (r_i(a) - r_i(b)) + b x),    r_i = common + directions z_i

Who has s = 0 is careless: the coin may favour the place, and nothing else. With one group this is the null: individual
tastes and individual care, no groups. Without spread, Sigma is zero and everybody is careful or careless: "one reward".
Integrals over z are Laplace's approximation while a model is searched for, and importance sampling when it is judged,
and in the last passes of a model that is reported: Laplace's alone finds people too alike, and their bias too small.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, logsumexp

from ._space import Space

__all__ = ["Tastes", "fit_tastes"]

# How careful people may be besides not at all; the taste is measured in units of the first.
CARE = (1.0, 0.35)
_PASSES = 60
_DRAWS = 32
_DRAWS_OF_A_PASS = 16
# In nats a person and pass.
_SETTLED = 1e-4
_WIDE = 1.05


@dataclass(frozen=True, eq=False)
class Tastes:
    """Hold a fitted model: shares (K,), means (K, q), covariance (q, q) or None, care (1 + C,), careless first."""

    space: Space
    shares: np.ndarray
    means: np.ndarray
    covariance: np.ndarray | None
    care: np.ndarray
    bias: float

    @property
    def rewards(self):
        """(K, I) the items' mean rewards in every group, of a careful person."""
        return self.space.rewards(self.means)

    @property
    def levels(self):
        """The degrees of care that are not none."""
        return CARE[: len(self.care) - 1]

    def joint(self, votes, seed=None):
        """Return the log-probability of everybody's votes and of being careless or in group u: (A, 1 + K).

        By Laplace's approximation, or with a seed by importance sampling.
        """
        data = self.space.data(votes)
        # The same draws for every model: their errors cancel where two are compared.
        draws = None if seed is None else _draws(data, _DRAWS, seed)
        parts = _evidence(self, data, {}, 8, draws)[0]
        return _by_group(self, parts, data)


def fit_tastes(
    votes, space, n_groups, *, spread=True, start=None, weight=None, passes=_PASSES, sampled=0, careless=None, seed=0
):
    """Return the model of the largest likelihood that EM finds, from `start` (Tastes) or from people's own tastes.

    weight (A,) counts people, as in a bootstrap; the last `sampled` passes integrate by importance sampling; the share
    of careless people is found, or held at `careless`.
    """
    data = space.data(votes)
    weight = np.ones(data.n_people) if weight is None else weight
    if start is None and (spread or n_groups > 1):
        model = _from_several(data, space, n_groups, spread, weight, passes, seed)
    else:
        model = start or _begin(data, space, n_groups, spread, seed)
        model = _climb(data, model, weight, passes, careless=careless)[0]
    if sampled and model.covariance is not None:
        model = _climb(data, model, weight, sampled, _draws(data, _DRAWS_OF_A_PASS, 0), careless)[0]
    return model


def _draws(data, how_many, seed):
    half = np.random.default_rng(seed).standard_normal((data.n_people, how_many // 2, data.q))
    return np.concatenate([half, -half], axis=1)


def _from_several(data, space, n_groups, spread, weight, passes, seed):
    """Start at groups without spread, the best of several, and at k-means of people's own tastes; follow the better."""
    plain = [
        _climb(data, _begin(data, space, n_groups, False, seed + i), weight, 30)
        for i in range(3 if n_groups > 1 else 1)
    ]
    best = max(plain, key=lambda run: run[1])[0]
    if not spread:
        return best
    care = np.append(best.care[0], best.care[1] * np.array([0.8, 0.2]))
    begin = [
        Tastes(space, best.shares, best.means, 0.1 * np.eye(data.q), care, best.bias),
        _begin(data, space, n_groups, True, seed),
    ]
    runs = [_climb(data, model, weight, 6) for model in begin]
    return _climb(data, max(runs, key=lambda run: run[1])[0], weight, passes)[0]


def _climb(data, model, weight, passes, draws=None, careless=None):
    """Return the model after some passes of EM, and the log-likelihood before the last."""
    modes, before = {}, -np.inf
    for number in range(passes):
        parts, moments = _evidence(model, data, modes, 5 if number == 0 else 0, draws)
        joint = np.column_stack([parts[key] for key in sorted(parts)])
        total = logsumexp(joint, axis=1)
        value = float(weight @ total)
        if draws is None and number > 3 and value - before < _SETTLED * weight.sum():
            break
        before = value
        q = {key: weight * np.exp(parts[key] - total) for key in parts}
        model = _step(model, data, q, moments, weight, careless)
    return model, before


def _begin(data, space, n_groups, spread, seed):
    """Start at people's own tastes under a prior of one logit, in n groups by k-means."""
    levels = 1 + (len(CARE) if spread else 1)
    care = np.array([0.1, 0.7, 0.2][:levels])
    care = care / care.sum()
    known = Tastes(space, np.ones(1), np.zeros((1, data.q)), np.eye(data.q), np.array([0.05, 0.95]), 0.0)
    modes = {}
    _evidence(known, data, modes, 8, None)
    own = modes[0, 1]
    covariance = np.cov(own.T).reshape(data.q, data.q) + 0.05 * np.eye(data.q)
    if n_groups == 1:
        return Tastes(space, np.ones(1), own.mean(axis=0)[None], covariance if spread else None, care, 0.0)
    from scipy.cluster.vq import kmeans2  # slow to import

    rng = np.random.default_rng(seed)
    best = None
    for _ in range(10):
        centres, label = kmeans2(own, n_groups, minit="++", rng=rng)
        within = ((own - centres[label]) ** 2).sum()
        if best is None or within < best[0]:
            best = within, centres, label
    _, centres, label = best
    shares = (np.bincount(label, minlength=n_groups) + 1.0) / (len(label) + n_groups)
    within = (own - centres[label]).T @ (own - centres[label]) / len(label)
    return Tastes(space, shares, centres, 0.5 * within + 0.02 * np.eye(data.q) if spread else None, care, 0.0)


def _evidence(model, data, modes, steps, draws):
    """Return by (group, level) the log of share, care and probability of everybody's votes, (A,), and moments of z.

    `modes` holds the most probable z of everybody, and is moved on.
    """
    parts, moments = {}, {}
    place = model.bias * data.shown
    parts[-1, 0] = np.log(model.care[0]) + data.sum(data.weight * log_expit(place))
    if model.covariance is not None:
        precision = np.linalg.inv(model.covariance)
        half = 0.5 * np.linalg.slogdet(precision)[1]
    for k, mean in enumerate(model.means):
        for level, care in enumerate(model.levels, start=1):
            prior = np.log(model.shares[k]) + np.log(model.care[level])
            if model.covariance is None:
                margin = care * (data.offset + data.across @ mean) + place
                parts[k, level] = prior + data.sum(data.weight * log_expit(margin))
                continue
            z = modes.get((k, level))
            z = np.tile(mean, (data.n_people, 1)) if z is None else z
            for _ in range(steps):
                _, curvature, slope = _around(data, z, care, place, mean, precision)
                z = _moved_on(z, np.linalg.solve(curvature, slope[:, :, None])[..., 0])
            margin, curvature, slope = _around(data, z, care, place, mean, precision)
            uncertainty = np.linalg.inv(curvature)
            # One more step for the next pass: what is judged is where it stood.
            modes[k, level] = _moved_on(z, (uncertainty @ slope[:, :, None])[..., 0])
            if draws is None:
                apart = z - mean
                found = data.sum(data.weight * log_expit(margin)) - 0.5 * ((apart @ precision) * apart).sum(axis=1)
                found = found + half - 0.5 * np.linalg.slogdet(curvature)[1]
                moments[k, level] = z, uncertainty
            else:
                found, moments[k, level] = _sampled(data, z, curvature, care, place, mean, precision, draws)
                found = half + found
            parts[k, level] = prior + found
    return parts, moments


def _moved_on(z, step):
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return z + step * np.minimum(1.0, 3.0 / np.maximum(length, 1e-300))


def _around(data, z, care, place, mean, precision):
    """Return the margins at z, the curvature of the log-posterior there, and its slope."""
    margin = care * (data.offset + np.einsum("nq,nq->n", data.across, z[data.person])) + place
    down = expit(-margin)
    slope = data.sum((data.weight * down * care)[:, None] * data.across) - (z - mean) @ precision
    packed = data.sum((data.weight * down * (1 - down) * care**2)[:, None] * data.products)
    return margin, data.square(packed) + precision, slope


def _sampled(data, z, curvature, care, place, mean, precision, draws):
    """Return the log of the integral over z, by draws about the mode (A, S, q), a little wider than the curvature."""
    lower = np.linalg.cholesky(curvature)
    root = np.linalg.inv(lower).transpose(0, 2, 1)
    at = z[:, None, :] + _WIDE * draws @ root.transpose(0, 2, 1)
    margin = care * (data.offset[:, None] + (at[data.person] @ data.across[:, :, None])[..., 0]) + place[:, None]
    found = data.sum(data.weight[:, None] * log_expit(margin))
    apart = at - mean
    found -= 0.5 * np.einsum("asi,asi->as", apart @ precision, apart)
    proposal = -0.5 * (draws**2).sum(axis=2) - data.q * np.log(_WIDE)
    size = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    weight = found - proposal
    total = logsumexp(weight, axis=1)
    weight = np.exp(weight - total[:, None])
    centre = np.einsum("as,asi->ai", weight, at)
    apart = at - centre[:, None]
    spread = (weight[:, :, None] * apart).transpose(0, 2, 1) @ apart
    return total - np.log(draws.shape[1]) - size, (centre, spread)


def _step(model, data, q, moments, weight, careless=None):
    """Return the model of the M-step."""
    n_groups, n_levels = len(model.shares), len(model.levels)
    size = np.array([[q[k, level].sum() for level in range(1, n_levels + 1)] for k in range(n_groups)])
    # Half a person everywhere: no share is ever nothing.
    shares = (size.sum(axis=1) + 0.5) / (size.sum() + 0.5 * n_groups)
    care = np.concatenate([[q[-1, 0].sum()], size.sum(axis=0)]) + 0.5
    care = care / care.sum()
    if careless is not None:
        care = np.append(careless, (1 - careless) * care[1:] / care[1:].sum())
    means = np.empty_like(model.means)
    spread = np.eye(data.q) * 0.02
    slope = curvature = 0.0
    for k in range(n_groups):
        if model.covariance is None:
            means[k], one, two = _moved(model, data, q, k)
        else:
            total = sum(q[k, level] @ moments[k, level][0] for level in range(1, n_levels + 1))
            means[k] = total / (size[k].sum() + 0.02)
            one = two = 0.0
            for level, degree in enumerate(model.levels, start=1):
                z, uncertainty = moments[k, level]
                apart = z - means[k]
                of = q[k, level]
                spread = spread + (of[:, None] * apart).T @ apart + np.tensordot(of, uncertainty, 1)
                one, two = (
                    a + b for a, b in zip((one, two), _pull(model, data, of, z, uncertainty, degree), strict=True)
                )
        slope, curvature = slope + one, curvature + two
    down = expit(-model.bias * data.shown)
    each = data.weight * q[-1, 0][data.person] * data.shown
    slope, curvature = slope + each @ down, curvature + (each * data.shown) @ (down * (1 - down))
    bias = model.bias + float(np.clip(slope / (curvature + 1.0), -0.5, 0.5))
    covariance = None if model.covariance is None else spread / (size.sum() + 1.0)
    return Tastes(model.space, shares, means, covariance, care, bias)


def _pull(model, data, of, z, uncertainty, degree):
    """Return slope and curvature of the votes in the bias, on average over people's tastes N(z, uncertainty)."""
    margin = degree * (data.offset + np.einsum("nq,nq->n", data.across, z[data.person])) + model.bias * data.shown
    # The logistic function's mean over a normal margin: that of a narrower margin, within 0.01.
    packed = uncertainty[:, data.upper[0], data.upper[1]] * np.where(data.upper[0] == data.upper[1], 1.0, 2.0)
    spread = degree**2 * np.einsum("np,np->n", data.products, packed[data.person])
    margin = margin / np.sqrt(1 + np.pi / 8 * spread)
    down = expit(-margin)
    each = data.weight * of[data.person] * data.shown
    return each @ down, (each * data.shown) @ (down * (1 - down))


def _moved(model, data, q, k):
    """Return the mean of a group without spread after one Newton step, and its pull on the bias."""
    one = two = 0.0
    slope, curvature = -model.means[k] * 0.1, 0.1 * np.eye(data.q)
    for level, degree in enumerate(model.levels, start=1):
        margin = degree * (data.offset + data.across @ model.means[k]) + model.bias * data.shown
        down = expit(-margin)
        each = data.weight * q[k, level][data.person]
        slope = slope + degree * data.across.T @ (each * down)
        packed = degree**2 * (each * down * (1 - down)) @ data.products
        curvature = curvature + data.square(packed[None])[0]
        one += (each * data.shown) @ down
        two += (each * data.shown**2) @ (down * (1 - down))
    step = np.linalg.solve(curvature, slope)
    return model.means[k] + step * min(1.0, 2.0 / max(np.linalg.norm(step), 1e-300)), one, two


def _by_group(model, parts, data):
    found = [parts[-1, 0]]
    for k in range(len(model.shares)):
        found.append(logsumexp([parts[k, level] for level in range(1, len(model.levels) + 1)], axis=0))
    return np.column_stack(found)
