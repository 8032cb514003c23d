"""Plausible wrong answers to assignment 6, each of which the judge refuses."""

# By task, by the mistake in words: the source of the answer's cell.
WRONG = {
    "batch_scores": {
        "the sign: the group that has more gains weight": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights + rate * rewards.mean(axis=1))
    score = (np.exp(moved) @ rewards - beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
        "weights that are not normalised": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_weights - rate * rewards.mean(axis=1)
    score = (np.exp(moved) @ rewards - beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
        "the minimum of the groups, text by text": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    score = (rewards.min(axis=0) - beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
        "yesterday's weights score the texts": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    score = (np.exp(log_weights) @ rewards - beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
        "the price of divergence with the wrong sign": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    score = (np.exp(moved) @ rewards + beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
        "the baseline contains the text itself": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    score = (np.exp(moved) @ rewards - beta * log_ratio).reshape(-1, n_samples)
    rest = score.mean(axis=1, keepdims=True)
    return moved, (score - rest).ravel()
''',
        "the baseline is the mean of the whole batch": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    score = (np.exp(moved) @ rewards - beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum() - score) / (score.size - 1)
    return moved, (score - rest).ravel()
''',
        "texts in the other order, sample by sample": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    score = (np.exp(moved) @ rewards - beta * log_ratio).reshape(n_samples, -1).T
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
        "weights move by the worst text of each group, not by its mean": '''
# ANSWER batch_scores
def batch_scores(rewards, log_ratio, log_weights, rate, beta, n_samples):
    """Return the moved log-weights, shape (U,), and the advantages of all texts, shape (n,)."""
    moved = log_softmax(log_weights - rate * rewards.mean(axis=1))
    moved = log_softmax(log_weights - rate * rewards.min(axis=1))
    score = (np.exp(moved) @ rewards - beta * log_ratio).reshape(-1, n_samples)
    rest = (score.sum(axis=1, keepdims=True) - score) / (n_samples - 1)
    return moved, (score - rest).ravel()
''',
    },
    "on_one_scale": {
        "every text counts alike, not by the reference": '''
# ANSWER on_one_scale
def on_one_scale(rewards, probability):
    """Return rewards, shape (U, Y), with mean zero and spread one under the probability; zero without spread."""
    centred = rewards - (rewards.mean(axis=1))[:, None]
    spread = np.sqrt((centred**2).mean(axis=1))
    flat = spread <= 1e-12 * (1 + np.abs(rewards).max())
    return np.where(flat[:, None], 0.0, centred / np.where(flat, 1.0, spread)[:, None])
''',
        "raw rewards": '''
# ANSWER on_one_scale
def on_one_scale(rewards, probability):
    """Return rewards, shape (U, Y), with mean zero and spread one under the probability; zero without spread."""
    centred = rewards - (rewards @ probability)[:, None]
    spread = np.sqrt(centred**2 @ probability)
    flat = spread <= 1e-12 * (1 + np.abs(rewards).max())
    return np.where(flat[:, None], 0.0, rewards)
''',
        "centred only": '''
# ANSWER on_one_scale
def on_one_scale(rewards, probability):
    """Return rewards, shape (U, Y), with mean zero and spread one under the probability; zero without spread."""
    centred = rewards - (rewards @ probability)[:, None]
    spread = np.sqrt(centred**2 @ probability)
    flat = spread <= 1e-12 * (1 + np.abs(rewards).max())
    return np.where(flat[:, None], 0.0, centred)
''',
        "divided by the variance": '''
# ANSWER on_one_scale
def on_one_scale(rewards, probability):
    """Return rewards, shape (U, Y), with mean zero and spread one under the probability; zero without spread."""
    centred = rewards - (rewards @ probability)[:, None]
    spread = centred**2 @ probability
    flat = spread <= 1e-12 * (1 + np.abs(rewards).max())
    return np.where(flat[:, None], 0.0, centred / np.where(flat, 1.0, spread)[:, None])
''',
        "one unit for all groups": '''
# ANSWER on_one_scale
def on_one_scale(rewards, probability):
    """Return rewards, shape (U, Y), with mean zero and spread one under the probability; zero without spread."""
    centred = rewards - (rewards @ probability)[:, None]
    spread = np.sqrt(centred**2 @ probability).mean() * np.ones(len(rewards))
    flat = spread <= 1e-12 * (1 + np.abs(rewards).max())
    return np.where(flat[:, None], 0.0, centred / np.where(flat, 1.0, spread)[:, None])
''',
        "divided by the range": '''
# ANSWER on_one_scale
def on_one_scale(rewards, probability):
    """Return rewards, shape (U, Y), with mean zero and spread one under the probability; zero without spread."""
    centred = rewards - (rewards @ probability)[:, None]
    spread = np.ptp(rewards, axis=1)
    flat = spread <= 1e-12 * (1 + np.abs(rewards).max())
    return np.where(flat[:, None], 0.0, centred / np.where(flat, 1.0, spread)[:, None])
''',
    },
    "suspicion": {
        "the larger likelihood, without the shares": '''
# ANSWER suspicion
def suspicion(difference, annotator, parameters, shares):
    """Return s, shape (n_annotators,): log-likelihood of everybody's answers under the mixture, less that of a coin.

    `difference` has shape (n, d), `annotator` (n,) numbers from 0, `parameters` (K, d), `shares` (K,).
    """
    each = -np.logaddexp(0.0, -difference @ np.transpose(parameters))
    n_annotators = int(annotator.max()) + 1
    total = np.zeros((n_annotators, len(shares)))
    np.add.at(total, annotator, each)
    many = np.bincount(annotator, minlength=n_annotators)
    return total.max(axis=1) + many * np.log(2.0)
''',
        "chances multiplied, which underflows": '''
# ANSWER suspicion
def suspicion(difference, annotator, parameters, shares):
    """Return s, shape (n_annotators,): log-likelihood of everybody's answers under the mixture, less that of a coin.

    `difference` has shape (n, d), `annotator` (n,) numbers from 0, `parameters` (K, d), `shares` (K,).
    """
    each = -np.logaddexp(0.0, -difference @ np.transpose(parameters))
    n_annotators = int(annotator.max()) + 1
    total = np.zeros((n_annotators, len(shares)))
    np.add.at(total, annotator, each)
    many = np.bincount(annotator, minlength=n_annotators)
    with np.errstate(all='ignore'):
        return np.log(np.maximum(np.exp(total) @ shares, 1e-300)) + many * np.log(2.0)
''',
        "the mixture answer by answer, not person by person": '''
# ANSWER suspicion
def suspicion(difference, annotator, parameters, shares):
    """Return s, shape (n_annotators,): log-likelihood of everybody's answers under the mixture, less that of a coin.

    `difference` has shape (n, d), `annotator` (n,) numbers from 0, `parameters` (K, d), `shares` (K,).
    """
    each = -np.logaddexp(0.0, -difference @ np.transpose(parameters))
    each = logsumexp(each + np.log(shares), axis=1)[:, None] + np.zeros(len(shares))
    n_annotators = int(annotator.max()) + 1
    total = np.zeros((n_annotators, len(shares)))
    np.add.at(total, annotator, each)
    many = np.bincount(annotator, minlength=n_annotators)
    return total[:, 0] + many * np.log(2.0)
''',
        "the sign: chances of the opposite answers": '''
# ANSWER suspicion
def suspicion(difference, annotator, parameters, shares):
    """Return s, shape (n_annotators,): log-likelihood of everybody's answers under the mixture, less that of a coin.

    `difference` has shape (n, d), `annotator` (n,) numbers from 0, `parameters` (K, d), `shares` (K,).
    """
    each = -np.logaddexp(0.0, difference @ np.transpose(parameters))
    n_annotators = int(annotator.max()) + 1
    total = np.zeros((n_annotators, len(shares)))
    np.add.at(total, annotator, each)
    many = np.bincount(annotator, minlength=n_annotators)
    return logsumexp(total + np.log(shares), axis=1) + many * np.log(2.0)
''',
        "not compared with a coin": '''
# ANSWER suspicion
def suspicion(difference, annotator, parameters, shares):
    """Return s, shape (n_annotators,): log-likelihood of everybody's answers under the mixture, less that of a coin.

    `difference` has shape (n, d), `annotator` (n,) numbers from 0, `parameters` (K, d), `shares` (K,).
    """
    each = -np.logaddexp(0.0, -difference @ np.transpose(parameters))
    n_annotators = int(annotator.max()) + 1
    total = np.zeros((n_annotators, len(shares)))
    np.add.at(total, annotator, each)
    many = np.bincount(annotator, minlength=n_annotators)
    return logsumexp(total + np.log(shares), axis=1)
''',
        "an average over answers instead of the sum": '''
# ANSWER suspicion
def suspicion(difference, annotator, parameters, shares):
    """Return s, shape (n_annotators,): log-likelihood of everybody's answers under the mixture, less that of a coin.

    `difference` has shape (n, d), `annotator` (n,) numbers from 0, `parameters` (K, d), `shares` (K,).
    """
    each = -np.logaddexp(0.0, -difference @ np.transpose(parameters))
    n_annotators = int(annotator.max()) + 1
    total = np.zeros((n_annotators, len(shares)))
    np.add.at(total, annotator, each)
    many = np.bincount(annotator, minlength=n_annotators)
    return logsumexp(total + np.log(shares), axis=1) / many + np.log(2.0)
''',
    },
    "matched_beta": {
        "the divergence the other way round": '''
# ANSWER matched_beta
def matched_beta(reward, log_reference, divergence):
    """Return the beta, a number, at which the optimal policy of a reward is so many nats from the reference."""
    def too_far(log_beta):
        policy = gibbs_policy(reward, log_reference, np.exp(log_beta))
        return kl_divergence(np.exp(log_reference), np.log(policy + 1e-300)) - divergence

    return float(np.exp(brentq(too_far, np.log(1e-3), np.log(1e4), xtol=1e-12)))
''',
        "prompts are added instead of averaged": '''
# ANSWER matched_beta
def matched_beta(reward, log_reference, divergence):
    """Return the beta, a number, at which the optimal policy of a reward is so many nats from the reference."""
    def too_far(log_beta):
        policy = gibbs_policy(reward, log_reference, np.exp(log_beta))
        return kl_divergence(policy, log_reference) * len(policy) - divergence

    return float(np.exp(brentq(too_far, np.log(1e-3), np.log(1e4), xtol=1e-12)))
''',
        "the first order: variance over twice beta squared": '''
# ANSWER matched_beta
def matched_beta(reward, log_reference, divergence):
    """Return the beta, a number, at which the optimal policy of a reward is so many nats from the reference."""
    chance = np.exp(log_reference)
    mean = (chance * reward).sum(axis=1, keepdims=True)
    return float(np.sqrt((chance * (reward - mean) ** 2).sum(axis=1).mean() / (2 * divergence)))

    def too_far(log_beta):
        policy = gibbs_policy(reward, log_reference, np.exp(log_beta))
        return kl_divergence(policy, log_reference) - divergence

    return float(np.exp(brentq(too_far, np.log(1e-3), np.log(1e4), xtol=1e-12)))
''',
        "one over beta": '''
# ANSWER matched_beta
def matched_beta(reward, log_reference, divergence):
    """Return the beta, a number, at which the optimal policy of a reward is so many nats from the reference."""
    def too_far(log_beta):
        policy = gibbs_policy(reward, log_reference, np.exp(log_beta))
        return kl_divergence(policy, log_reference) - divergence

    return float(np.exp(-brentq(too_far, np.log(1e-3), np.log(1e4), xtol=1e-12)))
''',
        "the same beta for everybody": '''
# ANSWER matched_beta
def matched_beta(reward, log_reference, divergence):
    """Return the beta, a number, at which the optimal policy of a reward is so many nats from the reference."""
    return 0.3

    def too_far(log_beta):
        policy = gibbs_policy(reward, log_reference, np.exp(log_beta))
        return kl_divergence(policy, log_reference) - divergence

    return float(np.exp(brentq(too_far, np.log(1e-3), np.log(1e4), xtol=1e-12)))
''',
        "a uniform reference": '''
# ANSWER matched_beta
def matched_beta(reward, log_reference, divergence):
    """Return the beta, a number, at which the optimal policy of a reward is so many nats from the reference."""
    log_reference = np.full(np.shape(reward), -np.log(np.shape(reward)[1]))

    def too_far(log_beta):
        policy = gibbs_policy(reward, log_reference, np.exp(log_beta))
        return kl_divergence(policy, log_reference) - divergence

    return float(np.exp(brentq(too_far, np.log(1e-3), np.log(1e4), xtol=1e-12)))
''',
    },
    "enclosure": {
        "an upper bound at equal weights, which is not the least": '''
# ANSWER enclosure
def enclosure(policy, rewards, log_reference, beta):
    """Return the worst-off group's value of a policy (X, Y), and the max-min value of the problem, two numbers."""
    rewards, log_reference = np.asarray(rewards), np.asarray(log_reference)
    n_prompts = len(log_reference)

    def dual(free):
        weights = softmax(free)
        tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
        level = logsumexp(tilted, axis=1, keepdims=True)
        means = (rewards * np.exp(tilted - level)).sum(axis=(1, 2)) / n_prompts
        return beta * level.mean(), weights * (means - weights @ means)

    free, best = np.zeros(len(rewards)), np.inf
    for _ in range(20):
        found = minimize(dual, free, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
        free, last, best = found.x, best, found.fun
        if last - best < 1e-10:
            break
    return float(group_values(policy, rewards, log_reference, beta).min()), float(dual(np.zeros(len(rewards)))[0])
''',
        "the optimum of the average group": '''
# ANSWER enclosure
def enclosure(policy, rewards, log_reference, beta):
    """Return the worst-off group's value of a policy (X, Y), and the max-min value of the problem, two numbers."""
    rewards, log_reference = np.asarray(rewards), np.asarray(log_reference)
    n_prompts = len(log_reference)

    def dual(free):
        weights = softmax(free)
        tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
        level = logsumexp(tilted, axis=1, keepdims=True)
        means = (rewards * np.exp(tilted - level)).sum(axis=(1, 2)) / n_prompts
        return beta * level.mean(), weights * (means - weights @ means)

    free, best = np.zeros(len(rewards)), np.inf
    for _ in range(20):
        found = minimize(dual, free, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
        free, last, best = found.x, best, found.fun
        if last - best < 1e-10:
            break
    best = dual(np.zeros(len(rewards)))[0]
    return float(group_values(policy, rewards, log_reference, beta).mean()), float(best)
''',
        "the minimum per response": '''
# ANSWER enclosure
def enclosure(policy, rewards, log_reference, beta):
    """Return the worst-off group's value of a policy (X, Y), and the max-min value of the problem, two numbers."""
    rewards, log_reference = np.asarray(rewards), np.asarray(log_reference)
    n_prompts = len(log_reference)

    def dual(free):
        weights = softmax(free)
        tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
        level = logsumexp(tilted, axis=1, keepdims=True)
        means = (rewards * np.exp(tilted - level)).sum(axis=(1, 2)) / n_prompts
        return beta * level.mean(), weights * (means - weights @ means)

    free, best = np.zeros(len(rewards)), np.inf
    for _ in range(20):
        found = minimize(dual, free, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
        free, last, best = found.x, best, found.fun
        if last - best < 1e-10:
            break
    best = beta * logsumexp(log_reference + rewards.min(axis=0) / beta, axis=1).mean()
    return float(group_values(policy, rewards, log_reference, beta).min()), float(best)
''',
        "the least of the groups' own optima": '''
# ANSWER enclosure
def enclosure(policy, rewards, log_reference, beta):
    """Return the worst-off group's value of a policy (X, Y), and the max-min value of the problem, two numbers."""
    rewards, log_reference = np.asarray(rewards), np.asarray(log_reference)
    n_prompts = len(log_reference)

    def dual(free):
        weights = softmax(free)
        tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
        level = logsumexp(tilted, axis=1, keepdims=True)
        means = (rewards * np.exp(tilted - level)).sum(axis=(1, 2)) / n_prompts
        return beta * level.mean(), weights * (means - weights @ means)

    free, best = np.zeros(len(rewards)), np.inf
    for _ in range(20):
        found = minimize(dual, free, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
        free, last, best = found.x, best, found.fun
        if last - best < 1e-10:
            break
    best = min(beta * logsumexp(log_reference + r / beta, axis=1).mean() for r in rewards)
    return float(group_values(policy, rewards, log_reference, beta).min()), float(best)
''',
        "rewards without the price of divergence": '''
# ANSWER enclosure
def enclosure(policy, rewards, log_reference, beta):
    """Return the worst-off group's value of a policy (X, Y), and the max-min value of the problem, two numbers."""
    rewards, log_reference = np.asarray(rewards), np.asarray(log_reference)
    n_prompts = len(log_reference)

    def dual(free):
        weights = softmax(free)
        tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
        level = logsumexp(tilted, axis=1, keepdims=True)
        means = (rewards * np.exp(tilted - level)).sum(axis=(1, 2)) / n_prompts
        return beta * level.mean(), weights * (means - weights @ means)

    free, best = np.zeros(len(rewards)), np.inf
    for _ in range(20):
        found = minimize(dual, free, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
        free, last, best = found.x, best, found.fun
        if last - best < 1e-10:
            break
    return float((policy * rewards).sum(axis=2).mean(axis=1).min()), float(best)
''',
        "prompts are added": '''
# ANSWER enclosure
def enclosure(policy, rewards, log_reference, beta):
    """Return the worst-off group's value of a policy (X, Y), and the max-min value of the problem, two numbers."""
    rewards, log_reference = np.asarray(rewards), np.asarray(log_reference)
    n_prompts = len(log_reference)

    def dual(free):
        weights = softmax(free)
        tilted = log_reference + np.tensordot(weights, rewards, 1) / beta
        level = logsumexp(tilted, axis=1, keepdims=True)
        means = (rewards * np.exp(tilted - level)).sum(axis=(1, 2)) / n_prompts
        return beta * level.sum(), weights * (means - weights @ means)

    free, best = np.zeros(len(rewards)), np.inf
    for _ in range(20):
        found = minimize(dual, free, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
        free, last, best = found.x, best, found.fun
        if last - best < 1e-10:
            break
    return float(group_values(policy, rewards, log_reference, beta).min()), float(best)
''',
    },
    "two_runs": {
        "equal beta, reported as if it were matched": '''
# ANSWER two_runs
def two_runs():
    """Return what the runs gave."""
    return {"kl": [2.4051, 1.675], "worst": [-0.1442, 0.9463], "closed": 0.9874}
''',
        "typed numbers that one would wish for": '''
# ANSWER two_runs
def two_runs():
    """Return what the runs gave."""
    return {"kl": [1.675, 1.675], "worst": [0.35, 0.96], "closed": 1.0}
''',
        "divergences of the last batches, not exact ones": '''
# ANSWER two_runs
def two_runs():
    """Return what the runs gave."""
    return {"kl": [1.71, 1.58], "worst": [-0.05, 0.93], "closed": 0.97}
''',
        "the two runs the wrong way round": '''
# ANSWER two_runs
def two_runs():
    """Return what the runs gave."""
    return {"kl": [1.675, 1.6709], "worst": [0.9463, -0.0694], "closed": 0.9874}
''',
        "values, with the price of divergence": '''
# ANSWER two_runs
def two_runs():
    """Return what the runs gave."""
    return {"kl": [1.6709, 1.675], "worst": [-0.691, 0.4438], "closed": 0.9874}
''',
        "the part closed by rewards": '''
# ANSWER two_runs
def two_runs():
    """Return what the runs gave."""
    return {"kl": [1.6709, 1.675], "worst": [-0.0694, 0.9463], "closed": 0.9988}
''',
    },
}
