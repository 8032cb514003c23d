"""Rows of public tables as single choices: one function a layout, called by `presets`."""

import json
import re
from hashlib import sha256
from pathlib import Path

__all__ = [
    "by_persona",
    "chatbot_arena",
    "collective_alignment",
    "community_alignment",
    "first_turns",
    "llmfao",
    "multipref",
    "personas",
    "prism",
]

_TURNS = ("first", "second", "third", "fourth")
# The authors cut their 3,000 rows a persona into 40 users.
_ROWS_OF_A_USER = 75


def llmfao(frame, items):
    """Return the rows of the public table `llmfao` in the common form."""
    import pandas as pd

    first, second = frame["left"], frame["right"]
    if items == "response":
        first, second = (frame["prompt"].astype(str) + ": " + side.astype(str) for side in (first, second))
    choice = frame["winner"].replace({"left": "first", "right": "second"})
    parts = {
        "annotator": frame["worker"],
        "first": first,
        "second": second,
        "choice": choice,
        "prompt": frame["prompt"],
    }
    # The texts of answers stand in a file of their own; the names say which.
    return pd.DataFrame(parts)


def chatbot_arena(frame, items):
    """Return the rows of the public table `chatbot_arena` in the common form."""
    rows = []
    for row in frame.to_dict("records"):
        talks = [_nested(row[f"conversation_{side}"]) for side in "ab"]
        prompt = _said(talks[0], "user")
        answers = [_said(talk, "assistant") for talk in talks]
        names = [row["model_a"], row["model_b"]] if items == "model" else [_name(prompt, answer) for answer in answers]
        choice = {"model_a": "first", "model_b": "second", "tie (bothbad)": "both_bad"}.get(
            row["winner"], row["winner"]
        )
        rows.append(_row(row["judge"], names, choice, prompt, answers))
    return _frame(rows)


def prism(frame, items):
    """The response that was chosen beside every other one of its interaction."""
    rows, left = [], 0
    for _, turn in frame.groupby("interaction_id", sort=False):
        responses = turn.to_dict("records")
        best = [one for one in responses if _true(one["if_chosen"])]
        others = [one for one in responses if not _true(one["if_chosen"])]
        if len(best) != 1 or not others:
            left += 1
            continue
        for other in others:
            pair = (best[0], other)
            prompt, answers = best[0]["user_prompt"], [one["model_response"] for one in pair]
            names = [one["model_name"] if items == "model" else _name(prompt, one["model_response"]) for one in pair]
            rows.append(_row(best[0]["user_id"], names, "first", prompt, answers, weight=1 / len(others)))
    return _frame(rows, "interactions without one chosen response and another", left)


def community_alignment(frame, items):
    """The response that was preferred beside every other one of its turn."""
    people = [name for name in frame.columns if name.startswith("annotator_") and name != "annotator_id"]
    rows, left = [], 0
    for row in frame.to_dict("records"):
        for turn in _TURNS:
            prompt = row.get(f"{turn}_turn_prompt")
            answers = {side: row.get(f"{turn}_turn_response_{side}") for side in "abcd"}
            answers = {side: answer for side, answer in answers.items() if isinstance(answer, str) and answer}
            preferred = str(row.get(f"{turn}_turn_preferred_response")).strip().lower().removeprefix("response_")
            if preferred not in answers or len(answers) < 2:
                left += bool(answers)
                continue
            for side in sorted(answers.keys() - {preferred}):
                pair = [answers[preferred], answers[side]]
                names = [_name(prompt, answer) for answer in pair]
                more = {name: row[name] for name in people} | {"weight": 1 / (len(answers) - 1)}
                rows.append(_row(row["annotator_id"], names, "first", prompt, pair, **more))
    return _frame(rows, "turns without a preferred response and another", left)


def collective_alignment(frame, items, block="personal"):
    """Every pair of a ranking, by what the person would like (not by what the world should)."""
    from ._choices import expand_ranking
    from ._frames import text_of

    rows, left = [], 0
    for row in frame.to_dict("records"):
        prompt, messages = text_of(_nested(row["prompt"])), _nested(row["prompt"])["messages"]
        texts = {one["response_index"]: text_of(one["messages"]) for one in _nested(row["responses"])}
        for assessment in _nested(row["metadata"])["assessments"]:
            for ranked in (assessment.get("ranking_blocks") or {}).get(block) or ():
                pairs = expand_ranking(ranked["ranking"]) or []
                left += not pairs
                for better, worse, tie in pairs:
                    names = [f"{row['prompt_id']}/{side}" for side in (better, worse)]
                    answers = [texts[better], texts[worse]]
                    choice, weight = "tie" if tie else "first", 1 / len(pairs)
                    more = {"weight": weight, "messages": messages}
                    rows.append(_row(assessment["annotator_id"], names, choice, prompt, answers, **more))
    return _frame(rows, "rankings of fewer than two responses", left)


