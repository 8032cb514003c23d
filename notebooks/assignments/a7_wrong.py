"""Plausible wrong answers to assignment 7, each of which the judge refuses."""

# By task, by the mistake in words: the source of the answer's cell.
WRONG = {
    "two_winners": {
        "right for few options: the others' rewards grow with their number": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards (U, n_options) and shares (U,) with these two different winners."""
    rewards = np.zeros((2, n_options))
    rewards[:, [j for j in range(n_options) if j not in (condorcet, pooled)]] = np.arange(n_options - 2)
    rewards[0, [condorcet, pooled]] = 4.0, 3.5
    rewards[1, [condorcet, pooled]] = -4.0, 4.0
    return rewards, np.array([0.55, 0.45])
''',
        "a cyclic profile: there is no winner of all duels": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards and shares."""
    first = np.eye(n_options)
    rewards = np.array([np.roll(np.arange(n_options), k) for k in range(n_options)], dtype=float)
    rewards[:, pooled] += 0.5
    return rewards, np.full(n_options, 1 / n_options)
''',
        "one option wins both": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards and shares."""
    rewards = np.zeros((2, n_options))
    rewards[0, condorcet], rewards[1, pooled] = 4.0, 4.0
    return rewards, np.array([0.6, 0.4])
''',
        "the two winners are exchanged": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards (U, n_options) and shares (U,) with these two different winners."""
    rewards = np.zeros((2, n_options))
    rewards[0, [pooled, condorcet]] = 4.0, 3.5
    rewards[1, [pooled, condorcet]] = -4.0, 4.0
    return rewards, np.array([0.55, 0.45])
''',
        "a minority that feels more strongly: the average reward differs, the pooled one does not": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards and shares."""
    rewards = np.zeros((2, n_options))
    rewards[0, condorcet], rewards[0, pooled] = 3.0, 0.0
    rewards[1, condorcet], rewards[1, pooled] = 0.0, 30.0
    rewards[:, [j for j in range(n_options) if j not in (condorcet, pooled)]] = -1.0
    return rewards, np.array([0.8, 0.2])
''',
        "a tie in the duel": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards (U, n_options) and shares (U,) with these two different winners."""
    rewards = np.zeros((2, n_options))
    rewards[0, [condorcet, pooled]] = 4.0, 3.5
    rewards[1, [condorcet, pooled]] = -4.0, 4.0
    return rewards, np.array([0.5, 0.5])
''',
        "shares that do not sum to one": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards (U, n_options) and shares (U,) with these two different winners."""
    rewards = np.zeros((2, n_options))
    rewards[0, [condorcet, pooled]] = 4.0, 3.5
    rewards[1, [condorcet, pooled]] = -4.0, 4.0
    return rewards, np.array([55.0, 45.0])
''',
        "the example for three options, whatever is asked": '''
# ANSWER two_winners
def two_winners(n_options, condorcet, pooled):
    """Return rewards and shares."""
    rewards = np.zeros((2, n_options))
    rewards[0, [0, 1]] = 4.0, 3.5
    rewards[1, [0, 1]] = -4.0, 4.0
    return rewards, np.array([0.55, 0.45])
''',
    },
    "best_lie": {
        "the truth": """
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    return rewards[liar]
""",
        "a complaint: everything is worth less, which centring takes off": """
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    return rewards[liar] - 5.0
""",
        "the loudest exaggeration that the cap allows": """
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    return rewards[liar] * cap / np.ptp(rewards[liar])
""",
        "best by its reported reward, not by its true one": '''
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    """Return the report, shape (Y,), of group `liar` (0 or 1) that serves it best under the rule."""
    def believable(report):
        report = report - report.mean()
        return report * min(1.0, cap / max(np.ptp(report), 1e-12))

    def loss(report):
        told = np.array(rewards, dtype=float)
        told[liar] = believable(report)
        return -true_values(fair_policy(told, log_reference, beta), told, log_reference, beta)[liar]

    truth = rewards[liar] - rewards[liar].mean()
    starts = [truth, 0.4 * truth, truth - rewards[1 - liar] + rewards[1 - liar].mean()]
    options = {"maxfev": 200, "xatol": 1e-3, "fatol": 1e-6}
    found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    return believable(min(found, key=lambda f: f.fun).x)
''',
        "the opposite of what the other group wants": """
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    return -rewards[1 - liar]
""",
        "best for the other group": '''
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    """Return the report, shape (Y,), of group `liar` (0 or 1) that serves it best under the rule."""
    def believable(report):
        report = report - report.mean()
        return report * min(1.0, cap / max(np.ptp(report), 1e-12))

    def loss(report):
        told = np.array(rewards, dtype=float)
        told[liar] = believable(report)
        return -true_values(fair_policy(told, log_reference, beta), rewards, log_reference, beta)[1 - liar]

    truth = rewards[liar] - rewards[liar].mean()
    starts = [truth, 0.4 * truth, truth - rewards[1 - liar] + rewards[1 - liar].mean()]
    options = {"maxfev": 200, "xatol": 1e-3, "fatol": 1e-6}
    found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    return believable(min(found, key=lambda f: f.fun).x)
''',
        "no regard for the cap": '''
# ANSWER best_lie
def best_lie(rewards, log_reference, beta, liar, cap):
    """Return the report, shape (Y,), of group `liar` (0 or 1) that serves it best under the rule."""
    def believable(report):
        report = report - report.mean()
        return report * 10 * cap / max(np.ptp(report), 1e-12)

    def loss(report):
        told = np.array(rewards, dtype=float)
        told[liar] = believable(report)
        return -true_values(fair_policy(told, log_reference, beta), rewards, log_reference, beta)[liar]

    truth = rewards[liar] - rewards[liar].mean()
    starts = [truth, 0.4 * truth, truth - rewards[1 - liar] + rewards[1 - liar].mean()]
    options = {"maxfev": 200, "xatol": 1e-3, "fatol": 1e-6}
    found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    return believable(min(found, key=lambda f: f.fun).x)
''',
    },
    "careless_reward": {
        "the reward shrinks by the share of careful answers": """
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    return (1 - epsilon) * (reward - reward.mean())
""",
        "answers turned round instead of coin flips": '''
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    """Return the reward that is learned, shape (m,), mean zero, when a share epsilon of the answers is a coin flip."""
    chance = expit(np.subtract.outer(reward, reward))
    chance = (1 - epsilon) * chance + epsilon * (1 - chance)

    def balance(phi):
        return (expit(np.subtract.outer(phi, phi)) - chance).sum(axis=1) + phi.sum()

    phi = root(balance, (1 - epsilon) * (reward - np.mean(reward)), tol=1e-12).x
    return phi - phi.mean()
''',
        "half of the share": '''
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    """Return the reward that is learned, shape (m,), mean zero, when a share epsilon of the answers is a coin flip."""
    chance = (1 - epsilon / 2) * expit(np.subtract.outer(reward, reward)) + epsilon / 4

    def balance(phi):
        return (expit(np.subtract.outer(phi, phi)) - chance).sum(axis=1) + phi.sum()

    phi = root(balance, (1 - epsilon) * (reward - np.mean(reward)), tol=1e-12).x
    return phi - phi.mean()
''',
        "log odds against the first option only": """
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    p = (1 - epsilon) * expit(reward - reward[0]) + epsilon / 2
    phi = np.log(p / (1 - p))
    return phi - phi.mean()
""",
        "the mean of the log odds, not the likeliest reward": """
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    p = (1 - epsilon) * expit(np.subtract.outer(reward, reward)) + epsilon / 2
    return np.log(p / (1 - p)).mean(axis=1)
""",
        "the first option is the zero": '''
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    """Return the reward that is learned, shape (m,), mean zero, when a share epsilon of the answers is a coin flip."""
    chance = (1 - epsilon) * expit(np.subtract.outer(reward, reward)) + epsilon / 2

    def balance(phi):
        return (expit(np.subtract.outer(phi, phi)) - chance).sum(axis=1) + phi.sum()

    phi = root(balance, (1 - epsilon) * (reward - np.mean(reward)), tol=1e-12).x
    return phi - phi[0]
''',
        "a penalty": '''
# ANSWER careless_reward
def careless_reward(reward, epsilon):
    """Return the reward that is learned, shape (m,), mean zero, when a share epsilon of the answers is a coin flip."""
    chance = (1 - epsilon) * expit(np.subtract.outer(reward, reward)) + epsilon / 2

    def balance(phi):
        return (expit(np.subtract.outer(phi, phi)) - chance).sum(axis=1) + 0.1 * phi

    phi = root(balance, (1 - epsilon) * (reward - np.mean(reward)), tol=1e-12).x
    return phi - phi.mean()
''',
    },
    "veto": {
        "beta is forgotten": '''
# ANSWER veto
def veto(log_reference, beta, nats):
    """Return a centred reward, shape (Y,), that keeps every max-min policy within so many nats of the reference."""
    reward = np.zeros(len(log_reference))
    reward[0] = np.sqrt(2 * nats)
    return reward - np.exp(log_reference) @ reward
''',
        "the bound on the value instead of that on the divergence": '''
# ANSWER veto
def veto(log_reference, beta, nats):
    """Return a centred reward, shape (Y,), that keeps every max-min policy within so many nats of the reference."""
    reward = np.zeros(len(log_reference))
    reward[0] = np.sqrt(8 * beta * nats)
    return reward - np.exp(log_reference) @ reward
''',
        "not centred": '''
# ANSWER veto
def veto(log_reference, beta, nats):
    """Return a centred reward, shape (Y,), that keeps every max-min policy within so many nats of the reference."""
    reward = np.zeros(len(log_reference))
    reward[0] = beta * np.sqrt(2 * nats)
    return reward
''',
        "centred by the plain mean, not by the reference": '''
# ANSWER veto
def veto(log_reference, beta, nats):
    """Return a centred reward, shape (Y,), that keeps every max-min policy within so many nats of the reference."""
    reward = np.zeros(len(log_reference))
    reward[0] = beta * np.sqrt(2 * nats)
    return reward - reward.mean()
''',
        "indifferent altogether": '''
# ANSWER veto
def veto(log_reference, beta, nats):
    """Return a centred reward, shape (Y,), that keeps every max-min policy within so many nats of the reference."""
    reward = np.zeros(len(log_reference))
    reward[0] = 0.0
    return reward - np.exp(log_reference) @ reward
''',
        "the square is forgotten": '''
# ANSWER veto
def veto(log_reference, beta, nats):
    """Return a centred reward, shape (Y,), that keeps every max-min policy within so many nats of the reference."""
    reward = np.zeros(len(log_reference))
    reward[0] = 2 * beta**2 * nats
    return reward - np.exp(log_reference) @ reward
''',
    },
}
