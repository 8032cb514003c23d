"""Plausible wrong answers to assignment 2: each must lose points, whatever the seed of the course."""

WRONG = {
    "fit_preferences": {
        "regresses the logits of the preferences instead of solving the balance": """# ANSWER fit_preferences
def fit_preferences(p, pairs, pair_weights):
    p, pairs, rho = (np.asarray(part, dtype=float) for part in (p, pairs, pair_weights))
    root = np.sqrt(rho)
    return np.linalg.pinv(pairs * root[:, None]) @ (root * np.log(p / (1 - p)))
""",
        "adds a ridge penalty": """# ANSWER fit_preferences
def fit_preferences(p, pairs, pair_weights):
    p, z, rho = (np.asarray(part, dtype=float) for part in (p, pairs, pair_weights))
    x = np.zeros(z.shape[1])
    for _ in range(60):
        q = expit(z @ x)
        slope, curvature = z.T @ (rho * (q - p)), (z.T * (rho * q * (1 - q))) @ z
        step = np.linalg.pinv(curvature + 1e-3 * np.eye(len(x)), hermitian=True) @ (slope + 1e-3 * x)
        x = x - step / max(1, np.abs(z @ step).max())
    return x
""",
        "ignores the weights of the pairs": """# ANSWER fit_preferences
def fit_preferences(p, pairs, pair_weights):
    p, z, rho = (np.asarray(part, dtype=float) for part in (p, pairs, pair_weights))
    rho = np.full(len(p), 1 / len(p))
    x = np.zeros(z.shape[1])
    for _ in range(60):
        q = expit(z @ x)
        slope, curvature = z.T @ (rho * (q - p)), (z.T * (rho * q * (1 - q))) @ z
        step = np.linalg.pinv(curvature, hermitian=True) @ slope
        x = x - step / max(1, np.abs(z @ step).max())
    return x
""",
        "takes the second option for the first": """# ANSWER fit_preferences
def fit_preferences(p, pairs, pair_weights):
    p, z, rho = (np.asarray(part, dtype=float) for part in (p, pairs, pair_weights))
    x = np.zeros(z.shape[1])
    for _ in range(60):
        q = expit(z @ x)
        slope, curvature = z.T @ (rho * (q - 1 + p)), (z.T * (rho * q * (1 - q))) @ z
        step = np.linalg.pinv(curvature, hermitian=True) @ slope
        x = x - step / max(1, np.abs(z @ step).max())
    return x
""",
        "stops after two steps": """# ANSWER fit_preferences
def fit_preferences(p, pairs, pair_weights):
    p, z, rho = (np.asarray(part, dtype=float) for part in (p, pairs, pair_weights))
    x = np.zeros(z.shape[1])
    for _ in range(2):
        q = expit(z @ x)
        slope, curvature = z.T @ (rho * (q - p)), (z.T * (rho * q * (1 - q))) @ z
        step = np.linalg.pinv(curvature, hermitian=True) @ slope
        x = x - step / max(1, np.abs(z @ step).max())
    return x
""",
        "fixes the last number at zero instead of taking the smallest norm": """# ANSWER fit_preferences
def fit_preferences(p, pairs, pair_weights):
    p, z, rho = (np.asarray(part, dtype=float) for part in (p, pairs, pair_weights))
    x = np.zeros(z.shape[1])
    for _ in range(60):
        q = expit(z @ x)
        slope, curvature = z.T @ (rho * (q - p)), (z.T * (rho * q * (1 - q))) @ z
        step = np.linalg.pinv(curvature, hermitian=True) @ slope
        x = x - step / max(1, np.abs(z @ step).max())
    return x - x[-1] if np.linalg.matrix_rank(z) < len(x) else x
""",
    },
    "mismatch_floor": {
        "the constant 2 instead of 4": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    apart = pooled(shares, parameters, z) - preferences(parameters, z)[group]
    pull = z.T @ (rho * apart)
    return 2 * np.linalg.norm(pull) / np.linalg.eigvalsh((z.T * rho) @ z)[-1]
""",
        "the constant 8 instead of 4": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    apart = pooled(shares, parameters, z) - preferences(parameters, z)[group]
    pull = z.T @ (rho * apart)
    return 8 * np.linalg.norm(pull) / np.linalg.eigvalsh((z.T * rho) @ z)[-1]
""",
        "absolute values, so that nothing cancels": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    apart = pooled(shares, parameters, z) - preferences(parameters, z)[group]
    pull = np.abs(z).T @ (rho * np.abs(apart))
    return 4 * np.linalg.norm(pull) / np.linalg.eigvalsh((z.T * rho) @ z)[-1]
""",
        "the sum of diversities, which the chapter refutes": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    p = preferences(parameters, z)
    diversities = np.abs(p - p[group]) @ rho
    return 4 * np.asarray(shares) @ diversities / np.linalg.norm(z, axis=1).max()
""",
        "the share of the group in place of that of the others": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    apart = pooled(shares, parameters, z) - preferences(parameters, z)[group]
    apart = apart * shares[group] / (1 - shares[group])
    pull = z.T @ (rho * apart)
    return 4 * np.linalg.norm(pull) / np.linalg.eigvalsh((z.T * rho) @ z)[-1]
""",
        "the trace instead of the largest eigenvalue": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    apart = pooled(shares, parameters, z) - preferences(parameters, z)[group]
    pull = z.T @ (rho * apart)
    return 4 * np.linalg.norm(pull) / np.trace((z.T * rho) @ z)
""",
        "the smallest eigenvalue instead of the largest": """# ANSWER mismatch_floor
def mismatch_floor(shares, parameters, pairs, pair_weights, group):
    z, rho = np.asarray(pairs, dtype=float), np.asarray(pair_weights, dtype=float)
    apart = pooled(shares, parameters, z) - preferences(parameters, z)[group]
    pull = z.T @ (rho * apart)
    return 4 * np.linalg.norm(pull) / np.linalg.eigvalsh((z.T * rho) @ z)[0]
""",
    },
    "cancelling": {
        "margins 3 above and 3 below, whatever the shares": """# ANSWER cancelling
def cancelling(shares, own):
    return np.array([own, own + 3.0, own - 3.0])
""",
        "cancels the margins instead of the preferences": """# ANSWER cancelling
def cancelling(shares, own):
    return np.array([own, own + 2.0 * shares[2], own - 2.0 * shares[1]])
""",
        "cancels around even odds, not around the first group": """# ANSWER cancelling
def cancelling(shares, own):
    middle = 0.5
    amount = 0.9 * min(shares[1] * (1 - middle), shares[2] * middle)
    above, below = middle + amount / shares[1], middle - amount / shares[2]
    return np.array([own, np.log(above / (1 - above)), np.log(below / (1 - below))])
""",
        "hardly any disagreement": """# ANSWER cancelling
def cancelling(shares, own):
    middle = expit(own)
    amount = 0.01 * min(shares[1] * (1 - middle), shares[2] * middle)
    above, below = middle + amount / shares[1], middle - amount / shares[2]
    return np.array([own, np.log(above / (1 - above)), np.log(below / (1 - below))])
""",
        "swaps the shares of the two others": """# ANSWER cancelling
def cancelling(shares, own):
    middle = expit(own)
    amount = 0.9 * min(shares) * min(middle, 1 - middle)
    above, below = middle + amount / shares[2], middle - amount / shares[1]
    return np.array([own, np.log(above / (1 - above)), np.log(below / (1 - below))])
""",
    },
    "gap": {
        "the divergence in the other direction": """# ANSWER gap
def gap(policy, reward, log_reference, beta):
    log_own = np.asarray(log_reference, dtype=float) + np.asarray(reward, dtype=float) / beta
    log_own = log_own - np.logaddexp.reduce(log_own, axis=1, keepdims=True)
    own = np.exp(log_own)
    log_policy = np.log(np.maximum(policy, 1e-300))
    return beta * np.where(own > 0, own * (log_own - log_policy), 0.0).sum(axis=1).mean()
""",
        "forgets beta": """# ANSWER gap
def gap(policy, reward, log_reference, beta):
    policy = np.asarray(policy, dtype=float)
    log_own = np.asarray(log_reference, dtype=float) + np.asarray(reward, dtype=float) / beta
    log_own = log_own - np.logaddexp.reduce(log_own, axis=1, keepdims=True)
    given = policy > 0
    terms = np.zeros_like(policy)
    terms[given] = policy[given] * (np.log(policy[given]) - log_own[given])
    return terms.sum(axis=1).mean()
""",
        "adds the prompts up instead of averaging": """# ANSWER gap
def gap(policy, reward, log_reference, beta):
    policy = np.asarray(policy, dtype=float)
    log_own = np.asarray(log_reference, dtype=float) + np.asarray(reward, dtype=float) / beta
    log_own = log_own - np.logaddexp.reduce(log_own, axis=1, keepdims=True)
    given = policy > 0
    terms = np.zeros_like(policy)
    terms[given] = policy[given] * (np.log(policy[given]) - log_own[given])
    return beta * terms.sum()
""",
        "the divergence from the reference": """# ANSWER gap
def gap(policy, reward, log_reference, beta):
    policy = np.asarray(policy, dtype=float)
    log_own = np.asarray(log_reference, dtype=float)
    log_own = log_own - np.logaddexp.reduce(log_own, axis=1, keepdims=True)
    given = policy > 0
    terms = np.zeros_like(policy)
    terms[given] = policy[given] * (np.log(policy[given]) - log_own[given])
    return beta * terms.sum(axis=1).mean()
""",
        "multiplies by beta in the exponent": """# ANSWER gap
def gap(policy, reward, log_reference, beta):
    policy = np.asarray(policy, dtype=float)
    log_own = np.asarray(log_reference, dtype=float) + np.asarray(reward, dtype=float) * beta
    log_own = log_own - np.logaddexp.reduce(log_own, axis=1, keepdims=True)
    given = policy > 0
    terms = np.zeros_like(policy)
    terms[given] = policy[given] * (np.log(policy[given]) - log_own[given])
    return beta * terms.sum(axis=1).mean()
""",
        "probabilities that overflow": """# ANSWER gap
def gap(policy, reward, log_reference, beta):
    policy = np.asarray(policy, dtype=float)
    own = np.exp(log_reference) * np.exp(np.asarray(reward, dtype=float) / beta)
    own = own / own.sum(axis=1, keepdims=True)
    return beta * np.where(policy > 0, policy * np.log(np.where(policy > 0, policy, 1.0) / own), 0.0).sum(axis=1).mean()
""",
    },
    "growing": {
        "looks at the mismatch instead of the gap": """# ANSWER growing
def growing(features, pair_weights, phi_u, phi_k, beta):
    psi, losses = np.asarray(features), []
    apart = np.array([a - b for a, b in combinations(psi, 2)])
    for share in np.arange(1, 100) / 100:
        single = fit_preferences(pooled([share, 1 - share], [phi_u, phi_k], apart), apart, pair_weights)
        even = np.full((1, len(psi)), -np.log(len(psi)))
        losses.append(np.linalg.norm(single - phi_u))
    rise, small, large = max((losses[j] - losses[i], i, j) for i, j in combinations(range(99), 2))
    return ((small + 1) / 100, (large + 1) / 100) if rise >= 0.001 else None
""",
        "averages the rewards instead of fitting the pooled preferences": """# ANSWER growing
def growing(features, pair_weights, phi_u, phi_k, beta):
    psi, losses = np.asarray(features), []
    apart = np.array([a - b for a, b in combinations(psi, 2)])
    for share in np.arange(1, 100) / 100:
        single = share * np.asarray(phi_u) + (1 - share) * np.asarray(phi_k)
        taken = np.exp(psi @ single / beta)
        even = np.full((1, len(psi)), -np.log(len(psi)))
        losses.append(gap((taken / taken.sum())[None], (psi @ phi_u)[None], even, beta))
    rise, small, large = max((losses[j] - losses[i], i, j) for i, j in combinations(range(99), 2))
    return ((small + 1) / 100, (large + 1) / 100) if rise >= 0.001 else None
""",
        "takes the least and the largest gap, whichever comes first": """# ANSWER growing
def growing(features, pair_weights, phi_u, phi_k, beta):
    psi, losses = np.asarray(features), []
    apart = np.array([a - b for a, b in combinations(psi, 2)])
    for share in np.arange(1, 100) / 100:
        single = fit_preferences(pooled([share, 1 - share], [phi_u, phi_k], apart), apart, pair_weights)
        taken = np.exp(psi @ single / beta)
        even = np.full((1, len(psi)), -np.log(len(psi)))
        losses.append(gap((taken / taken.sum())[None], (psi @ phi_u)[None], even, beta))
    small, large = sorted([np.argmin(losses), np.argmax(losses)])
    return ((small + 1) / 100, (large + 1) / 100)
""",
        "gives the share to the other group": """# ANSWER growing
def growing(features, pair_weights, phi_u, phi_k, beta):
    psi, losses = np.asarray(features), []
    apart = np.array([a - b for a, b in combinations(psi, 2)])
    for share in np.arange(1, 100) / 100:
        single = fit_preferences(pooled([1 - share, share], [phi_u, phi_k], apart), apart, pair_weights)
        taken = np.exp(psi @ single / beta)
        even = np.full((1, len(psi)), -np.log(len(psi)))
        losses.append(gap((taken / taken.sum())[None], (psi @ phi_u)[None], even, beta))
    rise, small, large = max((losses[j] - losses[i], i, j) for i, j in combinations(range(99), 2))
    return ((small + 1) / 100, (large + 1) / 100) if rise >= 0.001 else None
""",
        "looks for the largest fall": """# ANSWER growing
def growing(features, pair_weights, phi_u, phi_k, beta):
    psi, losses = np.asarray(features), []
    apart = np.array([a - b for a, b in combinations(psi, 2)])
    for share in np.arange(1, 100) / 100:
        single = fit_preferences(pooled([share, 1 - share], [phi_u, phi_k], apart), apart, pair_weights)
        taken = np.exp(psi @ single / beta)
        even = np.full((1, len(psi)), -np.log(len(psi)))
        losses.append(gap((taken / taken.sum())[None], (psi @ phi_u)[None], even, beta))
    rise, small, large = max((losses[i] - losses[j], i, j) for i, j in combinations(range(99), 2))
    return ((small + 1) / 100, (large + 1) / 100) if rise >= 0.001 else None
""",
        "always finds something": """# ANSWER growing
def growing(features, pair_weights, phi_u, phi_k, beta):
    psi, losses = np.asarray(features), []
    apart = np.array([a - b for a, b in combinations(psi, 2)])
    for share in np.arange(1, 100) / 100:
        single = fit_preferences(pooled([share, 1 - share], [phi_u, phi_k], apart), apart, pair_weights)
        taken = np.exp(psi @ single / beta)
        even = np.full((1, len(psi)), -np.log(len(psi)))
        losses.append(gap((taken / taken.sum())[None], (psi @ phi_u)[None], even, beta))
    rise, small, large = max((losses[j] - losses[i], i, j) for i, j in combinations(range(99), 2))
    return ((small + 1) / 100, (large + 1) / 100)
""",
    },
    "beyond_chance": {
        "no one in the p-value": """# ANSWER beyond_chance
def beyond_chance(wins, pairs, inside, n_draws, seed):
    wins, inside = np.asarray(wins, dtype=float), np.asarray(inside, dtype=bool)
    rng, even = np.random.default_rng(seed), np.full(len(pairs), 1 / len(pairs))
    everybody = fit_preferences(wins.mean(axis=0), pairs, even)

    parts = [np.flatnonzero(inside)]
    parts += [rng.choice(len(wins), size=inside.sum(), replace=False) for _ in range(n_draws)]
    rewards = [fit_preferences(wins[rows].mean(axis=0), pairs, even) for rows in parts]
    observed, *drawn = np.linalg.norm(np.array(rewards) - everybody, axis=1)
    return observed, sum(other >= observed - 1e-12 for other in drawn) / n_draws
""",
        "the wrong tail": """# ANSWER beyond_chance
def beyond_chance(wins, pairs, inside, n_draws, seed):
    wins, inside = np.asarray(wins, dtype=float), np.asarray(inside, dtype=bool)
    rng, even = np.random.default_rng(seed), np.full(len(pairs), 1 / len(pairs))
    everybody = fit_preferences(wins.mean(axis=0), pairs, even)

    parts = [np.flatnonzero(inside)]
    parts += [rng.choice(len(wins), size=inside.sum(), replace=False) for _ in range(n_draws)]
    rewards = [fit_preferences(wins[rows].mean(axis=0), pairs, even) for rows in parts]
    observed, *drawn = np.linalg.norm(np.array(rewards) - everybody, axis=1)
    return observed, (1 + sum(other <= observed + 1e-12 for other in drawn)) / (1 + n_draws)
""",
        "draws with replacement": """# ANSWER beyond_chance
def beyond_chance(wins, pairs, inside, n_draws, seed):
    wins, inside = np.asarray(wins, dtype=float), np.asarray(inside, dtype=bool)
    rng, even = np.random.default_rng(seed), np.full(len(pairs), 1 / len(pairs))
    everybody = fit_preferences(wins.mean(axis=0), pairs, even)

    parts = [np.flatnonzero(inside)]
    parts += [rng.choice(len(wins), size=inside.sum()) for _ in range(n_draws)]
    rewards = [fit_preferences(wins[rows].mean(axis=0), pairs, even) for rows in parts]
    observed, *drawn = np.linalg.norm(np.array(rewards) - everybody, axis=1)
    return observed, (1 + sum(other >= observed - 1e-12 for other in drawn)) / (1 + n_draws)
""",
        "compares with the rest instead of with everybody": """# ANSWER beyond_chance
def beyond_chance(wins, pairs, inside, n_draws, seed):
    wins, inside = np.asarray(wins, dtype=float), np.asarray(inside, dtype=bool)
    rng, even = np.random.default_rng(seed), np.full(len(pairs), 1 / len(pairs))
    everybody = fit_preferences(wins.mean(axis=0), pairs, even)

    parts = [np.flatnonzero(inside)]
    parts += [rng.choice(len(wins), size=inside.sum(), replace=False) for _ in range(n_draws)]
    rewards = [fit_preferences(wins[rows].mean(axis=0), pairs, even) for rows in parts]
    rest = [fit_preferences(np.delete(wins, rows, axis=0).mean(axis=0), pairs, even) for rows in parts]
    observed, *drawn = np.linalg.norm(np.array(rewards) - rest, axis=1)
    return observed, (1 + sum(other >= observed - 1e-12 for other in drawn)) / (1 + n_draws)
""",
        "shuffles choices instead of people": """# ANSWER beyond_chance
def beyond_chance(wins, pairs, inside, n_draws, seed):
    wins, inside = np.asarray(wins, dtype=float), np.asarray(inside, dtype=bool)
    rng, even = np.random.default_rng(seed), np.full(len(pairs), 1 / len(pairs))
    everybody = fit_preferences(wins.mean(axis=0), pairs, even)

    parts = [np.flatnonzero(inside)]
    parts += [rng.choice(len(wins), size=inside.sum(), replace=False) for _ in range(n_draws)]
    rewards = [fit_preferences(wins[rows].mean(axis=0), pairs, even) for rows in parts]
    shuffled = [rng.permuted(wins, axis=0)[inside].mean(axis=0) for _ in range(n_draws)]
    rewards[1:] = [fit_preferences(share, pairs, even) for share in shuffled]
    observed, *drawn = np.linalg.norm(np.array(rewards) - everybody, axis=1)
    return observed, (1 + sum(other >= observed - 1e-12 for other in drawn)) / (1 + n_draws)
""",
        "random parts of half of the people": """# ANSWER beyond_chance
def beyond_chance(wins, pairs, inside, n_draws, seed):
    wins, inside = np.asarray(wins, dtype=float), np.asarray(inside, dtype=bool)
    rng, even = np.random.default_rng(seed), np.full(len(pairs), 1 / len(pairs))
    everybody = fit_preferences(wins.mean(axis=0), pairs, even)

    parts = [np.flatnonzero(inside)]
    parts += [rng.choice(len(wins), size=len(wins) // 2, replace=False) for _ in range(n_draws)]
    rewards = [fit_preferences(wins[rows].mean(axis=0), pairs, even) for rows in parts]
    observed, *drawn = np.linalg.norm(np.array(rewards) - everybody, axis=1)
    return observed, (1 + sum(other >= observed - 1e-12 for other in drawn)) / (1 + n_draws)
""",
    },
}