def multipref(frame, items):
    """Return the rows of the public table `multipref` in the common form."""
    rows = []
    for row in frame.to_dict("records"):
        prompt, answers = row["text"], [row["completion_a"], row["completion_b"]]
        names = [row["model_a"], row["model_b"]] if items == "model" else [_name(prompt, answer) for answer in answers]
        for worker in ("normal", "expert"):
            given = _nested(row.get(f"{worker}_worker_annotations"))
            for annotation in () if given is None or isinstance(given, float) else given:
                choice = annotation["overall_pref"]
                rows.append(_row(annotation["evaluator"], names, choice, prompt, answers, worker=worker))
    return _frame(rows)


def personas(frame, items):
    """The first completion is the one that the persona prefers; the sentence that names the persona is taken off."""
    rows = []
    for persona, part in frame.groupby("persona", sort=True):
        sentence = _common_end(part["user_input"].tolist())
        for number, row in enumerate(part.to_dict("records")):
            prompt = row["user_input"].removesuffix(sentence).rstrip()
            answers = [row["completion_a"], row["completion_b"]]
            names = [_name(prompt, answer) for answer in answers]
            user = f"{persona}/{number // _ROWS_OF_A_USER:02}"
            rows.append(_row(user, names, "first", prompt, answers, persona=persona))
    return _frame(rows)


def first_turns(frame):
    """Return a table of conversations without their later turns, and how many of these were answered."""
    later = [name for name in frame.columns if str(name).startswith(tuple(f"{turn}_turn_" for turn in _TURNS[1:]))]
    answered = [name for name in later if str(name).endswith("_preferred_response")]
    left, frame = int(frame[answered].notna().to_numpy().sum()), frame.drop(columns=later)
    if {"turn", "interaction_id"} <= set(frame.columns):
        first = frame["turn"].astype(float) == 0
        left, frame = left + int(frame.loc[~first, "interaction_id"].nunique()), frame[first]
    return frame, left


def by_persona(source, as_frame):
    """Return one table of the tables of several personas, with a column that says whose row it is."""
    import pandas as pd

    if isinstance(source, str | Path) and Path(source).is_dir():
        source = {path.stem: path for path in sorted(Path(source).glob("P*.json"))}
        if not source:
            raise ValueError("source: expected a folder with files such as P1A.json, got none")
    elif isinstance(source, str | Path):
        source = {Path(source).stem: source}
    if isinstance(source, dict):
        return pd.concat([as_frame(part, "source").assign(persona=name) for name, part in source.items()])
    frame = as_frame(source, "source")
    return frame if "persona" in frame.columns else frame.assign(persona="persona")


def _row(annotator, names, choice, prompt, answers, **more):
    row = {"annotator": annotator, "first": names[0], "second": names[1], "choice": choice, "prompt": prompt}
    return row | {"first_text": answers[0], "second_text": answers[1]} | more


def _frame(rows, reason="", left=0):
    import pandas as pd

    if not rows:
        raise ValueError("source: expected at least one choice between two responses, got none")
    frame = pd.DataFrame(rows)
    frame.attrs["dropped"] = {reason: left} if left else {}
    return frame


def _name(prompt, answer):
    """Return a name for a response: the same text to the same prompt is the same item, whoever saw it."""
    return sha256(f"{prompt}\0{answer}".encode()).hexdigest()[:12]


def _nested(value):
    """Return lists and dictionaries as they are, and read them where a table holds them as JSON text."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


def _said(talk, role):
    return "\n\n".join(message["content"] for message in talk if message["role"] == role)


def _true(value):
    return str(value).lower() in ("true", "1", "1.0")


def _common_end(texts):
    """Return the sentence at the end of all texts: what they end on, from the first word with a capital on."""
    shortest, longest = min(texts, key=len), max(texts, key=len)
    same = 0
    while same < len(shortest) and len({text[-1 - same] for text in texts}) == 1:
        same += 1
    begin = re.search(r"\s[A-Z]", longest[len(longest) - same :]) if same < len(longest) else None
    return longest[len(longest) - same :][begin.start() :] if begin else ""
