import numpy as np
import pytest

from maxmin_core.lm.annotators import Gold, compare, draw_groups
from maxmin_core.lm.features import FEATURES, TextFeatures
from maxmin_core.lm.reward import Rewards, learn_known, learn_mixture, learn_single
from maxmin_core.preferences import bradley_terry

TASTES = {"majority": {"positive": 0.7, "detailed": 0.3}, "minority": {"concise": 1.0}}


@pytest.fixture(scope="module")
def world(sentiment, texts):
    """Texts, the gold scorer on them, features."""
    prompts = [" ".join(text.split()[:2]) for text in texts]
    completions = [" ".join(text.split()[2:]) for text in texts]
    gold = Gold(sentiment, TASTES, prompts, completions)
    features = TextFeatures.fit(sentiment, prompts, completions)
    return gold, gold(prompts, completions), features(prompts, completions)


def test_features_are_in_spreads_of_the_texts_they_were_fitted_to(world):
    features = world[2]
    spread = features.std(axis=0)
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-12)
    # What never varies is zero, not divided by its rounding.
    assert np.isclose(spread, np.where(spread > 0.5, 1.0, 0.0)).all() and (spread > 0.5).sum() >= 3


class TestSentiment:
    def test_it_separates_and_scores_the_same_after_loading(self, sentiment, texts, tmp_path):
        from maxmin_core.lm.sentiment import Sentiment

        assert sentiment(["the film is great !"])[0] > sentiment(["the film is awful , no ."])[0]
        sentiment.save(tmp_path)
        np.testing.assert_array_equal(Sentiment.load(tmp_path)(texts), sentiment(texts))

    def test_one_label_is_an_error(self, texts):
        from maxmin_core.lm.sentiment import Sentiment

        with pytest.raises(ValueError, match="^labels: expected both 0 and 1"):
            Sentiment.fit(texts, [1] * len(texts))


class TestFeatures:
    def test_by_hand(self, sentiment):
        raw = TextFeatures(sentiment)(["it"], ["was not good , no !"])[0]
        named = dict(zip(FEATURES, raw, strict=True))
        assert named["words"] == 6 and named["words above 3"] == 3 and named["words above 7"] == 0
        assert named["commas"] == 1 and named["exclamations"] == 1 and named["negations"] == 2

    def test_repeating_a_mark_does_not_pay(self, sentiment):
        two, many = TextFeatures(sentiment)(["it"] * 2, ["was good ! !", "was good" + " !" * 9])
        named = {name: (a, b) for name, a, b in zip(FEATURES, two, many, strict=True)}
        assert named["exclamations"] == (2, 2)

    def test_the_empty_text_has_features(self, sentiment):
        assert np.isfinite(TextFeatures(sentiment)(["the film"], [""])).all()


class TestRewards:
    def test_reloaded_rewards_score_the_same(self, rewards, texts, tmp_path):
        rewards.save(tmp_path)
        again = Rewards.load(tmp_path)
        prompts, completions = ["the film"] * len(texts), texts
        np.testing.assert_array_equal(again(prompts, completions), rewards(prompts, completions))
        assert again.fingerprint() == rewards.fingerprint()
        assert not list(tmp_path.glob("*.pkl"))

    def test_a_text_s_score_does_not_depend_on_its_neighbours(self, rewards, texts):
        prompts = ["the film"] * len(texts)
        together = rewards(prompts, texts)
        alone = np.hstack([rewards([p], [t]) for p, t in zip(prompts, texts, strict=True)])
        np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-12)

    def test_calibrated_rewards_have_mean_zero_and_spread_one(self, rewards, texts):
        prompts = ["this movie"] * len(texts)
        again = rewards.calibrated(prompts, texts)(prompts, texts)
        np.testing.assert_allclose(again.mean(axis=1), 0.0, atol=1e-12)
        np.testing.assert_allclose(again.std(axis=1), 1.0)

    def test_a_constant_reward_is_refused(self, rewards, texts):
        flat = Rewards(rewards.features, np.zeros((1, len(FEATURES))), np.ones(1))
        with pytest.raises(ValueError, match="^parameters: expected rewards that vary"):
            flat.calibrated(["the film"] * len(texts), texts)


