"""Plausible wrong answers to assignment 5, each of which the judge refuses."""

# By task, by the mistake in words: the source of the answer's cell.
WRONG = {
    "visit_shares": {
        "not normalised: expected visits, which sum to 1 / (1 - discount)": '''
# ANSWER visit_shares
def visit_shares(policy, transition, start, discount):
    """Return the occupancy of a policy, shape (S, A): discounted shares of time, which sum to one."""
    moves = np.einsum("sa,sat->st", policy, transition)
    system = np.eye(len(start)) - discount * moves.T
    visits = np.linalg.solve(system, np.asarray(start))
    return visits[:, None] * policy
''',
        "undiscounted: where the chain ends up": '''
# ANSWER visit_shares
def visit_shares(policy, transition, start, discount):
    """Return the occupancy of a policy, shape (S, A): discounted shares of time, which sum to one."""
    discount = 0.999999
    moves = np.einsum("sa,sat->st", policy, transition)
    system = np.eye(len(start)) - discount * moves.T
    visits = np.linalg.solve(system, (1 - discount) * np.asarray(start))
    return visits[:, None] * policy
''',
        "the transition is not transposed: time runs backwards": '''
# ANSWER visit_shares
def visit_shares(policy, transition, start, discount):
    """Return the occupancy of a policy, shape (S, A): discounted shares of time, which sum to one."""
    moves = np.einsum("sa,sat->st", policy, transition)
    system = np.eye(len(start)) - discount * moves
    visits = np.linalg.solve(system, (1 - discount) * np.asarray(start))
    return visits[:, None] * policy
''',
        "the state's share is divided evenly over actions": '''
# ANSWER visit_shares
def visit_shares(policy, transition, start, discount):
    """Return the occupancy of a policy, shape (S, A): discounted shares of time, which sum to one."""
    moves = np.einsum("sa,sat->st", policy, transition)
    system = np.eye(len(start)) - discount * moves.T
    visits = np.linalg.solve(system, (1 - discount) * np.asarray(start))
    return np.repeat(visits[:, None], policy.shape[1], axis=1) / policy.shape[1]
''',
        "the likeliest action only": '''
# ANSWER visit_shares
def visit_shares(policy, transition, start, discount):
    """Return the occupancy of a policy, shape (S, A): discounted shares of time, which sum to one."""
    policy = np.eye(policy.shape[1])[policy.argmax(axis=1)]
    moves = np.einsum("sa,sat->st", policy, transition)
    system = np.eye(len(start)) - discount * moves.T
    visits = np.linalg.solve(system, (1 - discount) * np.asarray(start))
    return visits[:, None] * policy
''',
        "the first step is left out": '''
# ANSWER visit_shares
def visit_shares(policy, transition, start, discount):
    """Return the occupancy of a policy, shape (S, A): discounted shares of time, which sum to one."""
    moves = np.einsum("sa,sat->st", policy, transition)
    system = np.eye(len(start)) - discount * moves.T
    visits = np.linalg.solve(system, (1 - discount) * np.asarray(start))
    return (visits @ moves)[:, None] * policy
''',
    },
    "fair_plan": {
        "the average of the groups instead of the least": '''
# ANSWER fair_plan
def fair_plan(transition, start, rewards, discount):
    """Return the occupancy, shape (S, A), whose worst-off group has the largest discounted share of time."""
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    flow = np.column_stack([leaves - discount * arrives, np.zeros(n_cells)])
    rewards = np.asarray(rewards)
    lacks = np.column_stack([-np.repeat(rewards, n_actions, axis=1), np.ones(len(rewards))])
    found = linprog(
        np.append(-np.repeat(rewards.mean(axis=0), n_actions), 0.0),
        A_ub=lacks,
        b_ub=np.zeros(len(rewards)),
        A_eq=flow,
        b_eq=(1 - discount) * np.asarray(start),
        bounds=[(0, None)] * (n_cells * n_actions) + [(None, None)],
    )
    return np.maximum(found.x[:-1], 0.0).reshape(n_cells, n_actions)
''',
        "made deterministic: the likeliest action of the fair plan": '''
# ANSWER fair_plan
def fair_plan(transition, start, rewards, discount):
    """Return the occupancy, shape (S, A), whose worst-off group has the largest discounted share of time."""
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    flow = np.column_stack([leaves - discount * arrives, np.zeros(n_cells)])
    lacks = np.column_stack([-np.repeat(rewards, n_actions, axis=1), np.ones(len(rewards))])
    found = linprog(
        np.append(np.zeros(n_cells * n_actions), -1.0),
        A_ub=lacks,
        b_ub=np.zeros(len(rewards)),
        A_eq=flow,
        b_eq=(1 - discount) * np.asarray(start),
        bounds=[(0, None)] * (n_cells * n_actions) + [(None, None)],
    )
    plan = np.maximum(found.x[:-1], 0.0).reshape(n_cells, n_actions)
    return visit_shares(np.eye(n_actions)[plan.argmax(axis=1)], transition, start, discount)
''',
        "undiscounted: the long run": '''
# ANSWER fair_plan
def fair_plan(transition, start, rewards, discount):
    """Return the occupancy, shape (S, A), whose worst-off group has the largest discounted share of time."""
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    flow = np.column_stack([leaves - 0.9999 * arrives, np.zeros(n_cells)])
    lacks = np.column_stack([-np.repeat(rewards, n_actions, axis=1), np.ones(len(rewards))])
    found = linprog(
        np.append(np.zeros(n_cells * n_actions), -1.0),
        A_ub=lacks,
        b_ub=np.zeros(len(rewards)),
        A_eq=flow,
        b_eq=0.0001 * np.asarray(start),
        bounds=[(0, None)] * (n_cells * n_actions) + [(None, None)],
    )
    return np.maximum(found.x[:-1], 0.0).reshape(n_cells, n_actions)
''',
        "starts anywhere": '''
# ANSWER fair_plan
def fair_plan(transition, start, rewards, discount):
    """Return the occupancy, shape (S, A), whose worst-off group has the largest discounted share of time."""
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    flow = np.column_stack([leaves - discount * arrives, np.zeros(n_cells)])
    lacks = np.column_stack([-np.repeat(rewards, n_actions, axis=1), np.ones(len(rewards))])
    found = linprog(
        np.append(np.zeros(n_cells * n_actions), -1.0),
        A_ub=lacks,
        b_ub=np.zeros(len(rewards)),
        A_eq=flow,
        b_eq=np.full(n_cells, (1 - discount) / n_cells),
        bounds=[(0, None)] * (n_cells * n_actions) + [(None, None)],
    )
    return np.maximum(found.x[:-1], 0.0).reshape(n_cells, n_actions)
''',
        "the first group alone": '''
# ANSWER fair_plan
def fair_plan(transition, start, rewards, discount):
    """Return the occupancy, shape (S, A), whose worst-off group has the largest discounted share of time."""
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    flow = np.column_stack([leaves - discount * arrives, np.zeros(n_cells)])
    lacks = np.column_stack([-np.repeat(rewards[[0] * len(rewards)], n_actions, axis=1), np.ones(len(rewards))])
    found = linprog(
        np.append(np.zeros(n_cells * n_actions), -1.0),
        A_ub=lacks,
        b_ub=np.zeros(len(rewards)),
        A_eq=flow,
        b_eq=(1 - discount) * np.asarray(start),
        bounds=[(0, None)] * (n_cells * n_actions) + [(None, None)],
    )
    return np.maximum(found.x[:-1], 0.0).reshape(n_cells, n_actions)
''',
        "returns the policy and not the occupancy": '''
# ANSWER fair_plan
def fair_plan(transition, start, rewards, discount):
    """Return the occupancy, shape (S, A), whose worst-off group has the largest discounted share of time."""
    n_cells, n_actions, _ = transition.shape
    leaves = np.repeat(np.eye(n_cells), n_actions, axis=1)
    arrives = transition.reshape(n_cells * n_actions, n_cells).T
    flow = np.column_stack([leaves - discount * arrives, np.zeros(n_cells)])
    lacks = np.column_stack([-np.repeat(rewards, n_actions, axis=1), np.ones(len(rewards))])
    found = linprog(
        np.append(np.zeros(n_cells * n_actions), -1.0),
        A_ub=lacks,
        b_ub=np.zeros(len(rewards)),
        A_eq=flow,
        b_eq=(1 - discount) * np.asarray(start),
        bounds=[(0, None)] * (n_cells * n_actions) + [(None, None)],
    )
    plan = np.maximum(found.x[:-1], 0.0).reshape(n_cells, n_actions) + 1e-12
    return plan / plan.sum(axis=1, keepdims=True)
''',
    },
    "utility_slope": {
        "stale weights: the shares, whatever the values": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = np.asarray(shares)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead) - ahead[:, None]
    return visits[:, None] * policy * advantage / (1 - discount)
''',
        "weights with the wrong sign: the best-off count": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = softmax(np.log(shares) + (values - values.max()) / temperature)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead) - ahead[:, None]
    return visits[:, None] * policy * advantage / (1 - discount)
''',
        "the natural gradient: the occupancy is missing": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = softmax(np.log(shares) - (values - values.min()) / temperature)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead) - ahead[:, None]
    return policy * advantage / (1 - discount)
