import itertools

import numpy as np
import pytest


def pytest_collection_modifyitems(items):
    # The trainers of other libraries warn of their own deprecations.
    for item in items:
        if "/lm/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def tiny():
    """A profile for tests: seconds for everything."""
    from maxmin_core.lm.profiles import find_profile

    return find_profile(
        "smoke", vocabulary=60, width=16, steps=4, prompts_per_step=2, samples_per_prompt=4, new_tokens=6, longest=10
    )


@pytest.fixture(scope="session")
def texts():
    """A small language: 5 x 4 x 5 x 3 sentences."""
    parts = [
        ["the film", "this movie", "a story", "the plot", "one scene"],
        ["is", "was", "seems", "looks"],
        ["good", "bad", "great", "awful , no", "not great"],
        [".", "!", "and long and slow ."],
    ]
    return [" ".join(words) for words in itertools.product(*parts)]


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory, texts):
    """A random GPT-2 that was never trained, with its tokenizer."""
    from maxmin_core.lm.reference import make_gpt2, make_tokenizer

    folder = tmp_path_factory.mktemp("policy")
    tokenizer = make_tokenizer(texts, 60)
    make_gpt2(tokenizer, positions=12, layers=1, width=16, heads=2, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sentiment(texts):
    from maxmin_core.lm.sentiment import Sentiment

    labels = [int(("good" in text or "great" in text) and "not" not in text) for text in texts]
    return Sentiment.fit(texts, labels)


@pytest.fixture(scope="session")
def rewards(sentiment, texts):
    """Rewards of two groups: one likes positive texts, one short ones."""
    from maxmin_core.lm.features import FEATURES, TextFeatures
    from maxmin_core.lm.reward import Rewards

    prompts = [" ".join(text.split()[:2]) for text in texts]
    completions = [" ".join(text.split()[2:]) for text in texts]
    parameters = np.zeros((2, len(FEATURES)))
    parameters[0, 0], parameters[1, 1] = 1.0, -1.0
    features = TextFeatures.fit(sentiment, prompts, completions)
    return Rewards(features, parameters, [0.8, 0.2]).calibrated(prompts, completions)
