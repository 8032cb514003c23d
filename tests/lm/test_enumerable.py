import warnings

import cvxpy as cp
import numpy as np
import pytest

from maxmin_core.alignment import Egalitarian, Nash, Regret, Utilitarian, best_values, group_values, solve
from maxmin_core.lm.enumerable import WordRewards, every_text, exact_log_policy, make_reference, part_closed
from maxmin_core.lm.policy import load_policy, sample


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("enumerable")
    prompts = make_reference(folder, n_words=2, n_prompts=2, n_tokens=2)
    return folder, prompts, load_policy(folder)


class TestEveryText:
    def test_count_by_hand(self, small):
        _, _, (_, tokenizer) = small
        # Two words, two prompts, four special tokens: seven that go on. One empty text, 7 of one word, 49 cut off.
        texts = every_text(tokenizer, 2)
        assert len(tokenizer) == 8 and len(texts) == 1 + 7 + 49 == len({tuple(t) for t in texts})

    def test_probabilities_are_the_frequencies_of_samples(self, small):
        folder, prompts, (model, tokenizer) = small
        texts = every_text(tokenizer, 2)
        exact = np.exp(exact_log_policy(folder, prompts, texts))
        drawn = sample(model, tokenizer, [prompts[1]] * 20000, n_tokens=2, seed=0, batch=20000)
        at = {tuple(text): i for i, text in enumerate(texts)}
        count = np.bincount([at[tuple(text)] for text in drawn], minlength=len(texts)) / len(drawn)
        assert np.abs(count - exact[1]).sum() / 2 < 0.03

    def test_missing_texts_are_noticed(self, small):
        folder, prompts, (_, tokenizer) = small
        with pytest.raises(ValueError, match="^texts: expected all that the policy can write"):
            exact_log_policy(folder, prompts, every_text(tokenizer, 2)[:-5])


class TestWordRewards:
    def test_by_hand_and_calibrated(self):
        rewards = WordRewards([[1.0, -1.0], [0.0, 2.0]], [0.5, 0.5])
        assert rewards(None, ["a a b", "", "b <end>"]).tolist() == [[1.0, 0.0, -1.0], [2.0, 0.0, 2.0]]
        probability = np.array([0.2, 0.5, 0.3])
        common = rewards.calibrated(["a a b", "", "b"], probability)(None, ["a a b", "", "b"])
        np.testing.assert_allclose(common @ probability, 0.0, atol=1e-12)
        np.testing.assert_allclose(common**2 @ probability, 1.0)


class TestPartClosed:
    def test_the_worst_off_group_counts(self):
        # Without a penalty to speak of, values are means: 0.5 for all, then (0.8, 0.2, 0.35) and (0.4, 0.6, 0.55).
        rewards = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.25, 0.75]]])
        reference, beta = np.log([[0.5, 0.5]]), 1e-12
        for chances, worst in (([0.5, 0.5], 0.5), ([0.8, 0.2], 0.2), ([0.4, 0.6], 0.4)):
            found = part_closed([chances], rewards, reference, beta, 0.75)
            np.testing.assert_allclose(found, (worst - 0.5) / 0.25, atol=1e-9)


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rivals")
    prompts = make_reference(folder, n_prompts=2, n_tokens=2)
    _, tokenizer = load_policy(folder)
    texts = every_text(tokenizer, 2)
    written = tokenizer.batch_decode(texts, skip_special_tokens=True)
    log_reference = exact_log_policy(folder, prompts, texts)
    liked = [[1.0, -0.3, 0.6, 0.0], [-0.3, 1.0, 0.6, 0.0], [0.2, 0.1, 0.2, 1.0]]
    rewards = WordRewards(liked, [0.6, 0.3, 0.1]).calibrated(written, np.exp(log_reference).mean(axis=0))
    exact = np.repeat(rewards(None, written)[:, None], len(prompts), axis=1)
    return exact, log_reference, 0.3


class TestRivals:
    """What chapter 9 sets beside trained policies, by a conic solver that knows nothing of duals."""

    @pytest.mark.parametrize("name", ["maxmin", "regret", "nash", "equal"])
    def test_the_exact_optimum_agrees_with_a_conic_solver(self, instance, name):
        exact, log_reference, beta = instance
        alone = best_values(exact, log_reference, beta)
        start = group_values(np.exp(log_reference), exact, log_reference, beta)
        rule = {"maxmin": Egalitarian(), "regret": Regret(alone), "nash": Nash(start), "equal": Utilitarian()}[name]
        solution = solve(rule, exact, log_reference, beta)
        policy = cp.Variable(log_reference.shape, nonneg=True)
        penalty = beta * cp.sum(cp.rel_entr(policy, np.exp(log_reference))) / 2
        values = cp.hstack([cp.sum(cp.multiply(r, policy)) / 2 - penalty for r in exact])
        aim = {
            "maxmin": cp.min(values),
            "regret": cp.min(values - alone),
            "nash": cp.sum(cp.log(values - start)),
            "equal": cp.sum(values) / 3,
        }[name]
        found = cp.Problem(cp.Maximize(aim), [cp.sum(policy, axis=1) == 1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
        np.testing.assert_allclose(solution.values, values.value, atol=2e-4)
        np.testing.assert_allclose(solution.policy, policy.value, atol=2e-4)
        reached = {"nash": np.log(solution.values - start).sum()}.get(name, solution.primal)
        np.testing.assert_allclose(reached, found.value, atol=2e-6)
