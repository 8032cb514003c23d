import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from trl import GRPOConfig

from maxmin_core.alignment import gibbs_policy
from maxmin_core.lm.combined import Product
from maxmin_core.lm.enumerable import every_text, exact_log_policy, make_reference
from maxmin_core.lm.next_token import grpo_rest, product_by_token
from maxmin_core.lm.policy import load_policy, log_probabilities, prompt_tokens
from maxmin_core.lm.profiles import find_profile
from maxmin_core.lm.trainer import make_trainer


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


def reference_of(log_policy, reward, texts, beta, n_samples, *, forward):
    """The reference, token by token, beside which a policy is GRPO's rest: by the reverse KL, or by the forward one."""
    chance, expected = {}, {}
    for text, log, r in zip(texts, log_policy, reward, strict=True):
        for k in range(len(text) + 1):
            b = tuple(text[:k])
            chance[b], expected[b] = chance.get(b, 0.0) + np.exp(log), expected.get(b, 0.0) + np.exp(log) * r
    steps = {}
    for before in {tuple(t[:k]) for t in texts for k in range(len(t))}:
        after = [b for b in chance if b[:-1] == before and len(b) == len(before) + 1]
        own = np.array([chance[b] / chance[before] for b in after])
        gain = (1 - 1 / n_samples) / beta * np.array([expected[b] / chance[b] for b in after])
        gain -= own @ gain
        made = own * (1 - gain) if forward else own * np.exp(-gain)
        assert made.min() > 0
        steps.update(zip(after, np.log(made / made.sum()), strict=True))
    return steps


def gradient_of(trainer, prompts, texts, log_policy, reward, reference, n_samples):
    """The largest component of the gradient of the trainer's expected loss, in any parameter of the network."""
    model, longest = trainer.model, max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    there = torch.tensor([[reference.get(tuple(t[: k + 1]), 0.0) for k in range(longest)] for t in texts])
    x = prompt_tokens(model, trainer.processing_class, prompts, longest)
    x = torch.as_tensor(getattr(x, "input_ids", x)).expand(len(texts), -1)
    # A text's own reward is in the mean over its prompt: on average that shrinks the advantage.
    advantage = (1 - 1 / n_samples) * (reward - np.exp(log_policy) @ reward)
    model.zero_grad()
    for k, log in enumerate(log_policy):
        one = slice(k, k + 1)
        batch = {"prompt_ids": x[one], "prompt_mask": torch.ones_like(x[one])}
        batch |= {"completion_ids": ids[one], "completion_mask": mask[one], "ref_per_token_logps": there[one].float()}
        batch["advantages"] = torch.tensor([advantage[k]], dtype=torch.float32)
        (np.exp(log) * trainer._compute_loss(model, batch)).backward()
    return max(p.grad.abs().max().item() for p in model.parameters() if p.grad is not None)


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

    @pytest.mark.parametrize("corrected", [True, False])
    def test_the_library_s_own_loss_rests_there(self, tmp_path, corrected):
        """The trainer's own loss over every text, on a network that is at rest beside a reference made for that."""
        size = {"steps": 1, "prompts_per_step": 1, "samples_per_prompt": 4, "new_tokens": 2}
        prompts = make_reference(tmp_path, n_words=2, n_prompts=1, n_tokens=2)
        tokenizer = load_policy(tmp_path)[1]
        texts, beta, n = every_text(tokenizer, 2), 0.5, 4
        log_policy = exact_log_policy(tmp_path, prompts, texts)[0]
        reward = 0.1 * np.random.default_rng(1).normal(size=len(texts))
        rests = {"uncorrected": True, "corrected": False}
        ref = {name: reference_of(log_policy, reward, texts, beta, n, forward=f) for name, f in rests.items()}
        sums = [[sum(by[tuple(text[: k + 1])] for k in range(len(text))) for text in texts] for by in ref.values()]
        np.testing.assert_allclose(logsumexp(sums, axis=1), 0.0, atol=1e-9)
        # The way back: from the reference that was made, the rest is the network's own policy.
        rest = grpo_rest([reward], [sums[1]], texts, beta, n_samples=n)[0]
        np.testing.assert_allclose(rest, log_policy, atol=1e-9)

        def worth(prompts, completions, **_):
            return [0.0] * len(completions)

        worth.groups, worth.scored = ("all",), [np.zeros(4)]
        trainer = make_trainer(
            worth, prompts, tmp_path, find_profile("smoke", **size), tmp_path / "run", seed=0, beta=beta, kind="grpo"
        )
        assert trainer.args.use_bias_correction_kl and trainer.loss_type == "dr_grpo"
        trainer.args.use_bias_correction_kl = corrected
        trainer.current_gradient_accumulation_steps = 1
        given = trainer, prompts, texts, log_policy, reward
        found = {name: gradient_of(*given, by, n) for name, by in ref.items()}
        assert found["corrected" if corrected else "uncorrected"] < 1e-5
        assert found["uncorrected" if corrected else "corrected"] > 1e-3

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
