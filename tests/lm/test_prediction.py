import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from maxmin_core import Egalitarian, max_min
from maxmin_core.lm.enumerable import WordRewards, every_text, exact_log_policy, make_reference
from maxmin_core.lm.evaluate import evaluate
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.prediction import Draws, begin_at, choose, draw
from maxmin_core.lm.texts import Texts


def some_draws(seed=0, shape=(3, 6, 5)):
    rewards = np.random.default_rng(seed).normal(size=shape)
    prompts = [f"p{x}" for x in range(shape[1]) for _ in range(shape[2])]
    ids = [[i] for i in range(len(prompts))]
    return Draws(Texts(prompts, ids, [f"text {i}" for (i,) in ids]), rewards)


class TestDraws:
    def test_the_choice_is_the_programme_of_another_library(self):
        draws, beta = some_draws(), 0.3
        solution = draws.solve(Egalitarian(), beta)
        policy = cp.Variable(draws.rewards.shape[1:], nonneg=True)
        n = policy.shape[1]
        divergence = cp.sum(cp.rel_entr(policy, np.full(policy.shape, 1 / n))) / policy.shape[0]
        worst = cp.min(cp.hstack([cp.sum(cp.multiply(r, policy)) / policy.shape[0] for r in draws.rewards]))
        problem = cp.Problem(cp.Maximize(worst - beta * divergence), [cp.sum(policy, axis=1) == 1])
        problem.solve(solver="CLARABEL")
        np.testing.assert_allclose(solution.primal, problem.value, atol=1e-6)
        np.testing.assert_allclose(solution.policy, policy.value, atol=1e-3)

    def test_rewards_stand_where_their_texts_stand(self, tmp_path):
        prompts = make_reference(tmp_path, n_words=2, n_prompts=3, n_tokens=2)
        model, tokenizer = load_policy(tmp_path)
        rewards = WordRewards([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5])
        draws = draw(model, tokenizer, prompts, rewards, n_samples=4, n_tokens=2, seed=0)
        assert draws.texts.prompts == [p for p in prompts for _ in range(4)] and draws.rewards.shape == (2, 3, 4)
        for x, i in np.ndindex(3, 4):
            assert draws.rewards[0, x, i] == draws.texts.completions[4 * x + i].split().count("a")

    def test_weights_of_a_sample_approach_those_of_all_texts(self, tmp_path):
        prompts = make_reference(tmp_path, n_words=4, n_prompts=2, n_tokens=3)
        model, tokenizer = load_policy(tmp_path)
        texts = every_text(tokenizer, 3)
        log_reference = exact_log_policy(tmp_path, prompts, texts)
        scores = [[1.0, 0.0, 0.3, 0.1], [0.0, 1.0, 0.3, -0.2], [-0.4, 0.2, 0.0, 1.0]]
        words = tokenizer.batch_decode(texts, skip_special_tokens=True)
        rewards = WordRewards(scores, [0.5, 0.3, 0.2]).calibrated(words, np.exp(log_reference).mean(axis=0))
        every = np.repeat(rewards(None, words)[:, None], 2, axis=1)
        exact = max_min(every, log_reference, 0.5)
        far = []
        for n in (4, 512):
            errors = []
            for seed in range(5):
                draws = draw(model, tokenizer, prompts * 4, rewards, n_samples=n, n_tokens=3, seed=seed)
                errors.append(np.abs(draws.solve(Egalitarian(), 0.5).weights - exact.weights).max())
            far.append(np.mean(errors))
        assert far[1] < 0.03 and far[1] < far[0] / 3

    def test_however_many_prompts_a_few_texts_leave_a_bias(self):
        """Two texts on each of many prompts: all pairs, with their chances, say where the weights must go."""
        reference, beta = np.array([0.5, 0.35, 0.15]), 0.5
        rewards = np.array([[1.0, -0.8, 0.0], [-0.6, 0.2, 2.5]])
        true = max_min(rewards[:, None], np.log(reference)[None], beta).weights[0]

        def expected(w):
            z = np.exp((w * rewards[0] + (1 - w) * rewards[1]) / beta)
            return beta * reference @ np.log((z[:, None] + z) / 2) @ reference

        least = minimize_scalar(expected, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
        drawn = np.random.default_rng(0).choice(3, (20_000, 2), p=reference)
        found = Draws(Texts([], [], []), rewards[:, drawn]).solve(Egalitarian(), beta).weights[0]
        assert 0.05 < least < 0.95 and abs(found - least) < 0.02 and abs(found - true) > 0.1


class TestChoose:
    def test_as_often_as_the_policy_says(self):
        draws = some_draws(shape=(2, 20000, 3))
        policy = np.tile([0.2, 0.5, 0.3], (20000, 1))
        chosen = choose(draws, policy, seed=0)
        at = np.array([ids[0] for ids in chosen.ids])
        assert (at // 3 == np.arange(20000)).all()
        np.testing.assert_allclose(np.bincount(at % 3) / 20000, [0.2, 0.5, 0.3], atol=0.01)
        assert chosen.prompts[7] == "p7" and chosen.completions[7] == f"text {at[7]}"

    def test_never_a_text_without_a_chance(self):
        draws = some_draws(shape=(2, 1000, 3))
        # A row that rounding leaves below one, and a last text that must not fill the gap.
        policy = np.tile([0.5, 0.5 - 1e-3, 0.0], (1000, 1))
        assert {ids[0] % 3 for ids in choose(draws, policy, seed=0).ids} == {0, 1}

    @pytest.mark.parametrize("weights", [[0.0, 1.0], [0.2, 0.3, 0.5]])
    def test_where_it_begins(self, weights):
        begun = begin_at(np.array(weights))
        assert (begun > 0).all() and abs(begun.sum() - 1) < 1e-12
        np.testing.assert_allclose(begun, [0.9 * w + 0.1 / len(weights) for w in weights])


def test_perplexity_by_hand():
    """Three tokens of probabilities 1/2, 1/4 and 1/8 under the reference: a token has 1/4 on average."""
    texts = Texts(["the film", "the plot"], [[5, 6], [7]], ["is good", "drags"])
    likely = np.array([-1.0, -2.0]), np.log([1 / 8, 1 / 8])
    found = evaluate(None, None, None, texts, texts, lambda p, c: np.zeros((1, len(c))), likely=likely)
    assert found["perplexity"] == pytest.approx(4.0)
    assert found["kl"] == pytest.approx(np.mean(likely[0] - likely[1]))
