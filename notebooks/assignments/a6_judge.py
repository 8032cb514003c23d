"""Judge assignment 6: loops over texts and people, a dual by mirror descent, networks that are run again in NumPy."""

import base64
import binascii
import json
import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from maxmin_core.course.judging import AnswerError, Ask, Check, numbers, several

LIKED = np.array([[1.0, -0.4, 0.5, 0.0], [-0.4, 1.0, 0.5, -0.2], [0.1, -0.1, 0.2, 1.0]])
SHAPES = {
    "transformer.wte.weight": (10, 16),
    "transformer.wpe.weight": (5, 16),
    "transformer.h.0.ln_1.weight": (16,),
    "transformer.h.0.ln_1.bias": (16,),
    "transformer.h.0.attn.c_attn.weight": (16, 48),
    "transformer.h.0.attn.c_attn.bias": (48,),
    "transformer.h.0.attn.c_proj.weight": (16, 16),
    "transformer.h.0.attn.c_proj.bias": (16,),
    "transformer.h.0.ln_2.weight": (16,),
    "transformer.h.0.ln_2.bias": (16,),
    "transformer.h.0.mlp.c_fc.weight": (16, 64),
    "transformer.h.0.mlp.c_fc.bias": (64,),
    "transformer.h.0.mlp.c_proj.weight": (64, 16),
    "transformer.h.0.mlp.c_proj.bias": (16,),
    "transformer.ln_f.weight": (16,),
    "transformer.ln_f.bias": (16,),
}


def near(found: np.ndarray | float, true: np.ndarray | float, tolerance: float) -> bool:
    """Return whether two arrays agree, as a part of the largest entry of the true one."""
    return bool(np.abs(np.asarray(found) - true).max() <= tolerance * np.abs(true).max())


