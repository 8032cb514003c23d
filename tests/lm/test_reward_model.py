import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from maxmin_core.lm import model_mixture
from maxmin_core.lm.model_mixture import learn_models
from maxmin_core.lm.policy import load_policy
from maxmin_core.lm.reward_model import ModelRewards, train_reward_model


@pytest.fixture(scope="module")
def pairs(texts):
    """Texts that are pairwise compared: who likes 'good' and who likes it short."""
    cut = [text.split() for text in texts]
    prompts = [" ".join(words[:2]) for words in cut]
    completions = [" ".join(words[2:]) for words in cut]
    likes_good = np.array([("good" in text) * 2.0 - ("bad" in text) * 2.0 for text in texts])
    likes_short = -np.array([len(words) for words in cut], dtype=float)
    return (prompts, completions), np.array([likes_good, likes_short])


@pytest.fixture(scope="module")
def trained(tiny, policy_folder, pairs, tmp_path_factory):
    """Models by EM from a first guess in which two of ten annotators stand in the wrong group."""
    texts, values = pairs
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 5)
    annotator = np.repeat(np.arange(10), 60)
    a, b = rng.integers(values.shape[1], size=(2, len(annotator)))
    better = values[group[annotator], a] > values[group[annotator], b]
    tied = values[group[annotator], a] == values[group[annotator], b]
    choices = [np.where(better, a, b)[~tied], np.where(better, b, a)[~tied], annotator[~tied]]
    guess = group.copy()
    guess[[0, 9]] = [1, 0]
    profile = dataclasses.replace(tiny, reward="model", reward_steps=60, reward_rate=3e-3)
    folder = tmp_path_factory.mktemp("models")
    found, assigned = learn_models(policy_folder, texts, choices, guess, 2, profile, folder, seed=0)
    return found, assigned, group, folder


class TestLearnModels:
    def test_em_puts_back_who_was_in_the_wrong_group(self, trained):
        _, assigned, group, _ = trained
        assert (assigned == group).all()

    def test_models_rank_as_their_groups_do(self, trained, pairs):
        texts, values = pairs
        score = trained[0](*texts)
        for u in range(2):
            assert np.corrcoef(score[u], values[u])[0, 1] > 0.7
            assert np.corrcoef(score[u], values[1 - u])[0, 1] < 0.5

    def test_an_empty_group_is_named(self, tiny, policy_folder, pairs, tmp_path):
        choices = (np.array([0, 1]), np.array([2, 3]), np.array([0, 1]))
        with pytest.raises(
            ValueError, match=r"assigned: expected annotators in each of 2 groups, got \[2, 0\] in round-0"
        ):
            learn_models(policy_folder, pairs[0], choices, [0, 0], 2, tiny, tmp_path, seed=0)

    def test_annotators_are_judged_by_choices_that_models_did_not_see(
        self, tiny, policy_folder, pairs, tmp_path, monkeypatch
    ):
        # Two annotators, interleaved, six and nine choices: four and six train a round's models, all train the last.
        annotator = np.array([0, 1, 1, 0, 1] * 3)
        choices = (np.arange(15), np.arange(15) + 20, annotator)
        trained = {}

        def recorded(reference, chosen, rejected, profile, folder, **options):
            trained[folder.parent.name, folder.name] = len(chosen)
            return train(reference, chosen, rejected, profile, folder, **options)

        train = model_mixture.train_reward_model
        monkeypatch.setattr(model_mixture, "train_reward_model", recorded)
        profile = dataclasses.replace(tiny, reward_steps=1)
        given = (policy_folder, pairs[0], choices, [0, 0], 1, profile)
        learn_models(*given, tmp_path / "em", seed=0)
        assert trained == {("round-0", "group-0"): 10, ("all", "group-0"): 15}
        trained.clear()
        learn_models(*given, tmp_path / "plain", seed=0, n_rounds=0)
        assert trained == {("all", "group-0"): 15}

    def test_a_group_that_would_lose_everybody_ends_em(self, tiny, policy_folder, pairs, tmp_path):
        # All annotators choose alike, one of them stands alone: the others' model knows that one's choices better.
        texts, values = pairs
        rng = np.random.default_rng(5)
        annotator = np.repeat(np.arange(8), 40)
        a, b = rng.integers(values.shape[1], size=(2, len(annotator)))
        better = values[0, a] > values[0, b]
        kept = values[0, a] != values[0, b]
        choices = [np.where(better, a, b)[kept], np.where(better, b, a)[kept], annotator[kept]]
        guess = np.array([1, 0, 0, 0, 0, 0, 0, 0])
        profile = dataclasses.replace(tiny, reward_steps=60, reward_rate=3e-3)
        with pytest.warns(UserWarning, match="a group would lose all annotators"):
            _, assigned = learn_models(policy_folder, texts, choices, guess, 2, profile, tmp_path, seed=0)
        assert set(assigned) == {0, 1}

    def test_no_pairs_are_named(self, tiny, policy_folder, tmp_path):
        with pytest.raises(ValueError, match="chosen: expected at least one pair"):
            train_reward_model(policy_folder, [], [], tiny, tmp_path, seed=0)