class TestGold:
    def test_zero_and_unit_are_the_reference_s(self, world):
        _, values, _ = world
        np.testing.assert_allclose(values.mean(axis=1), 0.0, atol=1e-12)
        np.testing.assert_allclose(values.std(axis=1), 1.0)

    def test_conciseness_by_hand(self, sentiment, texts):
        gold = Gold(sentiment, {"short": {"concise": 1.0}}, ["the film"] * len(texts), texts)
        four, nine, none = gold(["the"] * 3, ["a b c d", "a b c d e f g h i", ""])[0]
        # 1, .5 and .6 on a scale of its own.
        np.testing.assert_allclose((four - nine) / (four - none), 0.5 / 0.4)

    def test_an_unknown_attribute_is_named(self, sentiment, texts):
        with pytest.raises(ValueError, match=r"^tastes: expected groups with weights on positive"):
            Gold(sentiment, {"a": {"funny": 1.0}}, ["the"] * len(texts), texts)


class TestCompare:
    def test_frequencies_are_bradley_terry(self):
        values = np.array([[[1.0, 0.2]]])
        winner, loser, annotator = compare(values, np.zeros(1, dtype=int), 40000, seed=0)
        assert set(winner) == {0, 1} and (winner != loser).all() and (annotator == 0).all()
        np.testing.assert_allclose((winner == 0).mean(), bradley_terry(2.0 * 0.8), atol=0.01)

    def test_shares_as_nearly_as_whole_people_allow(self):
        assert np.bincount(draw_groups([0.8, 0.2], 50, seed=0)).tolist() == [40, 10]
        assert np.bincount(draw_groups([10, 1], 50, seed=1)).tolist() == [45, 5]
        with pytest.raises(ValueError, match="^n_annotators: expected at least one for each of 2 groups, got 1"):
            draw_groups([0.5, 0.5], 1, seed=0)


class TestLearning:
    def test_em_finds_the_annotators_groups(self, world):
        _, values, psi = world
        group = draw_groups([0.8, 0.2], 50, seed=2)
        fit = learn_mixture(psi, compare(values.reshape(2, -1, 2), group, 50, seed=2), 2)
        right = (fit.responsibilities.argmax(axis=1) == group).mean()
        assert max(right, 1 - right) >= 0.95

    def test_flipping_an_annotator_s_labels_flips_the_assignment(self, world):
        # Opposite groups: the answers of one are those of the other with winner and loser exchanged.
        _, values, psi = world
        group = draw_groups([0.5, 0.5], 40, seed=3)
        opposed = np.stack([values[0], -values[0]]).reshape(2, -1, 2)
        winner, loser, annotator = compare(opposed, group, 40, seed=3)
        before = learn_mixture(psi, (winner, loser, annotator), 2).responsibilities.argmax(axis=1)
        one = annotator == 0
        flipped = np.where(one, loser, winner), np.where(one, winner, loser), annotator
        after = learn_mixture(psi, flipped, 2).responsibilities.argmax(axis=1)
        same = after[1:] == before[1:]
        # The groups may come out in the other order.
        assert same.all() or not same.any()
        assert (after[0] == before[0]) != same.all()

    def test_known_groups_and_the_single_reward(self, world):
        _, values, psi = world
        group = draw_groups([0.5, 0.5], 40, seed=4)
        choices = compare(values.reshape(2, -1, 2), group, 100, seed=4)
        known, shares = learn_known(psi, choices, group)
        single, _ = learn_single(psi, choices)
        fit = [[np.corrcoef(psi @ phi, value)[0, 1] for value in values] for phi in (*known, single[0])]
        assert shares.tolist() == [0.5, 0.5] and fit[0][0] > 0.8 and fit[1][1] > 0.9
        assert fit[2][0] < fit[0][0] and fit[2][1] < fit[1][1]
