"""Plausible wrong answers to assignment 3: each must lose points, whatever the seed of the course."""

WRONG = {
    "e_step": {
        "multiplies probabilities, which underflow": """# ANSWER e_step
def e_step(shares, parameters, wins, losses, pairs):
    p = expit(np.asarray(pairs) @ np.asarray(parameters).T)
    likelihood = (p ** wins[:, :, None] * (1 - p) ** losses[:, :, None]).prod(axis=1) * np.asarray(shares)
    return likelihood / likelihood.sum(axis=1, keepdims=True), np.log(likelihood.sum(axis=1)).sum()
""",
        "hides the underflow by a small number": """# ANSWER e_step
def e_step(shares, parameters, wins, losses, pairs):
    p = np.clip(expit(np.asarray(pairs) @ np.asarray(parameters).T), 1e-12, 1 - 1e-12)
    joint = np.log(shares) + wins @ np.log(p) + losses @ np.log(1 - p)
    total = logsumexp(joint, axis=1)
    return np.exp(joint - total[:, None]), total.sum()
""",
        "the hard step": """# ANSWER e_step
def e_step(shares, parameters, wins, losses, pairs):
    margins = np.asarray(pairs, dtype=float) @ np.asarray(parameters, dtype=float).T
    joint = np.log(shares) - wins @ np.logaddexp(0, -margins) - losses @ np.logaddexp(0, margins)
    total = logsumexp(joint, axis=1)
    return np.eye(len(shares))[joint.argmax(axis=1)], total.sum()
""",
        "forgets the shares": """# ANSWER e_step
def e_step(shares, parameters, wins, losses, pairs):
    margins = np.asarray(pairs, dtype=float) @ np.asarray(parameters, dtype=float).T
    joint = -np.log(len(shares)) - wins @ np.logaddexp(0, -margins) - losses @ np.logaddexp(0, margins)
    total = logsumexp(joint, axis=1)
    return np.exp(joint - total[:, None]), total.sum()
""",
        "forgets the losses": """# ANSWER e_step
def e_step(shares, parameters, wins, losses, pairs):
    margins = np.asarray(pairs, dtype=float) @ np.asarray(parameters, dtype=float).T
    joint = np.log(shares) - wins @ np.logaddexp(0, -margins)
    total = logsumexp(joint, axis=1)
    return np.exp(joint - total[:, None]), total.sum()
""",
        "responsibilities for each comparison, averaged over a person": """# ANSWER e_step
def e_step(shares, parameters, wins, losses, pairs):
    margins = np.asarray(pairs) @ np.asarray(parameters).T
    first, second = np.log(shares) - np.logaddexp(0, -margins), np.log(shares) - np.logaddexp(0, margins)
    won, lost = (np.exp(side - logsumexp(side, axis=1, keepdims=True)) for side in (first, second))
    value = wins @ logsumexp(first, axis=1) + losses @ logsumexp(second, axis=1)
    return (wins @ won + losses @ lost) / (wins + losses).sum(axis=1, keepdims=True), value.sum()
""",
    },
    "m_step": {
        "a ridge penalty": """# ANSWER m_step
def m_step(responsibilities, wins, losses, pairs):
    q, z, rows = np.asarray(responsibilities, dtype=float), np.asarray(pairs, dtype=float), []
    for up, down in zip((np.transpose(wins) @ q).T, (np.transpose(losses) @ q).T, strict=True):
        up, down = up + 0.5, down + 0.5
        phi = np.zeros(z.shape[1])
        for _ in range(25):
            p = expit(z @ phi)
            curvature = (z.T * ((up + down) * p * (1 - p))) @ z
            step = np.linalg.pinv(curvature, hermitian=True) @ (z.T @ (up - (up + down) * p))
            phi = phi + step / max(1, np.abs(z @ step).max())
        rows.append(phi)
    return q.mean(axis=0), np.array(rows)
""",
        "shares weighted by the number of choices": """# ANSWER m_step
def m_step(responsibilities, wins, losses, pairs):
    q, z, rows = np.asarray(responsibilities, dtype=float), np.asarray(pairs, dtype=float), []
    for up, down in zip((np.transpose(wins) @ q).T, (np.transpose(losses) @ q).T, strict=True):
        phi = np.zeros(z.shape[1])
        for _ in range(25):
            p = expit(z @ phi)
            curvature = (z.T * ((up + down) * p * (1 - p))) @ z
            step = np.linalg.pinv(curvature, hermitian=True) @ (z.T @ (up - (up + down) * p))
            phi = phi + step / max(1, np.abs(z @ step).max())
        rows.append(phi)
    return (np.sum(wins + losses, axis=1) @ q) / np.sum(wins + losses), np.array(rows)
""",
        "equal shares": """# ANSWER m_step
def m_step(responsibilities, wins, losses, pairs):
    q, z, rows = np.asarray(responsibilities, dtype=float), np.asarray(pairs, dtype=float), []
    for up, down in zip((np.transpose(wins) @ q).T, (np.transpose(losses) @ q).T, strict=True):
        phi = np.zeros(z.shape[1])
        for _ in range(25):
            p = expit(z @ phi)
            curvature = (z.T * ((up + down) * p * (1 - p))) @ z
            step = np.linalg.pinv(curvature, hermitian=True) @ (z.T @ (up - (up + down) * p))
            phi = phi + step / max(1, np.abs(z @ step).max())
        rows.append(phi)
    return np.full(q.shape[1], 1 / q.shape[1]), np.array(rows)
""",
        "one step of fixed length": """# ANSWER m_step
def m_step(responsibilities, wins, losses, pairs):
    q, z, rows = np.asarray(responsibilities, dtype=float), np.asarray(pairs, dtype=float), []
    for up, down in zip((np.transpose(wins) @ q).T, (np.transpose(losses) @ q).T, strict=True):
        phi = np.zeros(z.shape[1])
        for _ in range(1):
            p = expit(z @ phi)
            curvature = (z.T * ((up + down) * p * (1 - p))) @ z
            step = 0.01 * (z.T @ (up - (up + down) * p))
            phi = phi + step / max(1, np.abs(z @ step).max())
        rows.append(phi)
    return q.mean(axis=0), np.array(rows)
""",
        "the last option is fixed at zero, instead of the smallest norm": """# ANSWER m_step
def m_step(responsibilities, wins, losses, pairs):
    q, z, rows = np.asarray(responsibilities, dtype=float), np.asarray(pairs, dtype=float), []
    for up, down in zip((np.transpose(wins) @ q).T, (np.transpose(losses) @ q).T, strict=True):
        phi = np.zeros(z.shape[1])
        for _ in range(25):
            p = expit(z @ phi)
            curvature = (z.T * ((up + down) * p * (1 - p))) @ z
            step = np.linalg.pinv(curvature, hermitian=True) @ (z.T @ (up - (up + down) * p))
            phi = phi + step / max(1, np.abs(z @ step).max())
        rows.append(phi - phi[-1])
    return q.mean(axis=0), np.array(rows)
""",
    },
    "soft_em": {
        "a single random start": """# ANSWER soft_em
def soft_em(wins, losses, pairs, n_groups, seed):
    rng, best = np.random.default_rng(seed), (-np.inf, None)
    n_starts = 1
    q = rng.dirichlet(np.full(n_groups, 0.3), size=(n_starts, len(wins)))
    for _ in range(25):
        # All starts side by side: the M-step treats each column on its own.
        shares, parameters = m_step(np.hstack(q), wins, losses, pairs)
        split = zip(np.split(shares, n_starts), np.split(parameters, n_starts), strict=True)
        q, values = zip(*(e_step(*one, wins, losses, pairs) for one in split), strict=True)
    q, value = q[int(np.argmax(values))], max(values)
    for _ in range(300):
        shares, parameters = m_step(q, wins, losses, pairs)
        q, after = e_step(shares, parameters, wins, losses, pairs)
        if after < value + 1e-6:
            break
        value = after
    return shares, parameters, after
""",
        "starts where all people are the same": """# ANSWER soft_em
def soft_em(wins, losses, pairs, n_groups, seed):
    def climb(q, n_passes):
        for _ in range(n_passes):
            shares, parameters = m_step(q, wins, losses, pairs)
            q, value = e_step(shares, parameters, wins, losses, pairs)
        return value, q, shares, parameters

    rng = np.random.default_rng(seed)
    starts = [np.full((len(wins), n_groups), 1 / n_groups) for _ in range(1)]
    value, q, shares, parameters = climb(max((climb(q, 15) for q in starts), key=lambda fit: fit[0])[1], 120)
    return shares, parameters, value
""",
        "hard steps": """# ANSWER soft_em
def soft_em(wins, losses, pairs, n_groups, seed):
    def climb(q, n_passes):
        for _ in range(n_passes):
            shares, parameters = m_step(q, wins, losses, pairs)
            q, value = e_step(shares, parameters, wins, losses, pairs)
            q = np.eye(n_groups)[q.argmax(axis=1)]
        return value, q, shares, parameters

    rng = np.random.default_rng(seed)
    starts = [rng.dirichlet(np.full(n_groups, 0.3), size=len(wins)) for _ in range(6)]
    value, q, shares, parameters = climb(max((climb(q, 15) for q in starts), key=lambda fit: fit[0])[1], 120)
    return shares, parameters, value
""",
        "the shares stay equal": """# ANSWER soft_em
def soft_em(wins, losses, pairs, n_groups, seed):
    def climb(q, n_passes):
        for _ in range(n_passes):
            shares, parameters = m_step(q, wins, losses, pairs)
            shares = np.full(n_groups, 1 / n_groups)
            q, value = e_step(shares, parameters, wins, losses, pairs)
        return value, q, shares, parameters

    rng = np.random.default_rng(seed)
    starts = [rng.dirichlet(np.full(n_groups, 0.3), size=len(wins)) for _ in range(6)]
    value, q, shares, parameters = climb(max((climb(q, 15) for q in starts), key=lambda fit: fit[0])[1], 120)
    return shares, parameters, value
""",
        "stops after three passes": """# ANSWER soft_em
def soft_em(wins, losses, pairs, n_groups, seed):
    def climb(q, n_passes):
        for _ in range(n_passes):
            shares, parameters = m_step(q, wins, losses, pairs)
            q, value = e_step(shares, parameters, wins, losses, pairs)
        return value, q, shares, parameters

    rng = np.random.default_rng(seed)
    starts = [rng.dirichlet(np.full(n_groups, 0.3), size=len(wins)) for _ in range(6)]
    value, q, shares, parameters = climb(max((climb(q, 3) for q in starts), key=lambda fit: fit[0])[1], 1)
    return shares, parameters, value
""",
        "shrinks the rewards, as a ridge penalty does": """# ANSWER soft_em
def soft_em(wins, losses, pairs, n_groups, seed):
    def climb(q, n_passes):
        for _ in range(n_passes):
            shares, parameters = m_step(q, wins, losses, pairs)
            parameters = parameters / 1.05
            q, value = e_step(shares, parameters, wins, losses, pairs)
        return value, q, shares, parameters

    rng = np.random.default_rng(seed)
    starts = [rng.dirichlet(np.full(n_groups, 0.3), size=len(wins)) for _ in range(6)]
    value, q, shares, parameters = climb(max((climb(q, 15) for q in starts), key=lambda fit: fit[0])[1], 120)
    return shares, parameters, value
""",
    },
    "stalling_start": {
        "all people the same": """# ANSWER stalling_start
def stalling_start(wins, losses, n_groups):
    return np.full((len(wins), n_groups), 1 / n_groups)
""",
        "the number of the person modulo K": """# ANSWER stalling_start
def stalling_start(wins, losses, n_groups):
    return np.eye(n_groups)[np.arange(len(wins)) % n_groups]
""",
        "random responsibilities": """# ANSWER stalling_start
def stalling_start(wins, losses, n_groups):
    return np.random.default_rng(0).dirichlet(np.ones(n_groups), size=len(wins))
""",
        "hidden from the wins alone": """# ANSWER stalling_start
def stalling_start(wins, losses, n_groups):
    from scipy.linalg import null_space

    # The M-step sees the weighted sums of wins and of losses. A pattern that is orthogonal to both is not seen.
    hidden = null_space(wins.T)[:, 0]
    hidden = hidden / np.abs(hidden).max()
    q = np.full((len(wins), n_groups), 1 / n_groups)
    q[:, 0] += hidden * 0.95 / n_groups
    q[:, 1:] -= hidden[:, None] * 0.95 / n_groups / (n_groups - 1)
    return q
""",
        "leaves the range from 0 to 1": """# ANSWER stalling_start
def stalling_start(wins, losses, n_groups):
    from scipy.linalg import null_space

    # The M-step sees the weighted sums of wins and of losses. A pattern that is orthogonal to both is not seen.
    hidden = null_space(np.hstack([wins, losses]).T)[:, 0]
    hidden = hidden / np.abs(hidden).max()
    q = np.full((len(wins), n_groups), 1 / n_groups)
    q[:, 0] += hidden * 3.0 / n_groups
    q[:, 1:] -= hidden[:, None] * 3.0 / n_groups / (n_groups - 1)
    return q
""",
    },
    "heldout": {
        "fits everybody": """# ANSWER heldout
def heldout(wins, losses, pairs, fold, n_groups, seed):
    scores = np.full(len(wins), np.nan)
    for f in np.unique(fold):
        shares, parameters, _ = soft_em(wins, losses, pairs, n_groups, seed)
        for i in np.flatnonzero(fold == f):
            scores[i] = e_step(shares, parameters, wins[[i]], losses[[i]], pairs)[1]
    return scores
""",
        "fits the fold that it scores": """# ANSWER heldout
def heldout(wins, losses, pairs, fold, n_groups, seed):
    scores = np.full(len(wins), np.nan)
    for f in np.unique(fold):
        shares, parameters, _ = soft_em(wins[fold == f], losses[fold == f], pairs, n_groups, seed)
        for i in np.flatnonzero(fold == f):
            scores[i] = e_step(shares, parameters, wins[[i]], losses[[i]], pairs)[1]
    return scores
""",
        "scores by the best group alone": """# ANSWER heldout
def heldout(wins, losses, pairs, fold, n_groups, seed):
    scores = np.full(len(wins), np.nan)
    for f in np.unique(fold):
        shares, parameters, _ = soft_em(wins[fold != f], losses[fold != f], pairs, n_groups, seed)
        for i in np.flatnonzero(fold == f):
            scores[i] = max(e_step([1.0], phi[None], wins[[i]], losses[[i]], pairs)[1] for phi in parameters)
    return scores
""",
        "averages the logarithms over groups": """# ANSWER heldout
def heldout(wins, losses, pairs, fold, n_groups, seed):
    scores = np.full(len(wins), np.nan)
    for f in np.unique(fold):
        shares, parameters, _ = soft_em(wins[fold != f], losses[fold != f], pairs, n_groups, seed)
        for i in np.flatnonzero(fold == f):
            scores[i] = shares @ [e_step([1.0], phi[None], wins[[i]], losses[[i]], pairs)[1] for phi in parameters]
    return scores
""",
        "scores of each choice on its own": """# ANSWER heldout
def heldout(wins, losses, pairs, fold, n_groups, seed):
    scores = np.full(len(wins), np.nan)
    for f in np.unique(fold):
        shares, parameters, _ = soft_em(wins[fold != f], losses[fold != f], pairs, n_groups, seed)
        for i in np.flatnonzero(fold == f):
            scores[i] = e_step(shares, parameters, np.diag(wins[i]), np.diag(losses[i]), pairs)[1]
    return scores
""",
        "the scores come in the order of the folds": """# ANSWER heldout
def heldout(wins, losses, pairs, fold, n_groups, seed):
    scores = np.full(len(wins), np.nan)
    for f in np.unique(fold):
        shares, parameters, _ = soft_em(wins[fold != f], losses[fold != f], pairs, n_groups, seed)
        for i in np.flatnonzero(fold == f):
            scores[i] = e_step(shares, parameters, wins[[i]], losses[[i]], pairs)[1]
    return np.concatenate([scores[fold == f] for f in np.unique(fold)])
""",
    },
    "learning_curve": {
        "shares are ignored when people are put into groups": """# ANSWER learning_curve
def learning_curve(shares, parameters, pairs, counts, n_people, seed):
    rng, rows = np.random.default_rng(seed), []
    truth = np.asarray(parameters) @ np.linalg.pinv(pairs) @ pairs
    for n in counts:
        wins, losses, group = simulate(shares, truth, pairs, n_people, n, rng)
        learned, found, _ = soft_em(wins, losses, pairs, len(shares), seed)
        apart = {order: ((found[list(order)] - truth) ** 2).mean() for order in permutations(range(len(shares)))}
        order = list(min(apart, key=apart.get))
        says = e_step(np.full(len(shares), 1 / len(shares)), found, wins, losses, pairs)[0][:, order].argmax(axis=1)
        rows.append(((says == group).mean(), np.sqrt(min(apart.values()))))
    return np.array(rows)
""",
        "people are simulated with equal shares": """# ANSWER learning_curve
def learning_curve(shares, parameters, pairs, counts, n_people, seed):
    rng, rows = np.random.default_rng(seed), []
    truth = np.asarray(parameters) @ np.linalg.pinv(pairs) @ pairs
    for n in counts:
        wins, losses, group = simulate(np.full(len(shares), 1 / len(shares)), truth, pairs, n_people, n, rng)
        learned, found, _ = soft_em(wins, losses, pairs, len(shares), seed)
        apart = {order: ((found[list(order)] - truth) ** 2).mean() for order in permutations(range(len(shares)))}
        order = list(min(apart, key=apart.get))
        says = e_step(learned, found, wins, losses, pairs)[0][:, order].argmax(axis=1)
        rows.append(((says == group).mean(), np.sqrt(min(apart.values()))))
    return np.array(rows)
""",
        "does not match the groups": """# ANSWER learning_curve
def learning_curve(shares, parameters, pairs, counts, n_people, seed):
    rng, rows = np.random.default_rng(seed), []
    truth = np.asarray(parameters) @ np.linalg.pinv(pairs) @ pairs
    for n in counts:
        wins, losses, group = simulate(shares, truth, pairs, n_people, n, rng)
        learned, found, _ = soft_em(wins, losses, pairs, len(shares), seed)
        apart = {order: ((found[list(order)] - truth) ** 2).mean() for order in permutations(range(len(shares)))}
        order = list(range(len(shares)))
        says = e_step(learned, found, wins, losses, pairs)[0][:, order].argmax(axis=1)
        rows.append(((says == group).mean(), np.sqrt(min(apart.values()))))
    return np.array(rows)
""",
        "matches by falling shares": """# ANSWER learning_curve
def learning_curve(shares, parameters, pairs, counts, n_people, seed):
    rng, rows = np.random.default_rng(seed), []
    truth = np.asarray(parameters) @ np.linalg.pinv(pairs) @ pairs
    for n in counts:
        wins, losses, group = simulate(shares, truth, pairs, n_people, n, rng)
        learned, found, _ = soft_em(wins, losses, pairs, len(shares), seed)
        apart = {order: ((found[list(order)] - truth) ** 2).mean() for order in permutations(range(len(shares)))}
        order = list(np.argsort(-learned, kind='stable'))
        says = e_step(learned, found, wins, losses, pairs)[0][:, order].argmax(axis=1)
        rows.append(((says == group).mean(), np.sqrt(apart[tuple(order)])))
    return np.array(rows)
""",
        "leaves the true parameters in their own gauge": """# ANSWER learning_curve
def learning_curve(shares, parameters, pairs, counts, n_people, seed):
    rng, rows = np.random.default_rng(seed), []
    truth = np.asarray(parameters)
    for n in counts:
        wins, losses, group = simulate(shares, truth, pairs, n_people, n, rng)
        learned, found, _ = soft_em(wins, losses, pairs, len(shares), seed)
        apart = {order: ((found[list(order)] - truth) ** 2).mean() for order in permutations(range(len(shares)))}
        order = list(min(apart, key=apart.get))
        says = e_step(learned, found, wins, losses, pairs)[0][:, order].argmax(axis=1)
        rows.append(((says == group).mean(), np.sqrt(min(apart.values()))))
    return np.array(rows)
""",
        "average responsibility instead of people put right": """# ANSWER learning_curve
def learning_curve(shares, parameters, pairs, counts, n_people, seed):
    rng, rows = np.random.default_rng(seed), []
    truth = np.asarray(parameters) @ np.linalg.pinv(pairs) @ pairs
    for n in counts:
        wins, losses, group = simulate(shares, truth, pairs, n_people, n, rng)
        learned, found, _ = soft_em(wins, losses, pairs, len(shares), seed)
        apart = {order: ((found[list(order)] - truth) ** 2).mean() for order in permutations(range(len(shares)))}
        order = list(min(apart, key=apart.get))
        says = e_step(learned, found, wins, losses, pairs)[0][:, order]
        rows.append((says[np.arange(n_people), group].mean(), np.sqrt(min(apart.values()))))
    return np.array(rows)
""",
    },
}
