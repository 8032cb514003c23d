import numpy as np
import pytest

from maxmin_core.lm.enumerable import WordRewards, every_text, exact_log_policy, make_reference
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