def judge_batch_scores(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Go through the batch text by text."""
    moves, scores = [], []
    for n_groups, n_prompts, k, rate, beta in [(2, 1, 4, 0.3, 0.0), (3, 4, 3, 0.05, 0.4), (2, 3, 5, 0.0, 0.2)]:
        rewards, log_ratio = rng.normal(size=(n_groups, n_prompts * k)) + 1, rng.normal(size=n_prompts * k)
        before = np.log(rng.dirichlet(np.ones(n_groups)))
        answer = ask("batch_scores", rewards, log_ratio, before, rate, beta, k)
        moved, advantages = several("batch_scores", answer, (n_groups,), (n_prompts * k,))
        grown = [math.exp(before[u]) * math.exp(-rate * sum(rewards[u]) / (n_prompts * k)) for u in range(n_groups)]
        weights = [g / sum(grown) for g in grown]
        moves.append(near(np.exp(moved), np.array(weights), 1e-8))
        score = [
            sum(w * r for w, r in zip(weights, rewards[:, i], strict=True)) - beta * log_ratio[i]
            for i in range(n_prompts * k)
        ]
        true = []
        for i, own in enumerate(score):
            begin = i // k * k
            true.append(own - (sum(score[begin : begin + k]) - own) / (k - 1))
        scores.append(near(advantages, np.array(true), 1e-8))
    yield Check(4, all(moves), "the weights move by exponentiated gradient on the batch's means, and sum to one")
    yield Check(4, scores[0], "advantages on one prompt, without a price of divergence", after=moves[0])
    yield Check(5, scores[1], "advantages on several prompts, with the price of divergence", after=moves[1])
    far = np.array([-1.0, -2000.0])
    moved, _ = several("batch_scores", ask("batch_scores", np.ones((2, 4)), np.zeros(4), far, 0.1, 0.0, 2), (2,), (4,))
    kept = bool(abs(moved[0]) < 1e-6 and abs(moved[1] + 1999) < 1e-6)
    yield Check(3, kept, "a weight that has become tiny is not lost; a rate of zero moves nothing", after=scores[2])


def judge_on_one_scale(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Ask for mean zero, spread one, and the order of the texts."""
    rewards, chance = rng.normal(size=(3, 7)) * [[5.0], [0.1], [1.0]] + 3, rng.dirichlet(np.full(7, 0.7))
    found = numbers("on_one_scale", ask("on_one_scale", rewards, chance), (3, 7))
    alike = [
        abs(np.corrcoef(a, b)[0, 1] - 1) < 1e-9 if np.ptp(a) > 0 else False for a, b in zip(found, rewards, strict=True)
    ]
    mean, spread = found @ chance, found**2 @ chance
    same = all(alike)
    yield Check(3, same and near(mean + 1, np.ones(3), 1e-8), "mean zero under the reference, texts ranked as before")
    yield Check(3, near(spread, np.ones(3), 1e-8), "spread one under the reference", after=same)
    rewards[1] = 0.1
    found = numbers("on_one_scale", ask("on_one_scale", rewards, chance), (3, 7))
    calm = np.abs(found[1]).max() == 0 and near(found[[0, 2]] ** 2 @ chance, np.ones(2), 1e-8)
    yield Check(2, calm, "a group that does not care gets zero, and disturbs nobody")


def judge_suspicion(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Multiply chances answer by answer; where they would underflow, the better group decides."""
    n_people, many = 6, rng.integers(3, 12, size=6)
    annotator = rng.permutation(np.repeat(np.arange(n_people), many))
    difference, phi = rng.normal(size=(many.sum(), 3)), rng.normal(size=(2, 3))
    shares = np.array([0.8, 0.2])
    true = []
    for person in range(n_people):
        chances = [1 / (1 + np.exp(-difference[annotator == person] @ phi[u])) for u in range(2)]
        true.append(math.log(sum(s * math.prod(c / 0.5) for s, c in zip(shares, chances, strict=True))))
    found = numbers("suspicion", ask("suspicion", difference, annotator, phi, shares), (n_people,))
    yield Check(5, near(found, np.array(true), 1e-8), "log-likelihoods under the mixture, person by person")
    # Answers that no group gives: the log of a chance is then the reward itself.
    annotator, signs = np.repeat([0, 1, 2], 400), np.repeat([1.0, -1.0, 1.0], 400)
    difference, phi = (signs * rng.uniform(0.5, 1, size=1200))[:, None], np.array([[1000.0], [900.0]])
    found = numbers("suspicion", ask("suspicion", difference, annotator, phi, shares), (3,))
    lost = 900 * difference[400:800].sum() + math.log(0.2)
    true = np.array([0.0, lost, 0.0]) + 400 * math.log(2)
    yield Check(5, near(found, true, 1e-6), "hundreds of answers and rewards of a thousand, without underflow")


def divergence(log_policy, log_reference):
    """Return the mean over prompts of the divergence, in nats."""
    return float((np.exp(log_policy) * (log_policy - log_reference)).sum(axis=1).mean())


def tilted(reward, log_reference, beta):
    """Return the log of the optimal policy of a reward, and its optimal value."""
    logits = log_reference + reward / beta
    top = logits.max(axis=1, keepdims=True)
    level = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return logits - level, float(beta * level.mean())


def judge_matched_beta(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Compute the divergence at the beta that was found."""
    for worth, (n_prompts, n_texts), target in [(3, (1, 6), 0.05), (3, (4, 9), 0.3), (2, (2, 12), 1.2)]:
        log_reference = np.log(rng.dirichlet(np.full(n_texts, 2.0), size=n_prompts))
        reward = 3 * rng.normal(size=(n_prompts, n_texts))
        beta = float(numbers("matched_beta", ask("matched_beta", reward, log_reference, target), ()))
        there = divergence(tilted(reward, log_reference, beta)[0], log_reference) if beta > 1e-4 else 0.0
        yield Check(worth, abs(there - target) < 1e-3 * target, f"the divergence asked for, {n_prompts} prompts")


def values_of(log_policy, rewards, log_reference, beta):
    """Return the value of every group."""
    price = beta * divergence(log_policy, log_reference)
    return (rewards * np.exp(log_policy)).sum(axis=2).mean(axis=1) - price


def between(rewards, log_reference, beta):
    """Return a lower and an upper limit of the max-min value, by mirror descent on group weights."""
    log_weights, lower, upper = np.zeros(len(rewards)), -np.inf, np.inf
    for step in range(20_000):
        weights = np.exp(log_weights) / np.exp(log_weights).sum()
        log_policy, dual = tilted(np.tensordot(weights, rewards, 1), log_reference, beta)
        values = values_of(log_policy, rewards, log_reference, beta)
        lower, upper = max(lower, values.min()), min(upper, dual)
        if upper - lower < 1e-7:
            break
        log_weights = log_weights - (0.3 * beta + 1 / (10 + step)) * values
        log_weights -= log_weights.max()
    return lower, upper


def judge_enclosure(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Evaluate the policy, and enclose the optimum by another method."""
    worths, bounds = [], []
    for n_groups, (n_prompts, n_texts), beta in [(2, (1, 6), 0.5), (3, (3, 7), 1.0), (4, (2, 10), 0.7)]:
        log_reference = np.log(rng.dirichlet(np.full(n_texts, 1.5), size=n_prompts))
        rewards = rng.normal(size=(n_groups, n_prompts, n_texts))
        policy = rng.dirichlet(np.ones(n_texts), size=n_prompts)
        found = several("enclosure", ask("enclosure", policy, rewards, log_reference, beta), (), ())
        worths.append(near(found[0], values_of(np.log(policy), rewards, log_reference, beta).min(), 1e-6))
        lower, upper = between(rewards, log_reference, beta)
        bounds.append(bool(lower - 1e-5 <= found[1] <= upper + 1e-5))
    yield Check(4, all(worths), "the value of the worst-off group under the policy")
    yield Check(4, bounds[0], "two groups: the least upper bound is the optimum")
    yield Check(4, all(bounds), "three and four groups, several prompts: the same")


def every_text():
    """Return all 820 texts as token ids."""
    others = [token for token in range(10) if token != 3]
    ended = [[*ids, 3] for length in range(3) for ids in product(others, repeat=length)]
    return ended + [list(ids) for ids in product(others, repeat=3)]


def first_weights():
    """Return the reference's parameters: normal draws of spread 0.25; ones and zeros in vectors."""
    draw, weights = np.random.default_rng(8), {}
    for name, shape in SHAPES.items():
        flat = np.ones(shape) if "ln_" in name and name.endswith("weight") else np.zeros(shape)
        weights[name] = draw.normal(scale=0.25, size=shape) if len(shape) == 2 else flat
    return {name: value.astype(np.float32) for name, value in weights.items()}


def network(weights):
    """Return log pi(text | prompt) of all texts under a GPT-2 of one layer, shape (2, 820), in NumPy."""
    get = {name.removeprefix("transformer.").removeprefix("h.0."): w.astype(float) for name, w in weights.items()}

    def normed(x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * get[name + ".weight"] + get[name + ".bias"]

    def linear(x, name):
        return x @ get[name + ".weight"] + get[name + ".bias"]

    texts, rows = every_text(), []
    for prompt in (8, 9):
        ids = np.array([[2, prompt, *text, *[0] * (3 - len(text))] for text in texts])
        x = get["wte.weight"][ids] + get["wpe.weight"][: ids.shape[1]]
        heads = linear(normed(x, "ln_1"), "attn.c_attn").reshape(len(ids), 5, 3, 2, 8)
        query, key, value = heads.transpose(2, 0, 3, 1, 4)
        scores = query @ key.swapaxes(-1, -2) / np.sqrt(8) + np.where(np.tri(5) > 0, 0.0, -np.inf)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        x = x + linear(seen.swapaxes(1, 2).reshape(len(ids), 5, 16), "attn.c_proj")
        y = linear(normed(x, "ln_2"), "mlp.c_fc")
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        logits = normed(x + linear(y, "mlp.c_proj"), "ln_f") @ get["wte.weight"].T
        logits -= logits.max(axis=-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        rows.append([sum(logits[k, 1 + t, token] for t, token in enumerate(text)) for k, text in enumerate(texts)])
    return np.array(rows)


def read_runs(content):
    """Return the two runs of an uploaded file, their parameters as arrays."""
    try:
        runs = {name: dict(json.loads(content)[name]) for name in ("average", "maxmin")}
        for run in runs.values():
            raw = {name: np.frombuffer(base64.b64decode(run["weights"][name]), dtype="<f4") for name in SHAPES}
            run["weights"] = {name: raw[name].reshape(shape) for name, shape in SHAPES.items()}
            run["beta"], run["rate"] = float(run["beta"]), float(run["rate"])
            run["batches"] = [
                (
                    np.array(batch["texts"], dtype=int).reshape(2, -1),
                    np.array(batch["means"], dtype=float).reshape(3),
                    np.array(batch["log_weights"], dtype=float).reshape(3),
                )
                for batch in run["batches"]
            ]
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, RecursionError) as error:
        raise AnswerError(f"a6_runs.json: expected what the notebook writes, got {type(error).__name__}") from None
    for run in runs.values():
        if not all(np.isfinite(w).all() and np.abs(w).max() < 1e3 for w in run["weights"].values()):
            raise AnswerError("a6_runs.json: expected finite parameters")
        if not 1e-3 < run["beta"] < 1e3:
            raise AnswerError("a6_runs.json: expected a beta between 0.001 and 1000")
    return runs


def rescored(run, log_policy, rewards):
    """Return whether the last batches are what they claim: texts of this network, their means, moved weights."""
    holds = len(run["batches"]) == 3
    for number, (texts, means, log_weights) in enumerate(run["batches"]):
        inside = texts.shape[1] >= 32 and texts.min() >= 0 and texts.max() < 820
        if not inside:
            return False
        holds &= bool(np.abs(rewards[:, texts.ravel()].mean(axis=1) - means).max() < 1e-6)
        if number:
            change = log_weights - run["batches"][number - 1][2] + run["rate"] * means
            holds &= bool(np.ptp(change) < 1e-6)
        # The mean log-likelihood of texts that this policy wrote lies near its own mean, in standard errors.
        for x in (0, 1):
            mean = np.exp(log_policy[x]) @ log_policy[x]
            spread = np.sqrt(np.exp(log_policy[x]) @ (log_policy[x] - mean) ** 2 / texts.shape[1])
            holds &= bool(abs(log_policy[x, texts[x]].mean() - mean) < 6 * spread + 0.05)
    return holds


def judge_two_runs(ask: Ask, rng: np.random.Generator) -> Iterator[Check]:
    """Run the uploaded networks again, enumerate their texts, and compare with what was reported."""
    runs, said = read_runs(ask.file("a6_runs.json")), ask("two_runs")
    if not isinstance(said, dict) or not {"kl", "worst", "closed"} <= set(said):
        raise AnswerError("two_runs: expected a dictionary with the keys kl, worst and closed")
    kl_said, worst_said = (numbers("two_runs", said[name], (2,)) for name in ("kl", "worst"))
    closed_said = float(numbers("two_runs", said["closed"], ()))
    counts = np.array([[text.count(token) for text in every_text()] for token in (4, 5, 6, 7)], dtype=float)
    log_reference, raw = network(first_weights()), LIKED @ counts
    chance = np.exp(log_reference).mean(axis=0)
    centred = raw - (raw @ chance)[:, None]
    rewards = centred / np.sqrt(centred**2 @ chance)[:, None]
    exact = np.repeat(rewards[:, None], 2, axis=1)
    tables = {name: network(run["weights"]) for name, run in runs.items()}
    kl = np.array([divergence(tables[name], log_reference) for name in ("average", "maxmin")])
    matched = kl.min() > 0.3 and abs(kl[0] - kl[1]) <= 0.05 * kl[1]
    told = np.abs(kl_said - kl).max() < 2e-3
    yield Check(4, bool(matched and told), "both networks are equally far from the reference, and as far as reported")
    means = [(exact * np.exp(tables[name])).sum(axis=2).mean(axis=1) for name in ("average", "maxmin")]
    own = runs["average"]["beta"]
    start = exact.mean(axis=0)
    best = tilted(start, log_reference, own)[1]
    fair = means[0].mean() - own * kl[0] >= 0.8 * best and abs(runs["average"]["rate"]) < 1e-12
    told = all(abs(worst_said[k] - means[k].min()) < 2e-3 for k in (0, 1))
    yield Check(4, bool(fair and told), "the average is trained well, and the least rewards are those reported")
    beta = runs["maxmin"]["beta"]
    least = values_of(log_reference, exact, log_reference, beta).min()
    closed = (means[1].min() - beta * kl[1] - least) / (between(exact, log_reference, beta)[1] - least)
    good = closed >= 0.8 and abs(beta - 0.3) < 1e-9 and abs(closed_said - closed) < 2e-3
    yield Check(4, bool(good), "max-min closes most of the distance to the optimum, and as much as reported")
    logged = all(rescored(run, tables[name], rewards) for name, run in runs.items())
    says = "the last batches are texts of these networks, with their means and weights"
    yield Check(4, bool(logged), says, after=bool(told))


TASKS = {
    "batch_scores": judge_batch_scores,
    "on_one_scale": judge_on_one_scale,
    "suspicion": judge_suspicion,
    "matched_beta": judge_matched_beta,
    "enclosure": judge_enclosure,
    "two_runs": judge_two_runs,
}
