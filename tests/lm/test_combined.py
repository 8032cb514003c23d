import itertools

import numpy as np
import pytest
import torch

from maxmin_core import gibbs_policy, solve
from maxmin_core.alignment import Regret
from maxmin_core.lm.combined import Product, best_soup, regret_weights, stir
from maxmin_core.lm.enumerable import every_text, exact_log_policy, make_reference
from maxmin_core.lm.policy import load_policy, log_probabilities, sample
from maxmin_core.lm.reference import make_gpt2, make_tokenizer


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two policies of one vocabulary, and all that they can write."""
    folders = [tmp_path_factory.mktemp(f"group{u}") for u in (0, 1)]
    shape = {"n_words": 2, "n_prompts": 2, "n_tokens": 2}
    prompts, _ = (make_reference(folder, **shape, seed=u) for u, folder in enumerate(folders))
    models, tokenizers = zip(*map(load_policy, folders), strict=True)
    return folders, models, tokenizers[0], prompts, every_text(tokenizers[0], 2)


class TestProduct:
    def test_every_token_by_hand(self, two):
        folders, models, tokenizer, prompts, texts = two
        weights = np.array([0.3, 0.7])
        rows = [prompts[0]] * len(texts)
        found = log_probabilities(Product(models, weights), tokenizer, rows, texts)
        # The chances of every next token from those of all texts, by enumeration; multiplied, divided by their sum.
        log_policies = [exact_log_policy(folder, prompts, texts)[0] for folder in folders]
        at = {tuple(text): i for i, text in enumerate(texts)}
        expected = []
        for text in texts:
            total = 0.0
            for k in range(len(text)):
                before = tuple(text[:k])
                chances = []
                for log_policy in log_policies:
                    beginning = [i for t, i in at.items() if t[:k] == before]
                    here = {}
                    for i in beginning:
                        token = texts[i][k] if len(texts[i]) > k else None
                        here[token] = here.get(token, 0.0) + np.exp(log_policy[i])
                    chances.append({t: p / sum(here.values()) for t, p in here.items()})
                product = {t: np.prod([c[t] ** w for c, w in zip(chances, weights, strict=True)]) for t in chances[0]}
                total += np.log(product[text[k]] / sum(product.values()))
            expected.append(total)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(np.exp(found).sum(), 1.0, atol=1e-5)

    def test_drawn_as_often_as_likely(self, two):
        _, models, tokenizer, prompts, texts = two
        product = Product(models, [0.5, 0.5])
        exact = np.exp(log_probabilities(product, tokenizer, [prompts[1]] * len(texts), texts))
        drawn = sample(product, tokenizer, [prompts[1]] * 20000, n_tokens=2, seed=0, batch=20000)
        at = {tuple(text): i for i, text in enumerate(texts)}
        count = np.bincount([at[tuple(text)] for text in drawn], minlength=len(texts)) / len(drawn)
        assert np.abs(count - exact).sum() / 2 < 0.03

    def test_one_member_alone_is_itself(self, two):
        _, models, tokenizer, prompts, texts = two
        rows = [prompts[0]] * len(texts)
        alone = log_probabilities(Product(models, [0.0, 1.0]), tokenizer, rows, texts)
        np.testing.assert_allclose(alone, log_probabilities(models[1], tokenizer, rows, texts), atol=1e-5)


class TestRegretWeights:
    def test_the_product_of_exact_policies_is_the_best_for_the_largest_regret(self):
        # Whole texts, exact group policies: then MPO's product is our Regret's optimum.
        rng = np.random.default_rng(0)
        rewards, beta = rng.normal(size=(3, 4, 7)), 0.4
        log_reference = np.log(rng.dirichlet(np.ones(7), size=4))
        solution = solve(Regret(), rewards, log_reference, beta)
        own = [gibbs_policy(reward, log_reference, beta) for reward in rewards]
        product = np.prod([policy**w for policy, w in zip(own, solution.weights, strict=True)], axis=0)
        product /= product.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(product, solution.policy, atol=1e-9)

        values = np.array(
            [beta * np.log((np.exp(log_reference) * np.exp(r / beta)).sum(axis=1)).mean() for r in rewards]
        )

        def expected(weights, step):
            policy = gibbs_policy(np.einsum("u,uxy->xy", weights, rewards), log_reference, beta)
            return (policy * rewards).sum(axis=2).mean(axis=1)

        found = regret_weights(expected, values, rate=0.3, n_steps=2000)
        np.testing.assert_allclose(found, solution.weights, atol=1e-3)
        # In the twenty steps of the runs it is near.
        assert np.abs(regret_weights(expected, values) - solution.weights).max() < 0.1


def test_the_best_soup_is_the_best_of_its_grid(two):
    _, _, tokenizer, _, _ = two
    model, *members = (make_gpt2(tokenizer, positions=4, layers=1, width=8, heads=1, seed=s) for s in range(4))
    tried = {}

    def value(soup):
        with torch.no_grad():
            found = np.array([float((soup.lm_head.weight * member.lm_head.weight).sum()) for member in members])
        tried[len(tried)] = found.min()
        return found

    mix, worst = best_soup(model, members, value)
    assert len(tried) == 21 == sum(sum(parts) == 5 for parts in itertools.product(range(6), repeat=3))
    assert worst == max(tried.values()) and abs(sum(mix) - 1) < 1e-12
    np.testing.assert_allclose(value(model).min(), worst)


@pytest.fixture(scope="module")
def unlike():
    tokenizer = make_tokenizer(["the film"], 2)
    return [make_gpt2(tokenizer, positions=4, layers=1, width=w, heads=1, seed=0) for w in (8, 12)]


class TestBadMembers:
    def test_policies_of_different_references_are_not_mixed(self, unlike):
        for mix in (lambda: Product(unlike, [0.5, 0.5]), lambda: stir(unlike[0], unlike, [0.5, 0.5])):
            with pytest.raises(ValueError, match=r"^members: expected policies of one reference, got \(.*, 8\) and \("):
                mix()

    @pytest.mark.parametrize("weights", [[0.5], [0.7, 0.7], [-0.5, 1.5], [np.nan, 1.0]])
    def test_weights_are_a_distribution(self, unlike, weights):
        with pytest.raises(ValueError, match="^weights: "):
            Product([unlike[0]] * 2, weights)
