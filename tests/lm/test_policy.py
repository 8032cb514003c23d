import numpy as np
import pytest
import torch

from maxmin_core.lm import _room
from maxmin_core.lm._room import drawn_at_once, keys_of, read_at_once
from maxmin_core.lm.plan import _sizes
from maxmin_core.lm.policy import load_policy, log_probabilities, make_prompts, sample
from maxmin_core.lm.profiles import PROFILES, find_profile
from maxmin_core.lm.reference import train_reference


class TestSample:
    def test_end_of_text_is_reachable_and_nothing_follows_it(self, policy_folder, texts):
        model, tokenizer = load_policy(policy_folder)
        prompts = make_prompts(texts, tokenizer, n_words=2, n_prompts=5, seed=0)
        drawn = sample(model, tokenizer, prompts * 100, n_tokens=6, seed=0)
        ended = [row for row in drawn if tokenizer.eos_token_id in row]
        assert ended and all(row.index(tokenizer.eos_token_id) == len(row) - 1 for row in ended)

    def test_frequencies_are_the_model_s(self, policy_folder, texts):
        # One token: the empirical distribution against the softmax of the logits.
        model, tokenizer = load_policy(policy_folder)
        prompt = make_prompts(texts, tokenizer, n_words=2, n_prompts=1, seed=0)
        drawn = sample(model, tokenizer, prompt * 20000, n_tokens=1, seed=1, batch=20000)
        count = np.bincount([row[0] for row in drawn], minlength=len(tokenizer)) / 20000
        ids = torch.tensor(tokenizer(prompt)["input_ids"])
        probability = model(ids).logits[0, -1].softmax(-1).detach().numpy()
        assert np.abs(count - probability).sum() / 2 < 0.03

    def test_a_prompt_longer_than_the_context_is_refused(self, policy_folder):
        model, tokenizer = load_policy(policy_folder)
        with pytest.raises(ValueError, match="^prompts: expected at most 6 tokens"):
            sample(model, tokenizer, ["the film is good and slow ."], n_tokens=6, seed=0)

    def test_a_small_model_draws_256_at_a_time_as_ever(self, policy_folder, texts):
        # The loop as it stood when runs were recorded; another batch would draw other texts.
        model, tokenizer = load_policy(policy_folder)
        (prompt,) = make_prompts(texts, tokenizer, n_words=2, n_prompts=1, seed=0)
        ids, drawn = torch.tensor(tokenizer([prompt] * 600)["input_ids"]), []
        how = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 6}
        torch.manual_seed(3)
        for start in range(0, 600, 256):
            part = ids[start : start + 256]
            made = model.generate(part, attention_mask=torch.ones_like(part), pad_token_id=0, **how)
            drawn += made[:, part.shape[1] :].tolist()
        found = sample(model, tokenizer, [prompt] * 600, n_tokens=6, seed=3)
        assert [row[: len(other)] for row, other in zip(drawn, found, strict=True)] == found

    def test_a_large_model_draws_as_many_as_there_is_room_for(self, policy_folder, texts, monkeypatch):
        model, tokenizer = load_policy(policy_folder)
        (prompt,) = make_prompts(texts, tokenizer, n_words=2, n_prompts=1, seed=0)
        by_seven = sample(model, tokenizer, [prompt] * 20, n_tokens=6, seed=0, batch=7)
        seen, length = [], len(tokenizer(prompt)["input_ids"]) + 6
        monkeypatch.setattr(_room, "MOST_BYTES", int(7.5 * length * keys_of(model.config, 4)))
        generate = model.generate
        monkeypatch.setattr(model, "generate", lambda **how: seen.append(len(how["input_ids"])) or generate(**how))
        assert sample(model, tokenizer, [prompt] * 20, n_tokens=6, seed=0) == by_seven and seen == [7, 7, 6]
        monkeypatch.setattr(_room, "MOST_BYTES", 1)
        assert len(sample(model, tokenizer, [prompt] * 3, n_tokens=6, seed=0)) == 3 and seen[3:] == [1, 1, 1]

    @pytest.mark.parametrize("name", sorted(set(PROFILES) - {"gpu-large"}))
    def test_profiles_that_were_recorded_keep_their_batches(self, name):
        profile = find_profile(name)
        config = _sizes(profile).config
        # Longer than any prompt of theirs, with its answer: words of reviews, or a sentence in a chat.
        length = 60 + profile.longest + profile.new_tokens
        assert drawn_at_once(config, 4, length, 256) == read_at_once(config, 4, length, 256) == 256
        by_logits = max(1, min(256, 2**28 // (length * config.vocab_size)))
        assert read_at_once(config, 4, length, 256, logits=True) == by_logits

    def test_a_large_llama_by_hand(self):
        config = _sizes(find_profile("gpu-large")).config
        # Two kinds, 32 blocks of width 4096, 4 bytes: a MiB a token. Of 8 GiB 384 tokens take 384 MiB.
        assert keys_of(config, 4) == 2**20 and drawn_at_once(config, 4, 384, 256) == 21
        assert drawn_at_once(config, 2, 384, 256) == 42 and read_at_once(config, 2, 384, 256) == 80


class TestLogProbabilities:
    def test_by_hand_and_padding_changes_nothing(self, policy_folder):
        model, tokenizer = load_policy(policy_folder)
        prompts = ["the film", "this movie", "a"]
        completions = [tokenizer.encode(text, add_special_tokens=False) for text in ("is good .", "was", "story !")]
        together = log_probabilities(model, tokenizer, prompts, completions)
        for prompt, completion, value in zip(prompts, completions, together, strict=True):
            alone = log_probabilities(model, tokenizer, [prompt], [completion])[0]
            begin = tokenizer(prompt)["input_ids"]
            logits = model(torch.tensor([begin + completion])).logits[0].log_softmax(-1)
            by_hand = sum(logits[len(begin) + k - 1, token].item() for k, token in enumerate(completion))
            np.testing.assert_allclose([value, alone], by_hand, atol=1e-4)

    def test_a_large_vocabulary_takes_fewer_texts_at_a_time(self, policy_folder, monkeypatch):
        model, tokenizer = load_policy(policy_folder)
        prompts, completions = ["the film"] * 9, [[token, 5] for token in range(9)]
        together, sizes = log_probabilities(model, tokenizer, prompts, completions), []
        monkeypatch.setattr(_room, "MOST_LOGITS", 4 * 5 * model.config.vocab_size)
        model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
        np.testing.assert_allclose(log_probabilities(model, tokenizer, prompts, completions), together, atol=1e-5)
        assert sizes == [4, 4, 1]

    def test_probabilities_of_all_first_tokens_sum_to_one(self, policy_folder):
        model, tokenizer = load_policy(policy_folder)
        every = [[token] for token in range(len(tokenizer))]
        values = log_probabilities(model, tokenizer, ["the film"] * len(every), every)
        np.testing.assert_allclose(np.exp(values).sum(), 1.0, atol=1e-5)


class TestPrompts:
    def test_prompts_are_distinct_beginnings_of_one_length(self, policy_folder, texts):
        _, tokenizer = load_policy(policy_folder)
        prompts = make_prompts(texts, tokenizer, n_words=2, n_prompts=5, seed=3)
        assert len(set(prompts)) == 5 and all(any(text.startswith(p) for text in texts) for p in prompts)
        assert len({len(tokenizer(p)["input_ids"]) for p in prompts}) == 1
        assert prompts == make_prompts(texts, tokenizer, n_words=2, n_prompts=5, seed=3)

    def test_too_few_are_named(self, policy_folder, texts):
        _, tokenizer = load_policy(policy_folder)
        with pytest.raises(ValueError, match="^n_prompts: expected at most 5"):
            make_prompts(texts, tokenizer, n_words=2, n_prompts=500, seed=0)


class TestReference:
    def test_training_learns_and_is_saved_without_pickle(self, tiny, texts, tmp_path):
        from dataclasses import replace

        first = train_reference(texts, replace(tiny, reference_steps=1), tmp_path / "one")
        later = train_reference(texts, replace(tiny, reference_steps=60), tmp_path / "more")
        assert later < 0.7 * first
        assert not list((tmp_path / "more").rglob("*.bin")) and (tmp_path / "more" / "model.safetensors").exists()
        load_policy(tmp_path / "more")

    def test_an_interrupted_training_goes_on_and_ends_the_same(self, tiny, texts, tmp_path, monkeypatch):
        from dataclasses import replace

        from safetensors.torch import load_file
        from trl import SFTTrainer

        profile, step = replace(tiny, reference_steps=20), SFTTrainer.training_step
        train_reference(texts, profile, tmp_path / "whole")

        def until_fourteen(trainer, *args, **options):
            if trainer.state.global_step == 14:
                raise KeyboardInterrupt
            return step(trainer, *args, **options)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(SFTTrainer, "training_step", until_fourteen)
            train_reference(texts, profile, tmp_path / "cut")
        assert (tmp_path / "cut" / "checkpoint-12").exists()
        # A kill in the middle of a checkpoint's last file.
        torn = tmp_path / "cut" / "checkpoint-13"
        torn.mkdir()
        (torn / "trainer_state.json").write_text('{"global_step": 1')
        train_reference(texts, profile, tmp_path / "cut")
        one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)
        assert not list((tmp_path / "cut").glob("checkpoint-*"))

    def test_a_trained_policy_ends_its_texts(self, tiny, texts, tmp_path):
        train_reference(texts, tiny, tmp_path)
        model, tokenizer = load_policy(tmp_path)
        drawn = sample(model, tokenizer, ["the film is"] * 200, n_tokens=6, seed=0)
        assert sum(tokenizer.eos_token_id in row for row in drawn) > 40

    def test_a_pretrained_model_is_fine_tuned(self, tiny, texts, policy_folder, tmp_path):
        # What the gpu profile does, from a folder in place of the hub: its tokenizer has one token for end and padding.
        from dataclasses import replace

        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(policy_folder)
        tokenizer.pad_token = tokenizer.eos_token
        there = tmp_path / "pretrained"
        load_policy(policy_folder)[0].save_pretrained(there)
        tokenizer.save_pretrained(there)
        profile = replace(tiny, model=str(there), revision="main", reference_steps=60)
        short = [text for text in texts if len(text.split()) <= 10]
        assert train_reference(short, profile, tmp_path / "tuned") < 60
        model, tokenizer = load_policy(tmp_path / "tuned")
        drawn = sample(model, tokenizer, ["the film is"] * 200, n_tokens=6, seed=0)
        assert sum(tokenizer.eos_token_id in row for row in drawn) > 40

    def test_a_model_that_is_not_pinned_is_refused(self, tiny, texts, tmp_path):
        from dataclasses import replace

        with pytest.raises(ValueError, match="^profile: expected a pinned revision of some/model"):
            train_reference(texts, replace(tiny, model="some/model"), tmp_path)

    def test_nothing_to_train_on_is_named(self, tiny, texts, tmp_path):
        with pytest.raises(ValueError, match="^texts: expected at least 40 sentences"):
            train_reference(texts[:5], tiny, tmp_path)

    def test_a_missing_policy_is_named(self, tmp_path):
        with pytest.raises(ValueError, match="^folder: expected a saved policy"):
            load_policy(tmp_path)
