"""Plausible wrong answers to assignment 4: each must lose points, whatever the seed of the course."""

WRONG = {
    "at_weights": {
        "forgets the reference": """# ANSWER at_weights
def at_weights(weights, rewards, log_reference, beta):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    even = np.zeros_like(log_reference)
    tilt = np.tensordot(weights, rewards, 1) / beta
    log_mass = logsumexp(0 * even + tilt, axis=1, keepdims=True)
    policy = np.exp(0 * even + tilt - log_mass)
    spent = beta * (policy * (tilt - log_mass)).sum(axis=1).mean()
    values = (policy * rewards).sum(axis=2).mean(axis=1) - spent
    return policy, values, beta * log_mass.mean()
""",
        "twice beta": """# ANSWER at_weights
def at_weights(weights, rewards, log_reference, beta):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    tilt = np.tensordot(weights, rewards, 1) / (2 * beta)
    log_mass = logsumexp(log_reference + tilt, axis=1, keepdims=True)
    policy = np.exp(log_reference + tilt - log_mass)
    spent = beta * (policy * (tilt - log_mass)).sum(axis=1).mean()
    values = (policy * rewards).sum(axis=2).mean(axis=1) - spent
    return policy, values, beta * log_mass.mean()
""",
        "values without the divergence": """# ANSWER at_weights
def at_weights(weights, rewards, log_reference, beta):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    tilt = np.tensordot(weights, rewards, 1) / beta
    log_mass = logsumexp(log_reference + tilt, axis=1, keepdims=True)
    policy = np.exp(log_reference + tilt - log_mass)
    spent = beta * (policy * (tilt - log_mass)).sum(axis=1).mean()
    values = (policy * rewards).sum(axis=2).mean(axis=1)
    return policy, values, beta * log_mass.mean()
""",
        "adds the divergence up over prompts": """# ANSWER at_weights
def at_weights(weights, rewards, log_reference, beta):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    tilt = np.tensordot(weights, rewards, 1) / beta
    log_mass = logsumexp(log_reference + tilt, axis=1, keepdims=True)
    policy = np.exp(log_reference + tilt - log_mass)
    spent = beta * (policy * (tilt - log_mass)).sum()
    values = (policy * rewards).sum(axis=2).mean(axis=1) - spent
    return policy, values, beta * log_mass.mean()
""",
        "takes the exponential first": """# ANSWER at_weights
def at_weights(weights, rewards, log_reference, beta):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    tilt = np.tensordot(weights, rewards, 1) / beta
    log_mass = np.log((np.exp(log_reference) * np.exp(tilt)).sum(axis=1, keepdims=True))
    policy = np.exp(log_reference + tilt - log_mass)
    spent = beta * (policy * (tilt - log_mass)).sum(axis=1).mean()
    values = (policy * rewards).sum(axis=2).mean(axis=1) - spent
    return policy, values, beta * log_mass.mean()
""",
        "mixes the groups' policies instead of their rewards": """# ANSWER at_weights
def at_weights(weights, rewards, log_reference, beta):
    tilted = np.asarray(log_reference) + np.asarray(rewards) / beta
    own = np.exp(tilted - logsumexp(tilted, axis=2, keepdims=True))
    policy, even = np.tensordot(weights, own, 1), np.maximum(log_reference, -700)
    spent = beta * np.where(policy > 0, policy * (np.log(np.maximum(policy, 1e-300)) - even), 0).sum(axis=1).mean()
    values = (policy * rewards).sum(axis=2).mean(axis=1) - spent
    return policy, values, np.dot(weights, values)
""",
    },
    "worst_off_first": {
        "the minimum over groups, response by response": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    lowest = np.asarray(rewards).min(axis=0, keepdims=True)
    return np.full(len(rewards), 1 / len(rewards)), at_weights([1.0], lowest, log_reference, beta)[0]
""",
        "the average over groups": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    w = np.full(len(rewards), 1 / len(rewards))
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
        "all weight to the group that is worst off under the reference": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    w = np.eye(len(rewards))[(np.exp(log_reference) * rewards).sum(axis=(1, 2)).argmin()]
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
        "a search over the weights of the first two groups": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    tried = [np.append([t, 1 - t], np.zeros(len(rewards) - 2)) for t in np.linspace(0, 1, 2001)]
    w = min(tried, key=lambda w: at_weights(w, rewards, log_reference, beta)[2])
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
        "prompt by prompt": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    rewards = np.asarray(rewards, dtype=float)
    if rewards.shape[1] > 1:
        parts = [worst_off_first(rewards[:, [x]], log_reference[[x]], beta) for x in range(rewards.shape[1])]
        return np.mean([w for w, _ in parts], axis=0), np.vstack([policy for _, policy in parts])
    n, ones = len(rewards), {"type": "eq", "fun": lambda w: w.sum() - 1}
    dual, slope = (lambda w, k=k: at_weights(w, rewards, log_reference, beta)[k] for k in (2, 1))
    options = {"ftol": 1e-15, "maxiter": 1000}
    w = minimize(dual, np.full(n, 1 / n), jac=slope, bounds=[(0, 1)] * n, constraints=ones, options=options).x
    w = np.maximum(w, 0) / np.maximum(w, 0).sum()
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
        "twice beta": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    rewards = np.asarray(rewards, dtype=float)
    beta = 2 * beta
    n, ones = len(rewards), {"type": "eq", "fun": lambda w: w.sum() - 1}
    dual, slope = (lambda w, k=k: at_weights(w, rewards, log_reference, beta)[k] for k in (2, 1))
    options = {"ftol": 1e-15, "maxiter": 1000}
    w = minimize(dual, np.full(n, 1 / n), jac=slope, bounds=[(0, 1)] * n, constraints=ones, options=options).x
    w = np.maximum(w, 0) / np.maximum(w, 0).sum()
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
        "a uniform reference": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    rewards = np.asarray(rewards, dtype=float)
    log_reference = np.zeros_like(log_reference) - np.log(rewards.shape[2])
    n, ones = len(rewards), {"type": "eq", "fun": lambda w: w.sum() - 1}
    dual, slope = (lambda w, k=k: at_weights(w, rewards, log_reference, beta)[k] for k in (2, 1))
    options = {"ftol": 1e-15, "maxiter": 1000}
    w = minimize(dual, np.full(n, 1 / n), jac=slope, bounds=[(0, 1)] * n, constraints=ones, options=options).x
    w = np.maximum(w, 0) / np.maximum(w, 0).sum()
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
        "the smallest regret instead of the smallest value": """# ANSWER worst_off_first
def worst_off_first(rewards, log_reference, beta):
    rewards = np.asarray(rewards, dtype=float)
    own = [at_weights([1.0], rewards[[u]], log_reference, beta)[2] for u in range(len(rewards))]
    rewards = rewards - np.array(own)[:, None, None]
    n, ones = len(rewards), {"type": "eq", "fun": lambda w: w.sum() - 1}
    dual, slope = (lambda w, k=k: at_weights(w, rewards, log_reference, beta)[k] for k in (2, 1))
    options = {"ftol": 1e-15, "maxiter": 1000}
    w = minimize(dual, np.full(n, 1 / n), jac=slope, bounds=[(0, 1)] * n, constraints=ones, options=options).x
    w = np.maximum(w, 0) / np.maximum(w, 0).sum()
    return w, at_weights(w, rewards, log_reference, beta)[0]
""",
    },
    "accept": {
        "what cannot be given is skipped in the divergence": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = (policy > 0) & np.isfinite(log_reference)
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9:
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(abs(worst - claimed) <= tolerance and proved - worst <= tolerance)
""",
        "what cannot be given is skipped altogether": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = (policy > 0) & np.isfinite(log_reference)
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9:
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((np.where(given, policy, 0) * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(abs(worst - claimed) <= tolerance and proved - worst <= tolerance)
""",
        "what cannot be given is cut off, and the rest made to sum to one": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    policy = np.where(np.isfinite(log_reference), policy, 0)
    policy = policy / policy.sum(axis=1, keepdims=True)
    given = (policy > 0) & np.isfinite(log_reference)
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9:
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(abs(worst - claimed) <= tolerance and proved - worst <= tolerance)
""",
        "accepts weights of any sum": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = policy > 0
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9 or not np.isfinite(log_reference[given]).all():
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(abs(worst - claimed) <= tolerance and proved - worst <= tolerance)
""",
        "accepts a policy whose rows do not sum to one": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = policy > 0
    if policy.min() < 0 or not np.isfinite(log_reference[given]).all():
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(abs(worst - claimed) <= tolerance and proved - worst <= tolerance)
""",
        "believes the claimed value": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = policy > 0
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9 or not np.isfinite(log_reference[given]).all():
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(proved - claimed <= tolerance)
""",
        "does not compare with what is claimed": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = policy > 0
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9 or not np.isfinite(log_reference[given]).all():
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    proved = at_weights(weights, rewards, log_reference, beta)[2]
    return bool(proved - worst <= tolerance)
""",
        "accepts where all groups have the same value": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = policy > 0
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9 or not np.isfinite(log_reference[given]).all():
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    level = np.ptp((policy * rewards).sum(axis=2).mean(axis=1)) <= tolerance
    return bool(abs(worst - claimed) <= tolerance and level)
""",
        "wants the policy to be that of the weights": """# ANSWER accept
def accept(rewards, log_reference, beta, policy, weights, claimed, tolerance):
    rewards, log_reference = np.asarray(rewards, dtype=float), np.asarray(log_reference, dtype=float)
    policy, weights = np.asarray(policy, dtype=float), np.asarray(weights, dtype=float)
    given = policy > 0
    if policy.min() < 0 or np.abs(policy.sum(axis=1) - 1).max() > 1e-9 or not np.isfinite(log_reference[given]).all():
        return False
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        return False
    spent = (policy[given] * (np.log(policy[given]) - log_reference[given])).sum() / len(policy)
    worst = ((policy * rewards).sum(axis=2).mean(axis=1) - beta * spent).min()
    best, _, proved = at_weights(weights, rewards, log_reference, beta)
    return bool(abs(worst - claimed) <= tolerance and np.allclose(best, policy) and proved - worst <= tolerance)
""",
    },
    "certified_gaps": {
        "steps towards the best-off group": """# ANSWER certified_gaps
def certified_gaps(rewards, log_reference, beta, n_steps, rate):
    weights, gaps = np.full(len(rewards), 1 / len(rewards)), []
    for t in range(n_steps + 1):
        _, values, bound = at_weights(weights, rewards, log_reference, beta)
        gaps.append(bound - values.min())
        step = 2 / (t + 2) if rate is None else rate
        weights = (1 - step) * weights
        weights[values.argmax()] += step
    return np.array(gaps)
""",
        "the steps 1/(t + 2)": """# ANSWER certified_gaps
def certified_gaps(rewards, log_reference, beta, n_steps, rate):
    weights, gaps = np.full(len(rewards), 1 / len(rewards)), []
    for t in range(n_steps + 1):
        _, values, bound = at_weights(weights, rewards, log_reference, beta)
        gaps.append(bound - values.min())
        step = 1 / (t + 2) if rate is None else rate
        weights = (1 - step) * weights
        weights[values.argmin()] += step
    return np.array(gaps)
""",
        "the steps 2/(t + 3), one step late": """# ANSWER certified_gaps
def certified_gaps(rewards, log_reference, beta, n_steps, rate):
    weights, gaps = np.full(len(rewards), 1 / len(rewards)), []
    for t in range(n_steps + 1):
        _, values, bound = at_weights(weights, rewards, log_reference, beta)
        gaps.append(bound - values.min())
        step = 2 / (t + 3) if rate is None else rate
        weights = (1 - step) * weights
        weights[values.argmin()] += step
    return np.array(gaps)
""",
        "adds the step without shrinking the other weights": """# ANSWER certified_gaps
def certified_gaps(rewards, log_reference, beta, n_steps, rate):
    weights, gaps = np.full(len(rewards), 1 / len(rewards)), []
    for t in range(n_steps + 1):
        _, values, bound = at_weights(weights, rewards, log_reference, beta)
        gaps.append(bound - values.min())
        step = 2 / (t + 2) if rate is None else rate
        weights = weights.copy()
        weights[values.argmin()] += step
        weights = weights / weights.sum()
    return np.array(gaps)
""",
        "measures after the step instead of before it": """# ANSWER certified_gaps
def certified_gaps(rewards, log_reference, beta, n_steps, rate):
    weights, gaps = np.full(len(rewards), 1 / len(rewards)), []
    for t in range(n_steps + 1):
        _, values, bound = at_weights(weights, rewards, log_reference, beta)
        gaps.append(bound - values.min())
        step = 2 / (t + 2) if rate is None else rate
        weights = (1 - step) * weights
        weights[values.argmin()] += step
    _, values, bound = at_weights(weights, rewards, log_reference, beta)
    return np.append(gaps[1:], bound - values.min())
""",
        "keeps the smallest gap so far": """# ANSWER certified_gaps
def certified_gaps(rewards, log_reference, beta, n_steps, rate):
    weights, gaps = np.full(len(rewards), 1 / len(rewards)), []
    for t in range(n_steps + 1):
        _, values, bound = at_weights(weights, rewards, log_reference, beta)
        gaps.append(bound - values.min())
        step = 2 / (t + 2) if rate is None else rate
        weights = (1 - step) * weights
        weights[values.argmin()] += step
    return np.minimum.accumulate(gaps)
""",
    },
    "common_scale": {
        "one mean for all prompts": """# ANSWER common_scale
def common_scale(rewards, log_reference):
    rewards, reference = np.asarray(rewards, dtype=float), np.exp(log_reference)
    centred = rewards - (reference * rewards).sum(axis=2, keepdims=True).mean(axis=1, keepdims=True)
    spread = np.sqrt((reference * centred**2).sum(axis=2).mean(axis=1))[:, None, None]
    flat = spread <= 1e-9 * (1 + np.abs(np.where(reference > 0, rewards, 0)).max(axis=(1, 2), keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
""",
        "a uniform reference": """# ANSWER common_scale
def common_scale(rewards, log_reference):
    rewards, reference = np.asarray(rewards, dtype=float), np.ones_like(log_reference) / np.shape(log_reference)[1]
    centred = rewards - (reference * rewards).sum(axis=2, keepdims=True)
    spread = np.sqrt((reference * centred**2).sum(axis=2).mean(axis=1))[:, None, None]
    flat = spread <= 1e-9 * (1 + np.abs(np.where(reference > 0, rewards, 0)).max(axis=(1, 2), keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
""",
        "a spread for each prompt": """# ANSWER common_scale
def common_scale(rewards, log_reference):
    rewards, reference = np.asarray(rewards, dtype=float), np.exp(log_reference)
    centred = rewards - (reference * rewards).sum(axis=2, keepdims=True)
    spread = np.sqrt((reference * centred**2).sum(axis=2, keepdims=True))
    flat = spread <= 1e-9 * (1 + np.abs(np.where(reference > 0, rewards, 0)).max(axis=(1, 2), keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
""",
        "centres only": """# ANSWER common_scale
def common_scale(rewards, log_reference):
    rewards, reference = np.asarray(rewards, dtype=float), np.exp(log_reference)
    centred = rewards - (reference * rewards).sum(axis=2, keepdims=True)
    spread = np.sqrt((reference * centred**2).sum(axis=2).mean(axis=1))[:, None, None]
    flat = spread <= 1e-9 * (1 + np.abs(np.where(reference > 0, rewards, 0)).max(axis=(1, 2), keepdims=True))
    return np.where(flat, 0.0, centred)
""",
        "divides by zero where a group has no preferences": """# ANSWER common_scale
def common_scale(rewards, log_reference):
    rewards, reference = np.asarray(rewards, dtype=float), np.exp(log_reference)
    centred = rewards - (reference * rewards).sum(axis=2, keepdims=True)
    spread = np.sqrt((reference * centred**2).sum(axis=2).mean(axis=1))[:, None, None]
    return centred / spread
""",
        "the variance instead of its root": """# ANSWER common_scale
def common_scale(rewards, log_reference):
    rewards, reference = np.asarray(rewards, dtype=float), np.exp(log_reference)
    centred = rewards - (reference * rewards).sum(axis=2, keepdims=True)
    spread = (reference * centred**2).sum(axis=2).mean(axis=1)[:, None, None]
    flat = spread <= 1e-9 * (1 + np.abs(np.where(reference > 0, rewards, 0)).max(axis=(1, 2), keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
""",
    },
}