class TestModelRewards:
    def test_reloaded_models_score_the_same(self, trained, pairs, tmp_path):
        """The authors' repository loses the trained head when it loads; a random one scores."""
        rewards = trained[0].calibrated(*pairs[0])
        rewards.save(tmp_path)
        again = ModelRewards.load(tmp_path)
        np.testing.assert_array_equal(again(*pairs[0]), rewards(*pairs[0]))
        assert again.fingerprint() == rewards.fingerprint()
        # The head that is on disk is the trained one, not the one that training started from.
        heads = [load_file(tmp_path / f"group-{u}" / "model.safetensors")["score.weight"] for u in range(2)]
        assert not torch.equal(*heads)

    def test_padding_never_changes_a_score(self, trained, pairs):
        """A short text scores the same alone and beside a long one."""
        prompts, completions = pairs[0]
        together = trained[0](prompts, completions)
        lengths = [len(text.split()) for text in completions]
        assert min(lengths) < max(lengths)
        for i in (int(np.argmin(lengths)), int(np.argmax(lengths))):
            alone = trained[0](prompts[i : i + 1], completions[i : i + 1])[:, 0]
            np.testing.assert_allclose(alone, together[:, i], atol=1e-5)

    def test_end_and_padding_may_be_one_token(self, tiny, policy_folder, tmp_path):
        # As in GPT-2: the score is that of the last token before the end, beside a long text as alone.
        model, tokenizer = load_policy(policy_folder)
        tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.eos_token_id
        model.save_pretrained(tmp_path / "policy")
        tokenizer.save_pretrained(tmp_path / "policy")
        profile = dataclasses.replace(tiny, reward_steps=4)
        pair = (["the film is good . <end>"] * 4, ["the film was bad , no and long <end>"] * 4)
        model, tokenizer = train_reward_model(tmp_path / "policy", *pair, profile, tmp_path / "model", seed=0)
        rewards = ModelRewards([model], tokenizer, [1.0])
        both = rewards(["the film"] * 2, ["is good .", "was bad , no and long"])
        alone = rewards(["the film"], ["is good ."])
        np.testing.assert_allclose(alone[:, 0], both[:, 0], atol=1e-6)
        hidden = model.transformer(tokenizer("the film is good .", return_tensors="pt")["input_ids"]).last_hidden_state
        assert both[0, 0] == pytest.approx((hidden[0, -1] @ model.score.weight[0]).item(), abs=1e-5)

    def test_scores_are_the_model_s_last_token(self, trained, pairs):
        """By hand: hidden state of the end-of-text token times the head."""
        rewards, (prompts, completions) = trained[0], pairs[0]
        ids = rewards.tokenizer(f"{prompts[3]} {completions[3]} <end>", return_tensors="pt")["input_ids"]
        assert ids[0, -1] == rewards.tokenizer.eos_token_id
        for u, model in enumerate(rewards.models):
            hidden = model.transformer(ids).last_hidden_state[0, -1]
            expected = (hidden @ model.score.weight[0]).item()
            assert rewards(prompts[3:4], completions[3:4])[u, 0] == pytest.approx(expected, abs=1e-5)

    def test_groups_in_another_order(self, trained, pairs):
        rewards = trained[0].calibrated(*pairs[0])
        swapped = rewards.of([1, 0])
        np.testing.assert_array_equal(swapped(*pairs[0]), rewards(*pairs[0])[::-1])
        assert rewards.of([1]).shares == [1.0]
        assert swapped.fingerprint() != rewards.fingerprint()

    def test_what_was_trained_is_not_trained_again(self, trained, policy_folder, tiny):
        folder = trained[3] / "round-0" / "group-0"
        before = (folder / "model.safetensors").stat().st_mtime_ns
        train_reward_model(policy_folder, ["a <end>"], ["b <end>"], tiny, folder, seed=0)
        assert (folder / "model.safetensors").stat().st_mtime_ns == before
