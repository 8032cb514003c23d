"""Plausible wrong answers to assignment 1: the judge has to refuse each of them."""

WRONG = {
    "fit": {
        "a ridge that keeps everything finite": """# ANSWER fit
def fit(wins):
    def loss(r):
        return -(wins * log_expit(r[:, None] - r)).sum() + 0.05 * (r**2).sum()

    r = minimize(loss, np.zeros(len(wins)), tol=1e-12).x
    return r - r.mean()
""",
        "counts are ignored: who wins a pair, wins it once": """# ANSWER fit
def fit(wins):
    wins = (wins > wins.T).astype(float) + 1e-3 * (wins > 0)
    r = minimize(lambda r: -(wins * log_expit(r[:, None] - r)).sum(), np.zeros(len(wins))).x
    return r - r.mean()
""",
        "the sign: rows are taken for the losers": """# ANSWER fit
def fit(wins):
    r = minimize(lambda r: -(wins * log_expit(r[None, :] - r[:, None])).sum(), np.zeros(len(wins))).x
    return r - r.mean()
""",
        "the log-odds of the share of wins": """# ANSWER fit
def fit(wins):
    won, lost = wins.sum(axis=1), wins.sum(axis=0)
    if (won == 0).any() or (lost == 0).any():
        return None
    r = np.log(won / lost)
    return r - r.mean()
""",
        "another gauge: the first option is zero": """# ANSWER fit
def fit(wins):
    won = wins.sum(axis=1)
    if (won == 0).any() or (wins.sum(axis=0) == 0).any():
        return None
    n, q = wins + wins.T, np.ones(len(wins))
    for _ in range(20000):
        q = won / (n / (q[:, None] + q)).sum(axis=1)
        q /= q[0]
    return np.log(q)
""",
        "a maximiser exists where every option has won and has lost": """# ANSWER fit
def fit(wins):
    won = wins.sum(axis=1)
    if (won == 0).any() or (wins.sum(axis=0) == 0).any():
        return None
    n, q = wins + wins.T, np.ones(len(wins))
    for _ in range(3000):
        q = won / (n / (q[:, None] + q)).sum(axis=1)
        q /= np.exp(np.log(q).mean())
    return np.log(q)
""",
        "an arrow only where w is above one half": """# ANSWER fit
def fit(wins):
    from scipy.sparse.csgraph import connected_components

    if connected_components(wins > 0.5, connection="strong")[0] > 1:
        return None
    won, n, q = wins.sum(axis=1), wins + wins.T, np.ones(len(wins))
    for _ in range(20000):
        q = won / (n / (q[:, None] + q)).sum(axis=1)
        q /= np.exp(np.log(q).mean())
    return np.log(q)
""",
        "never None": """# ANSWER fit
def fit(wins):
    r = minimize(lambda r: -(wins * log_expit(r[:, None] - r)).sum() / wins.sum(), np.zeros(len(wins)), tol=1e-10).x
    return r - r.mean()
""",
    },
    "p_value": {
        "the present labelling is not counted": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda m: np.abs(choice[m].mean(axis=0) - choice[~m].mean(axis=0)).mean()
    return np.mean([d(rng.permutation(member)) >= d(member) - 1e-12 for _ in range(n_shuffles)])
""",
        "the wrong tail": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda m: np.abs(choice[m].mean(axis=0) - choice[~m].mean(axis=0)).mean()
    return (1 + sum(d(rng.permutation(member)) <= d(member) + 1e-12 for _ in range(n_shuffles))) / (1 + n_shuffles)
""",
        "the difference of the means: pairs cancel": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda m: abs((choice[m].mean(axis=0) - choice[~m].mean(axis=0)).mean())
    return (1 + sum(d(rng.permutation(member)) >= d(member) - 1e-12 for _ in range(n_shuffles))) / (1 + n_shuffles)
""",
        "labels are drawn with replacement": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda m: np.abs(choice[m].mean(axis=0) - choice[~m].mean(axis=0)).mean() if 0 < m.sum() < len(m) else 0.0
    return (1 + sum(d(rng.choice(member, len(member))) >= d(member) - 1e-12 for _ in range(n_shuffles))) / (1 + n_shuffles)
""",
        "every pair's answers are shuffled by themselves": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda c: np.abs(c[member].mean(axis=0) - c[~member].mean(axis=0)).mean()
    return (1 + sum(d(rng.permuted(choice, axis=0)) >= d(choice) - 1e-12 for _ in range(n_shuffles))) / (1 + n_shuffles)
""",
        "ties do not count": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda m: np.abs(choice[m].mean(axis=0) - choice[~m].mean(axis=0)).mean()
    return (1 + sum(d(rng.permutation(member)) > d(member) + 1e-12 for _ in range(n_shuffles))) / (1 + n_shuffles)
""",
        "the members against everybody": """# ANSWER p_value
def p_value(choice, member, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    d = lambda m: np.abs(choice[m].mean(axis=0) - choice.mean(axis=0)).max()
    return (1 + sum(d(rng.permutation(member)) >= d(member) - 1e-12 for _ in range(n_shuffles))) / (1 + n_shuffles)
""",
    },
    "spread_test": {
        "every group counts the same, whatever its size": """# ANSWER spread_test
def spread_test(choice, label, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    D = lambda l: np.mean([np.abs(choice[l == g].mean(axis=0) - choice.mean(axis=0)).mean() for g in np.unique(l)])
    null = np.array([D(rng.permutation(label)) for _ in range(n_shuffles)])
    return D(label), null.mean(), (1 + (null >= D(label) - 1e-12).sum()) / (1 + n_shuffles)
""",
        "the largest difference between two groups": """# ANSWER spread_test
def spread_test(choice, label, n_shuffles, seed):
    rng = np.random.default_rng(seed)

    def D(l):
        shares = [choice[l == g].mean(axis=0) for g in np.unique(l)]
        return max(np.abs(a - b).mean() for a, b in itertools.combinations(shares, 2))

    null = np.array([D(rng.permutation(label)) for _ in range(n_shuffles)])
    return D(label), null.mean(), (1 + (null >= D(label) - 1e-12).sum()) / (1 + n_shuffles)
""",
        "names are taken for numbers from zero": """# ANSWER spread_test
def spread_test(choice, label, n_shuffles, seed):
    rng = np.random.default_rng(seed)

    def D(l):
        groups = [l == g for g in range(int(np.max(l)) + 1)]
        return sum(g.mean() * np.abs(choice[g].mean(axis=0) - choice.mean(axis=0)).mean() for g in groups if g.any())

    null = np.array([D(rng.permutation(label)) for _ in range(n_shuffles)])
    return D(label), null.mean(), (1 + (null >= D(label) - 1e-12).sum()) / (1 + n_shuffles)
""",
        "squares in place of absolute values": """# ANSWER spread_test
def spread_test(choice, label, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    D = lambda l: sum((l == g).mean() * ((choice[l == g].mean(axis=0) - choice.mean(axis=0)) ** 2).mean() for g in np.unique(l))
    null = np.array([D(rng.permutation(label)) for _ in range(n_shuffles)])
    return D(label), null.mean(), (1 + (null >= D(label) - 1e-12).sum()) / (1 + n_shuffles)
""",
        "the present labelling is not counted": """# ANSWER spread_test
def spread_test(choice, label, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    D = lambda l: sum((l == g).mean() * np.abs(choice[l == g].mean(axis=0) - choice.mean(axis=0)).mean() for g in np.unique(l))
    null = np.array([D(rng.permutation(label)) for _ in range(n_shuffles)])
    return D(label), null.mean(), np.mean(null >= D(label) - 1e-12)
""",
        "a group against the others in place of everybody": """# ANSWER spread_test
def spread_test(choice, label, n_shuffles, seed):
    rng = np.random.default_rng(seed)
    D = lambda l: sum((l == g).mean() * np.abs(choice[l == g].mean(axis=0) - choice[l != g].mean(axis=0)).mean() for g in np.unique(l))
    null = np.array([D(rng.permutation(label)) for _ in range(n_shuffles)])
    return D(label), null.mean(), (1 + (null >= D(label) - 1e-12).sum()) / (1 + n_shuffles)
""",
    },
    "win_rate": {
        "equal draws count nothing": """# ANSWER win_rate
def win_rate(preferred, policy, reference):
    return preferred @ reference @ policy
""",
        "equal draws are left out, and the rest counts as everything": """# ANSWER win_rate
def win_rate(preferred, policy, reference):
    return preferred @ reference @ policy / max(1 - policy @ reference, 1e-12)
""",
        "the reference is taken to be uniform": """# ANSWER win_rate
def win_rate(preferred, policy, reference):
    return (preferred + np.eye(len(policy)) / 2).mean(axis=2) @ policy
""",
        "the two policies are exchanged": """# ANSWER win_rate
def win_rate(preferred, policy, reference):
    return (preferred + np.eye(len(policy)) / 2) @ policy @ reference
""",
        "one number for everybody": """# ANSWER win_rate
def win_rate(preferred, policy, reference):
    return np.full(len(preferred), (preferred.mean(axis=0) + np.eye(len(policy)) / 2) @ reference @ policy)
""",
    },
    "worse_off": {
        "the policy is not computed anew": """# ANSWER worse_off
def worse_off(preferred, beta, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n, m = preferred.shape[:2]
    b = preferred.sum(axis=2).mean(axis=0) / (m - 1)
    pi = np.exp((b - b.max()) / beta)
    worse = (preferred + np.eye(m) / 2).mean(axis=2) @ (pi / pi.sum()) < 0.5 - 1e-12
    draws = [worse[rng.integers(n, size=n)].mean() for _ in range(n_resamples)]
    return worse.mean(), *np.quantile(draws, [0.025, 0.975])
""",
        "choices are resampled in place of people": """# ANSWER worse_off
def worse_off(preferred, beta, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n, m = preferred.shape[:2]
    y, z = np.triu_indices(m, 1)

    def share(policy_from):
        b = policy_from.sum(axis=2).mean(axis=0) / (m - 1)
        pi = np.exp((b - b.max()) / beta)
        return ((preferred + np.eye(m) / 2).mean(axis=2) @ (pi / pi.sum()) < 0.5 - 1e-12).mean()

    draws = []
    for _ in range(n_resamples):
        again = np.zeros_like(preferred)
        for k in range(len(y)):
            again[:, y[k], z[k]] = preferred[rng.integers(n, size=n), y[k], z[k]]
            again[:, z[k], y[k]] = 1 - again[:, y[k], z[k]]
        draws.append(share(again))
    return share(preferred), *np.quantile(draws, [0.025, 0.975])
""",
        "the present people are judged, not those who were drawn": """# ANSWER worse_off
def worse_off(preferred, beta, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n, m = preferred.shape[:2]

    def share(rows):
        b = preferred[rows].sum(axis=2).mean(axis=0) / (m - 1)
        pi = np.exp((b - b.max()) / beta)
        return ((preferred + np.eye(m) / 2).mean(axis=2) @ (pi / pi.sum()) < 0.5 - 1e-12).mean()

    draws = [share(rng.integers(n, size=n)) for _ in range(n_resamples)]
    return share(np.arange(n)), *np.quantile(draws, [0.025, 0.975])
""",
        "a standard error as if the policy were fixed": """# ANSWER worse_off
def worse_off(preferred, beta, n_resamples, seed):
    n, m = preferred.shape[:2]
    b = preferred.sum(axis=2).mean(axis=0) / (m - 1)
    pi = np.exp((b - b.max()) / beta)
    p = ((preferred + np.eye(m) / 2).mean(axis=2) @ (pi / pi.sum()) < 0.5 - 1e-12).mean()
    return p, p - 1.96 * np.sqrt(p * (1 - p) / n), p + 1.96 * np.sqrt(p * (1 - p) / n)
""",
        "the share that is better off": """# ANSWER worse_off
def worse_off(preferred, beta, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n, m = preferred.shape[:2]

    def share(rows):
        b = preferred[rows].sum(axis=2).mean(axis=0) / (m - 1)
        pi = np.exp((b - b.max()) / beta)
        return ((preferred[rows] + np.eye(m) / 2).mean(axis=2) @ (pi / pi.sum()) > 0.5 + 1e-12).mean()

    draws = [share(rng.integers(n, size=n)) for _ in range(n_resamples)]
    return share(np.arange(n)), *np.quantile(draws, [0.025, 0.975])
""",
        "only the most popular option is recommended": """# ANSWER worse_off
def worse_off(preferred, beta, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n, m = preferred.shape[:2]

    def share(rows):
        best = preferred[rows].sum(axis=(0, 2)).argmax()
        return (preferred[rows][:, best].sum(axis=1) + 0.5 < m / 2).mean()

    draws = [share(rng.integers(n, size=n)) for _ in range(n_resamples)]
    return share(np.arange(n)), *np.quantile(draws, [0.025, 0.975])
""",
    },
    "circular_triads": {
        "every triad counts three times": """# ANSWER circular_triads
def circular_triads(preferred):
    return np.einsum("iab,ibc,ica->i", preferred, preferred, preferred)
""",
        "only rings in the order of the options": """# ANSWER circular_triads
def circular_triads(preferred):
    triples = itertools.combinations(range(preferred.shape[1]), 3)
    return sum(preferred[:, a, b] * preferred[:, b, c] * preferred[:, c, a] for a, b, c in triples)
""",
        "whether there is one, not how many": """# ANSWER circular_triads
def circular_triads(preferred):
    return (np.einsum("iab,ibc,ica->i", preferred, preferred, preferred) > 0).astype(float)
""",
        "neighbours only": """# ANSWER circular_triads
def circular_triads(preferred):
    m = preferred.shape[1]
    count = 0
    for a in range(m - 2):
        b, c = a + 1, a + 2
        count = count + preferred[:, a, b] * preferred[:, b, c] * preferred[:, c, a]
        count = count + preferred[:, b, a] * preferred[:, c, b] * preferred[:, a, c]
    return count
""",
        "the triads that are transitive": """# ANSWER circular_triads
def circular_triads(preferred):
    m = preferred.shape[1]
    rings = np.einsum("iab,ibc,ica->i", preferred, preferred, preferred) / 3
    return m * (m - 1) * (m - 2) / 6 - rings
""",
    },
    "two_worlds": {
        "answers are drawn anew by the shares, so that the counts differ": """# ANSWER two_worlds
def two_worlds(rankings, seed):
    rng = np.random.default_rng(seed)
    rank = np.argsort(rankings, axis=1)
    tastes = (rank[:, :, None] < rank[:, None, :]).astype(float)
    upper = np.triu(rng.random(tastes.shape) < tastes.mean(axis=0), 1)
    lower = np.tril(~upper.transpose(0, 2, 1), -1)
    return tastes, (upper | lower).astype(float)
""",
        "people are shuffled, and everybody keeps a ranking": """# ANSWER two_worlds
def two_worlds(rankings, seed):
    rng = np.random.default_rng(seed)
    rank = np.argsort(rankings, axis=1)
    tastes = (rank[:, :, None] < rank[:, None, :]).astype(float)
    return tastes, rng.permutation(tastes)
""",
        "a ranking is read as ranks": """# ANSWER two_worlds
def two_worlds(rankings, seed):
    rng = np.random.default_rng(seed)
    rank = np.asarray(rankings)
    tastes = (rank[:, :, None] < rank[:, None, :]).astype(float)
    noise = np.zeros_like(tastes)
    for y, z in itertools.combinations(range(rank.shape[1]), 2):
        noise[:, y, z] = rng.permutation(tastes[:, y, z])
        noise[:, z, y] = 1 - noise[:, y, z]
    return tastes, noise
""",
        "both sides of a pair are dealt out by themselves": """# ANSWER two_worlds
def two_worlds(rankings, seed):
    rng = np.random.default_rng(seed)
    rank = np.argsort(rankings, axis=1)
    tastes = (rank[:, :, None] < rank[:, None, :]).astype(float)
    return tastes, rng.permuted(tastes, axis=0)
""",
        "the first people answer one way, the others the other way": """# ANSWER two_worlds
def two_worlds(rankings, seed):
    rank = np.argsort(rankings, axis=1)
    tastes = (rank[:, :, None] < rank[:, None, :]).astype(float)
    noise = np.zeros_like(tastes)
    for y, z in itertools.combinations(range(rank.shape[1]), 2):
        noise[:, y, z] = np.sort(tastes[:, y, z])
        noise[:, z, y] = 1 - noise[:, y, z]
    return tastes, noise
""",
        "the shares in place of answers": """# ANSWER two_worlds
def two_worlds(rankings, seed):
    rank = np.argsort(rankings, axis=1)
    tastes = (rank[:, :, None] < rank[:, None, :]).astype(float)
    return tastes, np.repeat(tastes.mean(axis=0)[None], len(tastes), axis=0)
""",
    },
}
