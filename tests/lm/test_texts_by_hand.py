"""Texts that are drawn, combined, chosen and enumerated, by hand: what models are asked for, and what is made of it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import GPT2Config

from maxmin_core.alignment import Egalitarian
from maxmin_core.lm import combined, policy, prediction, reference
from maxmin_core.lm.combined import Product, best_soup, regret_weights
from maxmin_core.lm.enumerable import WordRewards, every_text, exact_log_policy, make_reference, part_closed
from maxmin_core.lm.policy import load_policy, log_probabilities, make_prompts, prompt_tokens, sample
from maxmin_core.lm.prediction import Draws, begin_at, choose, draw
from maxmin_core.lm.reference import make_gpt2, make_tokenizer
from maxmin_core.lm.texts import Texts


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    prompts = make_reference(folder, n_words=2, n_prompts=2, n_tokens=2, seed=3)
    return folder, prompts, *load_policy(folder)


class TestDraw:
    def test_a_model_s_own_chances_are_asked_for(self, small, monkeypatch):
        """Instruction models bring settings of their own, such as another temperature: all are set."""
        _, _, model, tokenizer = small
        asked = []

        def generate(**given):
            ids = given.pop("input_ids")
            asked.append((ids.tolist(), given.pop("attention_mask").tolist(), given))
            # Two tokens each: a word and the end, an end and a word that comes too late, two words.
            return torch.cat([ids, torch.tensor([[4, 3], [3, 4], [4, 5]])[: len(ids)]], dim=1)

        monkeypatch.setattr(model, "generate", generate)
        pad, begin = tokenizer.pad_token_id, tokenizer.bos_token_id
        first, second = (tokenizer.convert_tokens_to_ids(word) for word in ("p0", "p1"))
        found = sample(model, tokenizer, ["p0 p1", "p1", "p0", "p1"], n_tokens=1, seed=0, batch=3)
        assert found == [[4, 3], [3], [4, 5], [4, 3]]
        how = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
        how |= {"max_new_tokens": 1, "pad_token_id": pad}
        rows = [[begin, first, second], [pad, begin, second], [pad, begin, first]]
        assert asked == [(rows, [[1, 1, 1], [0, 1, 1], [0, 1, 1]], how), ([[begin, second]], [[1, 1]], how)]

    def test_a_seed_is_a_draw(self, small):
        _, prompts, model, tokenizer = small
        one, same, other = (sample(model, tokenizer, prompts * 20, n_tokens=2, seed=s) for s in (1, 1, 2))
        assert one == same != other

    def test_room_is_counted_to_the_token(self, small):
        # Four positions: a beginning, a word, two to come.
        _, prompts, model, tokenizer = small
        assert prompt_tokens(model, tokenizer, prompts, 2) == tokenizer(prompts)["input_ids"]
        with pytest.raises(ValueError, match="^prompts: expected at most 1 tokens, to leave room for 3, got 2$"):
            prompt_tokens(model, tokenizer, prompts, 3)
        with pytest.raises(ValueError, match="^prompts: expected a token in each, got a prompt without any$"):
            prompt_tokens(model, lambda texts: {"input_ids": [[1], []]}, ["a", ""], 1)

    def test_batches_change_no_probability(self, small, monkeypatch):
        folder, prompts, model, tokenizer = small
        texts = every_text(tokenizer, 2)
        exact = exact_log_policy(folder, prompts, texts)
        found = log_probabilities(model, tokenizer, [prompts[1]] * len(texts), texts, batch=7)
        np.testing.assert_allclose(found, exact[1], atol=1e-5)
        asked = []
        real = policy.read_at_once
        monkeypatch.setattr(
            policy, "read_at_once", lambda *given, **how: asked.append((given[1:], how)) or real(*given, **how)
        )
        log_probabilities(model, tokenizer, prompts, [[4, 3], [3]])
        assert asked == [((4, 4, 256), {"logits": True})]

    def test_prompts_are_shuffled_by_their_seed(self):
        texts = [f"{word} is good" for word in "abcdefgh"] + ["unseen word here", "two words", "a b"]
        tokenizer = make_tokenizer(texts[:8], 20)
        found = make_prompts(texts, tokenizer, n_words=2, n_prompts=5, seed=4)
        # Known words alone; a beginning that is the whole text is none.
        known = [f"{word} is" for word in "abcdefgh"]
        assert found == [known[i] for i in np.random.default_rng(4).permutation(8)[:5]]
        with pytest.raises(ValueError, match="^n_prompts: expected at most 8, the distinct beginnings .*, got 9$"):
            make_prompts(texts, tokenizer, n_words=2, n_prompts=9, seed=4)

        # Where all words are known, those of the usual length stay.
        def letters(texts):
            return {"input_ids": [list(text) for text in texts]}

        letters.unk_token = None
        made = make_prompts(["aa b c", "bb b c", "c b c"], letters, n_words=2, n_prompts=2, seed=0)
        assert sorted(made) == ["aa b", "bb b"]

    def test_a_missing_base_is_named(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "gone"}')
        with pytest.raises(
            ValueError, match=f"^folder: expected the base of the adapter in {tmp_path} at gone, got none"
        ):
            load_policy(tmp_path)

    def test_what_is_loaded(self, small):
        folder, _, model, tokenizer = small
        assert not model.training and model.dtype == torch.float32 and tokenizer.padding_side == "left"
        assert load_policy(folder, bf16=True)[0].dtype == torch.bfloat16

    def test_made_models_have_no_dropout_and_know_their_tokens(self):
        tokenizer = make_tokenizer(["a b c", "a b", "a"], 2)
        assert tokenizer.get_vocab() == {"<pad>": 0, "<unknown>": 1, "<begin>": 2, "<end>": 3, "a": 4, "b": 5}
        assert tokenizer.padding_side == "left" and tokenizer("a c")["input_ids"] == [2, 4, 1]
        assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<begin>", "<end>", "<pad>")
        assert tokenizer.decode([4, 5], clean_up_tokenization_spaces=False) == tokenizer.decode([4, 5])
        config: GPT2Config = make_gpt2(tokenizer, positions=9, layers=3, width=8, heads=4, seed=0).config
        shape = (config.vocab_size, config.n_positions, config.n_layer, config.n_embd, config.n_head)
        assert shape == (6, 9, 3, 8, 4) and config.activation_function == "gelu_pytorch_tanh"
        assert (config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) == (0, 0, 0)
        assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (2, 3, 0)
        weights = [
            make_gpt2(tokenizer, positions=9, layers=1, width=8, heads=4, seed=s).lm_head.weight for s in (0, 0, 1)
        ]
        assert torch.equal(*weights[:2]) and not torch.equal(*weights[1:])
        assert reference.PAD == "<pad>"


class Token:
    """A policy of three tokens, the last of which ends a text, whose next token is always the same or even."""

    def __init__(self, logits):
        self.logits, self.config, self.device, self.dtype = (
            torch.tensor(logits),
            SimpleNamespace(eos_token_id=2),
            "cpu",
            0,
        )
        self.asked = []

    def parameters(self):
        return [torch.zeros(3)]

    def __call__(self, ids, **more):
        self.asked.append((ids.tolist(), {name: value.tolist() for name, value in more.items()}))
        return SimpleNamespace(logits=self.logits.expand(len(ids), ids.shape[1], 3).clone())


class TestProduct:
    def test_an_ended_text_is_filled_up_and_padding_is_counted(self):
        # Always token 1, then never the end: rows go on to their length.
        sure = Token([-1e9, 0.0, -1e9])
        product = Product([sure, sure], [0.5, 0.5])
        mask = torch.tensor([[0, 0, 1], [1, 1, 1]])
        ids = product.generate(
            torch.tensor([[9, 9, 4], [4, 5, 6]]), max_new_tokens=2, pad_token_id=9, attention_mask=mask
        )
        assert ids.tolist() == [[9, 9, 4, 1, 1], [4, 5, 6, 1, 1]]
        asked = sure.asked[0][1], sure.asked[-1][1]
        assert asked[0] == {"attention_mask": mask.tolist(), "position_ids": [[0, 0, 0], [0, 1, 2]]}
        assert asked[1]["attention_mask"] == [[0, 0, 1, 1], [1, 1, 1, 1]]
        assert asked[1]["position_ids"] == [[0, 0, 0, 1], [0, 1, 2, 3]]
        sure.asked.clear()
        product.generate(torch.tensor([[4]]), max_new_tokens=1, pad_token_id=9, attention_mask=torch.tensor([[1]]))
        product.generate(torch.tensor([[4]]), max_new_tokens=1, pad_token_id=9)
        assert [more for _, more in sure.asked] == [{}] * 4

    def test_who_has_ended_stays_ended(self):
        torch.manual_seed(0)
        even = Token([0.0, 0.0, 0.0])
        ids = Product([even], [1.0]).generate(torch.tensor([[4]] * 60), max_new_tokens=6, pad_token_id=9)
        assert ids.shape == (60, 7)
        for row in ids[:, 1:].tolist():
            end = row.index(2) if 2 in row else 6
            assert set(row[:end]) <= {0, 1} and set(row[end + 1 :]) <= {9}
        # All have ended: nobody is asked again.
        ending = Token([-1e9, -1e9, 0.0])
        assert Product([ending], [1.0]).generate(torch.tensor([[4]]), max_new_tokens=6, pad_token_id=9).tolist() == [
            [4, 2]
        ]

    def test_a_member_without_weight_is_silent(self):
        # Its chances of zero would make everything impossible.
        sure, never = Token([0.0, 0.0, 0.0]), Token([float("-inf")] * 2 + [0.0])
        assert torch.isfinite(Product([sure, never], [1.0, 0.0])(torch.tensor([[4]])).logits).all()

    def test_regret_weights_by_hand(self):
        # One step from even weights, regrets one and nought; the mean of the second half of two steps is the second.
        steps = []

        def expected(weights, step):
            steps.append(step)
            return np.array([0.0, 1.0])

        found = regret_weights(expected, np.array([1.0, 1.0]), rate=0.5, n_steps=2)
        assert found == pytest.approx(np.exp([0.5, 0.0]) / np.exp([0.5, 0.0]).sum()) and steps == [0, 1]
        four = regret_weights(expected, np.array([1.0, 1.0]), rate=0.5, n_steps=4)
        by_hand = np.mean([np.exp([k, 0.0]) / np.exp([k, 0.0]).sum() for k in (1.0, 1.5)], axis=0)
        assert four == pytest.approx(by_hand)
        # Twenty steps of three tenths, where nobody says otherwise.
        assert regret_weights(lambda w, step: steps.append(step) or w, np.ones(3)).tolist() == pytest.approx(
            [1 / 3] * 3
        )
        assert steps[-1] == 19
        one = regret_weights(expected, np.ones(2), n_steps=2)
        assert one[0] / one[1] == pytest.approx(np.exp(0.3))

    def test_a_soup_of_three_has_fifths(self, monkeypatch):
        stirred = []
        monkeypatch.setattr(combined, "stir", lambda model, members, mix: stirred.append(mix))
        best, worst = best_soup(None, [1, 2, 3], lambda m: np.array([stirred[-1][0], 0.4, 0.3 + stirred[-1][1]]))
        every = [mix for mix in itertools.product([0, 0.2, 0.4, 0.6, 0.8, 1], repeat=3) if sum(mix) == pytest.approx(1)]
        assert np.allclose(stirred[:-1], every) and len(every) == 21 and stirred[-1] == best
        # The first of the best: what is two fifths of the first and at least a tenth of the second.
        assert best == (0.4, 0.2, 0.4) and worst == 0.4
        stirred.clear()
        best_soup(None, [1, 2], lambda m: np.array([1.0, 1.0]))
        assert stirred[:-1] == [(k / 10, (10 - k) / 10) for k in range(11)] and stirred[-1] == (0.0, 1.0)


class TestPrediction:
    def test_texts_stand_prompt_by_prompt(self, monkeypatch):
        told = []

        def write(model, tokenizer, prompts, **how):
            told.append((list(prompts), how))
            return Texts(prompts, [[k] for k in range(4)], ["a", "b c", "d e f", "g"])

        monkeypatch.setattr(prediction, "write_texts", write)
        given = ("m", "t", ["p", "q"], lambda p, c: np.array([[float(len(text)) for text in c]] * 2))
        found = draw(*given, n_samples=2, n_tokens=3, seed=4)
        assert told == [(["p", "p", "q", "q"], {"n_tokens": 3, "seed": 4})]
        assert found.rewards.tolist() == [[[1, 3], [5, 1]]] * 2

    def test_two_texts_by_hand(self):
        # One group: the best policy is the even one, tilted by the reward over the strength.
        draws = Draws(Texts(["p"] * 3, [[0]] * 3, list("abc")), np.array([[[0.0, 0.5, 1.0]]]))
        tilted = np.exp([0.0, 2.0, 4.0])
        np.testing.assert_allclose(draws.solve(Egalitarian(), 0.25).policy, [tilted / tilted.sum()], atol=1e-6)

    def test_a_choice_follows_its_number(self):
        texts = Texts([f"p{k // 3}" for k in range(9)], [[k] for k in range(9)], list("abcdefghi"))
        chances = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.5, 0.5 - 1e-12, 0.0]])
        for seed in range(40):
            drawn = np.random.default_rng(seed).random(3)
            found = choose(Draws(texts, np.zeros((1, 3, 3))), chances, seed=seed)
            first = [0, 1, 2][int(drawn[0] >= 0.2) + int(drawn[0] >= 0.5)]
            last = int(drawn[2] >= 0.5)
            assert found.ids == [[first], [4], [6 + last]] and found.prompts == ["p0", "p1", "p2"]
            assert found.completions == ["abc"[first], "e", "gh"[last]]
        assert begin_at(np.array([1.0, 0.0, 0.0, 0.0])).tolist() == pytest.approx([0.925, 0.025, 0.025, 0.025])


class TestEvery:
    def test_what_all_texts_are(self, small):
        _, prompts, model, tokenizer = small
        # Eight tokens, one of which ends: 1 and 7 that end, 49 that are cut off.
        texts = every_text(tokenizer, 2)
        assert (
            prompts == ["p0", "p1"] and len(tokenizer) == 8 and len(texts) == 1 + 7 + 49 == len(set(map(tuple, texts)))
        )
        assert texts[0] == [3] and texts[1] == [0, 3] and all(3 not in text for text in texts[8:])
        config = model.config
        assert (config.n_positions, config.n_layer, config.n_embd, config.n_head) == (4, 2, 32, 2)
        assert config.initializer_range == 0.2

    def test_what_is_missing_is_said_with_the_chance_of_the_worst_prompt(self, small):
        folder, prompts, _, tokenizer = small
        texts = every_text(tokenizer, 2)
        exact = np.exp(exact_log_policy(folder, prompts, texts))
        # What is left of the prompt that loses most by the first text.
        left = 1 - exact[:, 0].max()
        with pytest.raises(ValueError, match=f"^texts: expected all .*, got a probability of {left:.4f}$"):
            exact_log_policy(folder, prompts, texts[1:])

    def test_a_part_of_the_way(self):
        rewards, even = np.array([[[1.0, 0.0]], [[0.0, 3.0]]]), np.log([[0.5, 0.5]])
        # Half and 1.5 at the start; with a quarter for the second text 0.75 for both, less the divergence.
        kl = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
        found = part_closed([[0.75, 0.25]], rewards, even, 0.1, 0.8)
        assert found == pytest.approx((0.75 - 0.1 * kl - 0.5) / (0.8 - 0.5))

    def test_words_are_worth_their_letters(self):
        rewards = WordRewards([[1.0, 3.0]], [1.0], 1.0, 2.0)
        assert rewards(None, ["a b b c", "", "ab"]).tolist() == [[3.0, -0.5, -0.5]]
        made = rewards.calibrated(["a", "b", ""], np.array([0.5, 0.25, 0.25]))
        values = made(None, ["a", "b", ""])[0]
        # Mean 1.25, squares 0.5 + 2.25: whatever zero and unit were before.
        assert values == pytest.approx((np.array([1.0, 3.0, 0.0]) - 1.25) / np.sqrt(0.5 + 9 / 4 - 1.25**2))
        assert WordRewards([[1.0]], [1.0]).fingerprint() == "[[[1.0]], [1.0], 0.0, 1.0]"