''',
        "no baseline: values of actions instead of advantages": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = softmax(np.log(shares) - (values - values.min()) / temperature)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead)
    return visits[:, None] * policy * advantage / (1 - discount)
''',
        "a factor 1 - discount too many": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = softmax(np.log(shares) - (values - values.min()) / temperature)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead) - ahead[:, None]
    return visits[:, None] * policy * advantage
''',
        "weights that are not normalised": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = shares * np.exp(-(values - values.min()) / temperature)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead) - ahead[:, None]
    return visits[:, None] * policy * advantage / (1 - discount)
''',
        "the shares are forgotten": '''
# ANSWER utility_slope
def utility_slope(logits, transition, start, rewards, discount, shares, temperature):
    """Return the gradient of the soft minimum of the groups' values with respect to the logits, shape (S, A)."""
    policy = softmax(logits, axis=1)
    moves = np.einsum("sa,sat->st", policy, transition)
    resolvent = np.linalg.inv(np.eye(len(start)) - discount * moves)
    visits = (1 - discount) * (start @ resolvent)
    values = rewards @ visits
    weights = softmax(-(values - values.min()) / temperature)
    reward = (1 - discount) * (weights @ rewards)
    ahead = resolvent @ reward
    advantage = reward[:, None] + discount * (transition @ ahead) - ahead[:, None]
    return visits[:, None] * policy * advantage / (1 - discount)
''',
    },
    "worst_shares": {
        "the best-off instead of the worst-off": '''
# ANSWER worst_shares
def worst_shares(values, shares, kind, size):
    """Return the shares w, shape (U,), of least average value in the set of `kind`, "cvar" or "chi-square"."""
    values, shares = np.asarray(values, dtype=float), np.asarray(shares, dtype=float)
    order = np.argsort(-values, kind="stable")
    v, eta, w = values[order], shares[order], np.zeros(len(values))
    if kind == "cvar":
        w[order] = np.diff(np.minimum(np.cumsum(eta / size), 1.0), prepend=0.0)
        return w / w.sum()
    for kept in range(len(v), 0, -1):
        total = eta[:kept].sum()
        mean = eta[:kept] @ v[:kept] / total
        spread = eta[:kept] @ (v[:kept] - mean) ** 2 / total
        left = size - (1 / total - 1)
        if left < 0:
            continue
        steepness = np.sqrt(left / (total * spread)) if spread > 0 else 0.0
        tried = eta[:kept] * (1 / total - steepness * (v[:kept] - mean))
        if tried[-1] >= 0 or kept == 1:
            w[order[:kept]] = tried
            return w
''',
        "the level caps a share at level times it": '''
# ANSWER worst_shares
def worst_shares(values, shares, kind, size):
    """Return the shares w, shape (U,), of least average value in the set of `kind`, "cvar" or "chi-square"."""
    values, shares = np.asarray(values, dtype=float), np.asarray(shares, dtype=float)
    order = np.argsort(values, kind="stable")
    v, eta, w = values[order], shares[order], np.zeros(len(values))
    if kind == "cvar":
        w[order] = np.diff(np.minimum(np.cumsum(eta * size), 1.0), prepend=0.0)
        return w / w.sum()
    for kept in range(len(v), 0, -1):
        total = eta[:kept].sum()
        mean = eta[:kept] @ v[:kept] / total
        spread = eta[:kept] @ (v[:kept] - mean) ** 2 / total
        left = size - (1 / total - 1)
        if left < 0:
            continue
        steepness = np.sqrt(left / (total * spread)) if spread > 0 else 0.0
        tried = eta[:kept] * (1 / total - steepness * (v[:kept] - mean))
        if tried[-1] >= 0 or kept == 1:
            w[order[:kept]] = tried
            return w
''',
        "the formula of the chapter, cut at zero and divided by the sum": '''
# ANSWER worst_shares
def worst_shares(values, shares, kind, size):
    """Return the shares w, shape (U,), of least average value in the set of `kind`, "cvar" or "chi-square"."""
    values, shares = np.asarray(values, dtype=float), np.asarray(shares, dtype=float)
    order = np.argsort(values, kind="stable")
    v, eta, w = values[order], shares[order], np.zeros(len(values))
    if kind == "cvar":
        w[order] = np.diff(np.minimum(np.cumsum(eta / size), 1.0), prepend=0.0)
        return w / w.sum()
    mean = eta @ v
    w[order] = eta * (1 - np.sqrt(size / (eta @ (v - mean) ** 2)) * (v - mean))
    return np.maximum(w, 0) / np.maximum(w, 0).sum()
    for kept in range(len(v), 0, -1):
        total = eta[:kept].sum()
        mean = eta[:kept] @ v[:kept] / total
        spread = eta[:kept] @ (v[:kept] - mean) ** 2 / total
        left = size - (1 / total - 1)
        if left < 0:
            continue
        steepness = np.sqrt(left / (total * spread)) if spread > 0 else 0.0
        tried = eta[:kept] * (1 / total - steepness * (v[:kept] - mean))
        if tried[-1] >= 0 or kept == 1:
            w[order[:kept]] = tried
            return w
''',
        "the formula of the chapter, whatever its sign": '''
# ANSWER worst_shares
def worst_shares(values, shares, kind, size):
    """Return the shares w, shape (U,), of least average value in the set of `kind`, "cvar" or "chi-square"."""
    values, shares = np.asarray(values, dtype=float), np.asarray(shares, dtype=float)
    order = np.argsort(values, kind="stable")
    v, eta, w = values[order], shares[order], np.zeros(len(values))
    if kind == "cvar":
        w[order] = np.diff(np.minimum(np.cumsum(eta / size), 1.0), prepend=0.0)
        return w / w.sum()
    mean = eta @ v
    w[order] = eta * (1 - np.sqrt(size / (eta @ (v - mean) ** 2)) * (v - mean))
    return w
    for kept in range(len(v), 0, -1):
        total = eta[:kept].sum()
        mean = eta[:kept] @ v[:kept] / total
        spread = eta[:kept] @ (v[:kept] - mean) ** 2 / total
        left = size - (1 / total - 1)
        if left < 0:
            continue
        steepness = np.sqrt(left / (total * spread)) if spread > 0 else 0.0
        tried = eta[:kept] * (1 / total - steepness * (v[:kept] - mean))
        if tried[-1] >= 0 or kept == 1:
            w[order[:kept]] = tried
            return w
''',
        "the radius is not under the root": '''
# ANSWER worst_shares
def worst_shares(values, shares, kind, size):
    """Return the shares w, shape (U,), of least average value in the set of `kind`, "cvar" or "chi-square"."""
    values, shares = np.asarray(values, dtype=float), np.asarray(shares, dtype=float)
    order = np.argsort(values, kind="stable")
    v, eta, w = values[order], shares[order], np.zeros(len(values))
    if kind == "cvar":
        w[order] = np.diff(np.minimum(np.cumsum(eta / size), 1.0), prepend=0.0)
        return w / w.sum()
    for kept in range(len(v), 0, -1):
        total = eta[:kept].sum()
        mean = eta[:kept] @ v[:kept] / total
        spread = eta[:kept] @ (v[:kept] - mean) ** 2 / total
        left = size - (1 / total - 1)
        if left < 0:
            continue
        steepness = left / np.sqrt(total * spread) if spread > 0 else 0.0
        tried = eta[:kept] * (1 / total - steepness * (v[:kept] - mean))
        if tried[-1] >= 0 or kept == 1:
            w[order[:kept]] = tried
            return w
''',
        "the worst-off group alone: max-min": '''
# ANSWER worst_shares
def worst_shares(values, shares, kind, size):
    """Return the shares w, shape (U,), of least average value in the set of `kind`, "cvar" or "chi-square"."""
    values, shares = np.asarray(values, dtype=float), np.asarray(shares, dtype=float)
    order = np.argsort(values, kind="stable")
    v, eta, w = values[order], shares[order], np.zeros(len(values))
    if kind == "cvar":
        w[order] = np.diff(np.minimum(np.cumsum(eta / size), 1.0), prepend=0.0)
        return w / w.sum()
    w[order[0]] = 1.0
    return w
    for kept in range(len(v), 0, -1):
        total = eta[:kept].sum()
        mean = eta[:kept] @ v[:kept] / total
        spread = eta[:kept] @ (v[:kept] - mean) ** 2 / total
        left = size - (1 / total - 1)
        if left < 0:
            continue
        steepness = np.sqrt(left / (total * spread)) if spread > 0 else 0.0
        tried = eta[:kept] * (1 / total - steepness * (v[:kept] - mean))
        if tried[-1] >= 0 or kept == 1:
            w[order[:kept]] = tried
            return w
''',
    },
    "deployed_win_rate": {
        "scored on all choices, those included that made the groups": '''
# ANSWER deployed_win_rate
def deployed_win_rate(winner, loser, annotator, used, group, policy, shares):
    """Return the average win rate of a policy at deployment, a number, scored on choices that are not `used`."""
    n_people, n_options = len(group), len(policy)
    n_pairs = n_options * (n_options - 1) / 2
    held = np.ones(len(used), dtype=bool)
    won = np.zeros((n_people, n_options))
    np.add.at(won, (annotator[held], winner[held]), 1.0)
    many = np.bincount(annotator[held], minlength=n_people)
    rates = (0.5 + n_pairs / many[:, None] * won) / n_options
    worth = rates @ policy
    by_group = np.array([worth[group == u].mean() for u in range(len(shares))])
    return float(shares @ by_group)
''',
        "scored on the choices that made the groups": '''
# ANSWER deployed_win_rate
def deployed_win_rate(winner, loser, annotator, used, group, policy, shares):
    """Return the average win rate of a policy at deployment, a number, scored on choices that are not `used`."""
    n_people, n_options = len(group), len(policy)
    n_pairs = n_options * (n_options - 1) / 2
    held = np.asarray(used, dtype=bool)
    won = np.zeros((n_people, n_options))
    np.add.at(won, (annotator[held], winner[held]), 1.0)
    many = np.bincount(annotator[held], minlength=n_people)
    rates = (0.5 + n_pairs / many[:, None] * won) / n_options
    worth = rates @ policy
    by_group = np.array([worth[group == u].mean() for u in range(len(shares))])
    return float(shares @ by_group)
''',
        "what is held out is counted as if it were everything": '''
# ANSWER deployed_win_rate
def deployed_win_rate(winner, loser, annotator, used, group, policy, shares):
    """Return the average win rate of a policy at deployment, a number, scored on choices that are not `used`."""
    n_people, n_options = len(group), len(policy)
    n_pairs = n_options * (n_options - 1) / 2
    held = ~np.asarray(used, dtype=bool)
    won = np.zeros((n_people, n_options))
    np.add.at(won, (annotator[held], winner[held]), 1.0)
    many = np.bincount(annotator[held], minlength=n_people)
    rates = (0.5 + won) / n_options
    worth = rates @ policy
    by_group = np.array([worth[group == u].mean() for u in range(len(shares))])
    return float(shares @ by_group)
''',
        "people count alike: the shift is ignored": '''
# ANSWER deployed_win_rate
def deployed_win_rate(winner, loser, annotator, used, group, policy, shares):
    """Return the average win rate of a policy at deployment, a number, scored on choices that are not `used`."""
    n_people, n_options = len(group), len(policy)
    n_pairs = n_options * (n_options - 1) / 2
    held = ~np.asarray(used, dtype=bool)
    won = np.zeros((n_people, n_options))
    np.add.at(won, (annotator[held], winner[held]), 1.0)
    many = np.bincount(annotator[held], minlength=n_people)
    rates = (0.5 + n_pairs / many[:, None] * won) / n_options
    worth = rates @ policy
    by_group = np.array([worth[group == u].mean() for u in range(len(shares))])
    return float(worth.mean())
''',
        "an option never meets itself": '''
# ANSWER deployed_win_rate
def deployed_win_rate(winner, loser, annotator, used, group, policy, shares):
    """Return the average win rate of a policy at deployment, a number, scored on choices that are not `used`."""
    n_people, n_options = len(group), len(policy)
    n_pairs = n_options * (n_options - 1) / 2
    held = ~np.asarray(used, dtype=bool)
    won = np.zeros((n_people, n_options))
    np.add.at(won, (annotator[held], winner[held]), 1.0)
    many = np.bincount(annotator[held], minlength=n_people)
    rates = n_pairs / many[:, None] * won / n_options
    worth = rates @ policy
    by_group = np.array([worth[group == u].mean() for u in range(len(shares))])
    return float(shares @ by_group)
''',
        "the same number of held-out choices for everybody": '''
# ANSWER deployed_win_rate
def deployed_win_rate(winner, loser, annotator, used, group, policy, shares):
    """Return the average win rate of a policy at deployment, a number, scored on choices that are not `used`."""
    n_people, n_options = len(group), len(policy)
    n_pairs = n_options * (n_options - 1) / 2
    held = ~np.asarray(used, dtype=bool)
    won = np.zeros((n_people, n_options))
    np.add.at(won, (annotator[held], winner[held]), 1.0)
    many = np.full(n_people, held.sum() / n_people)
    rates = (0.5 + n_pairs / many[:, None] * won) / n_options
    worth = rates @ policy
    by_group = np.array([worth[group == u].mean() for u in range(len(shares))])
    return float(shares @ by_group)
''',
    },
    "journey_reward": {
        "not discounted": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = np.full(np.shape(first)[1], 1 / np.shape(first)[1])
    apart = rewards[:, first] @ late - rewards[:, second] @ late
    signed = np.where(chose_first, apart, -apart)
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T, signed @ (1 - p))
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
        "the sign: who lost": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = (1 - discount) * discount ** np.arange(np.shape(first)[1])
    apart = rewards[:, first] @ late - rewards[:, second] @ late
    signed = np.where(chose_first, -apart, apart)
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T, signed @ (1 - p))
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
        "a penalty on the reward": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = (1 - discount) * discount ** np.arange(np.shape(first)[1])
    apart = rewards[:, first] @ late - rewards[:, second] @ late
    signed = np.where(chose_first, apart, -apart)
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T + np.eye(len(phi)), signed @ (1 - p) - phi)
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
        "the last cell only": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = (1 - discount) * discount ** np.arange(np.shape(first)[1])
    apart = rewards[:, first[:, -1]] - rewards[:, second[:, -1]]
    signed = np.where(chose_first, apart, -apart)
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T, signed @ (1 - p))
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
        "the factor 1 - discount is missing": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = discount ** np.arange(np.shape(first)[1])
    apart = rewards[:, first] @ late - rewards[:, second] @ late
    signed = np.where(chose_first, apart, -apart)
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T, signed @ (1 - p))
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
        "the answers are not read: the first is always preferred": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = (1 - discount) * discount ** np.arange(np.shape(first)[1])
    apart = rewards[:, first] @ late - rewards[:, second] @ late
    signed = apart
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T, signed @ (1 - p))
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
        "discounted from the first step on": '''
# ANSWER journey_reward
def journey_reward(first, second, chose_first, rewards, discount):
    """Return the single reward phi, shape (U,): what a share of time in each group's places is worth, in logits."""
    late = (1 - discount) * discount ** np.arange(1, np.shape(first)[1] + 1)
    apart = rewards[:, first] @ late - rewards[:, second] @ late
    signed = np.where(chose_first, apart, -apart)
    phi = np.zeros(len(rewards))
    for _ in range(100):
        p = expit(phi @ signed)
        step = np.linalg.solve((signed * p * (1 - p)) @ signed.T, signed @ (1 - p))
        phi = phi + step / max(1.0, np.abs(step @ signed).max() / 2)
        if np.abs(step).max() < 1e-10:
            break
    return phi
''',
    },
}
