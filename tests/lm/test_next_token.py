import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from trl import GRPOConfig

from maxmin_core.alignment import gibbs_policy
from maxmin_core.lm.combined import Product
from maxmin_core.lm.enumerable import every_text, exact_log_policy, make_reference
from maxmin_core.lm.next_token import grpo_rest, product_by_token
from maxmin_core.lm.policy import load_policy, log_probabilities


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(f"policy-{seed}") for seed in (0, 1)]
    prompts = [make_reference(folder, n_words=2, n_prompts=2, n_tokens=3, seed=k) for k, folder in enumerate(folders)]
    models, tokenizer = [load_policy(folder)[0] for folder in folders], load_policy(folders[0])[1]
    texts = every_text(tokenizer, 3)
    return models, tokenizer, prompts[0], texts, [exact_log_policy(folder, prompts[0], texts) for folder in folders]


class TestProductByToken:
    def test_the_networks_draw_from_it(self, small):
        models, tokenizer, prompts, texts, logs = small
        found = product_by_token(logs, [0.3, 0.7], texts)
        for x, prompt in enumerate(prompts):
            asked = log_probabilities(Product(models, [0.3, 0.7]), tokenizer, [prompt] * len(texts), texts)
            np.testing.assert_allclose(found[x], asked, atol=1e-4)

    def test_it_is_another_policy_than_the_product_of_whole_texts(self, small):
        *_, texts, logs = small
        found, whole = product_by_token(logs, [0.5, 0.5], texts), np.mean(logs, axis=0)
        whole -= logsumexp(whole, axis=1, keepdims=True)
        np.testing.assert_allclose(logsumexp(found, axis=1), 0.0, atol=1e-12)
        assert np.abs(np.exp(found) - np.exp(whole)).max() > 0.01
        np.testing.assert_allclose(product_by_token(logs[:1], [1.0], texts), logs[0], atol=1e-12)

    @pytest.mark.parametrize(
        ("change", "message"), [({"weights": [0.5, 0.6]}, "weights"), ({"texts": [[0]]}, "log_policies")]
    )
    def test_what_does_not_fit(self, change, message):
        given = {"log_policies": np.zeros((2, 1, 2)), "weights": [0.5, 0.5], "texts": [[0], [1]]} | change
        with pytest.raises(ValueError, match=f"^{message}: expected"):
            product_by_token(**given)


def expected_gradient(log_policy, log_reference, reward, texts, beta, n_samples):
    """The largest component of the gradient that TRL's loss has on average; every beginning has logits of its own."""
    beginnings = sorted({tuple(t[:k]) for t in texts for k in range(len(t))})
    tokens = sorted({t for text in texts for t in text})
    chance = {}
    for text, log in zip(texts, log_policy, strict=True):
        for k in range(len(text) + 1):
            chance[tuple(text[:k])] = chance.get(tuple(text[:k]), 0.0) + np.exp(log)
    reference = {}
    for text, log in zip(texts, log_reference, strict=True):
        for k in range(len(text) + 1):
            reference[tuple(text[:k])] = reference.get(tuple(text[:k]), 0.0) + np.exp(log)
    at = [[chance[(*b, t)] / chance[b] for t in tokens] for b in beginnings]
    logits = torch.tensor(np.log(at), requires_grad=True)
    log = logits.log_softmax(-1)
    mean, loss = np.exp(log_policy) @ reward, 0.0
    for text, log_p, r in zip(texts, log_policy, reward, strict=True):
        # A text's own reward is in the mean over its prompt: the rest of the mean is other texts'.
        advantage = (1 - 1 / n_samples) * (r - mean)
        for k, token in enumerate(text):
            before = tuple(text[:k])
            here = log[beginnings.index(before), tokens.index(token)]
            there = float(np.log(reference[(*before, token)] / reference[before]))
            ratio = torch.exp(here - here.detach())
            kl = (torch.exp(there - here) - (there - here) - 1) * ratio
            loss = loss + np.exp(log_p) * (-advantage * ratio + beta * kl)
    loss.backward()
    return logits.grad.abs().max().item()


class TestGrpoRest:
    def test_the_gradient_of_the_trainer_s_loss_vanishes_there_and_not_at_the_best_policy(self, tmp_path):
        prompts = make_reference(tmp_path, n_words=2, n_prompts=2, n_tokens=2)
        texts = every_text(load_policy(tmp_path)[1], 2)
        reference = exact_log_policy(tmp_path, prompts, texts)
        reward = np.random.default_rng(0).normal(size=reference.shape)
        for n in (4, 64):
            rest = grpo_rest(reward, reference, texts, 0.5, n_samples=n)
            np.testing.assert_allclose(logsumexp(rest, axis=1), 0.0, atol=1e-12)
            for x in range(len(reference)):
                given = reference[x], reward[x], texts, 0.5, n
                assert expected_gradient(rest[x], *given) < 1e-12
                best = np.log(gibbs_policy(reward, reference, 0.5))[x]
                assert expected_gradient(best, *given) > 1e-3

    def test_the_library_s_loss_is_the_one_that_is_meant(self, tmp_path):
        # Without that correction the price of a token is another divergence, and the policy comes to rest elsewhere.
        assert GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False).use_bias_correction_kl is True

    def test_the_closer_to_one_token_the_closer_to_the_best(self):
        reward, reference = np.array([[1.0, -0.5, 0.2]]), np.log([[0.2, 0.5, 0.3]])
        rest = grpo_rest(reward, reference, [[0], [1], [2]], 0.3, n_samples=8)
        np.testing.assert_allclose(np.exp(rest), gibbs_policy(reward * 7 / 8, reference, 0.3), atol=1e-12)

    @pytest.mark.parametrize(
        ("change", "message"),
        [({"n_samples": 1}, "n_samples"), ({"beta": 0.0}, "beta"), ({"reward": [[1.0]]}, "reward")],
    )
    def test_what_does_not_fit(self, change, message):
        given = {"reward": [[1.0, 0.0]], "log_reference": [[-0.7, -0.7]], "texts": [[0], [1]], "beta": 1.0}
        with pytest.raises(ValueError, match=f"^{message}: expected"):
            grpo_rest(**(given | {"n_samples": 4} | change))
