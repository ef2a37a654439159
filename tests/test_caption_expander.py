"""Captions by a language model: asked before the plan, held to platform, law and facts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from configs.errors import BadInput, BadPlan
from configs.home import Home
from flows.plan import plan
from tasks.copywriter import parsed
from tasks.said import CaptionFile
from tests.plan_data import Desk
from tests.test_expand_endpoint import Server, fails, says, server  # noqa: F401 (a fixture)

SAID = {
    "title": "{{ product.name }}｜{{ campaign.title }}",
    "text": "{{ day.name }}上新，{{ product.facts.price }} 元。",
    "hashtags": ["{{ product.name }}", "春日限定"],
    "expander": "endpoint",
}
Rewrite = Callable[[str, str, str], str]
"""Title, text and hashtags of a draft to the model's answer."""


def rewrites(change: Rewrite) -> Callable:
    """Answer as a model that changes the draft it was sent: what follows the empty line."""

    def script(handler, body) -> None:
        sent = next(one["content"] for one in body["messages"] if one["role"] == "user")
        lines = sent.split("\n\n", 1)[1].split("\n")
        says(change(lines[0], "\n".join(lines[1:-1]), lines[-1]))(handler, body)

    return script


def obedient(title: str, text: str, tags: str) -> str:
    """Write as the guide asks for."""
    return f"<think>hm</think>{title}\n{text}\n一抹就显色✨\n\n{tags} #口红试色"


@pytest.fixture
def desk(tmp_path) -> Desk:
    desk = Desk(Home(tmp_path / "home"))
    desk.brief.update(
        matrix={"product": ["rouge-01"], "day": ["mon"]},
        settings={"caption": dict(SAID)},
        overrides=[],
    )
    return desk


@pytest.fixture
def endpoint(server: Server, monkeypatch) -> Server:  # noqa: F811
    server.script = [rewrites(obedient)]
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


def captions(planned) -> dict[str, CaptionFile]:
    """Return each delivery's caption."""
    return {
        address.delivery: CaptionFile.model_validate(planned.nodes[key].params)
        for address, key in planned.places.items()
        if address.stage == "caption"
    }


def test_each_platform_gets_its_own_words(desk: Desk, endpoint: Server):
    """In the platform's form; the model is told the platform and its limits, and asked once."""
    planned = plan(desk.found())
    made = captions(planned)
    assert made["xiaohongshu"].title == "哑光口红｜春日限定"
    assert made["xiaohongshu"].text == (
        "周一上新，129 元。\n一抹就显色✨\n\n#哑光口红 #春日限定 #口红试色"
    )
    assert made["bilibili"].text == "周一上新，129 元。\n一抹就显色✨"
    assert made["bilibili"].hashtags == ("哑光口红", "春日限定", "口红试色")
    asked = [one["messages"][1]["content"] for one in endpoint.asked]
    assert sum("平台：小红书视频\n标题最多 20 个字" in one for one in asked) == 1
    assert sum("平台：抖音\n标题最多 30 个字\n话题最多 5 个" in one for one in asked) == 1
    notes = {str(node.notes.get("caption")) for node in planned.nodes.values()}
    assert "written by tiny" in notes
    assert captions(plan(desk.found())) == made
    assert len(endpoint.asked) == 3


SPOILT: dict[str, Rewrite] = {
    "lacks 哑光口红": lambda title, text, tags: f"唇膏｜春日限定\n{text}\n#口红 #春日限定",
    "lacks #春日限定": lambda title, text, tags: f"{title}\n{text}\n#哑光口红",
    "adds the number 99": lambda title, text, tags: f"{title}\n{text}现价 99。\n{tags}",
    "a # that is not in the last line": lambda title, text, tags: f"{title}\n#a {text}。\n{tags}",
    "has no text": lambda title, text, tags: f"{title}，129 元\n{tags}",
    "at most 20": lambda title, text, tags: f"{title}，一抹就显色的哑光口红来了\n{text}\n{tags}",
    "'最美' in": lambda title, text, tags: f"{title}\n{text}春天最美的红。\n{tags}",
    "a hashtag is letters": lambda title, text, tags: f"{title}\n{text}\n{tags} #a！",
    "not in Chinese": lambda title, text, tags: f"{title}\nNew on Monday, 129, so fine\n{tags}",
    "control characters": lambda title, text, tags: f"{title}\n{text}\x07\n{tags}",
}


@pytest.mark.parametrize("why", SPOILT)
def test_a_bad_answer_stops_the_plan(desk: Desk, endpoint: Server, why: str):
    """One error with line, platform, reason and advice, after the model was told once more."""
    endpoint.script = [rewrites(SPOILT[why])]
    desk.brief["deliveries"] = ["xiaohongshu"]
    with pytest.raises(BadPlan, match=re.escape(why)) as caught:
        plan(desk.found())
    assert re.match(r".*demo\.yaml:\d+: rouge-01/2026-03-02 xiaohongshu: ", str(caught.value))
    assert "caption.expander: nothing usable was written" in str(caught.value)
    assert "caption.fallback: template" in str(caught.value)
    assert len(endpoint.asked) == 2
    assert why in endpoint.asked[1]["messages"][-1]["content"]


def test_the_template_s_words_stand_where_that_is_chosen(desk: Desk, endpoint: Server):
    """And the node's notes say why."""
    endpoint.script = [rewrites(SPOILT["adds the number 99"])]
    desk.brief["settings"]["caption"]["fallback"] = "template"
    planned = plan(desk.found())
    assert captions(planned)["bilibili"].text == "周一上新，129 元。"
    notes = {
        str(node.notes["caption"]) for node in planned.nodes.values() if "caption" in node.notes
    }
    assert notes == {"the template's words stand: tiny: it adds the number 99"}


def test_an_endpoint_that_is_down_is_one_error(desk: Desk, endpoint: Server, monkeypatch):
    """Refused, or nobody named to ask."""
    endpoint.script = [fails(401)]
    with pytest.raises(BadPlan, match="nothing usable was written: the endpoint answered HTTP 401"):
        plan(desk.found())
    monkeypatch.delenv("KEYREEL_LLM_URL")
    with pytest.raises(BadInput, match="KEYREEL_LLM_URL"):
        desk.found()


def test_an_answer_in_both_languages(desk: Desk, endpoint: Server):
    """The model is told so, and its English is no fault."""
    desk.brief["settings"]["caption"] |= {"language": "both"}
    endpoint.script = [rewrites(lambda title, text, tags: f"{title}\n{text}\nSoft as air\n{tags}")]
    made = captions(plan(desk.found()))
    assert "周一上新，129 元。" in made["bilibili"].text
    assert made["bilibili"].text.endswith("Soft as air")
    assert "两种语言都要写" in endpoint.asked[0]["messages"][1]["content"]


def test_a_wrong_template_is_told_by_the_plan_alone(desk: Desk, endpoint: Server):
    """Nobody is asked about words that cannot be filled in."""
    desk.brief["settings"]["caption"]["text"] = "{{ product.facts.cost }}"
    resolved = desk.found()
    assert endpoint.asked == []
    with pytest.raises(BadPlan, match=r"demo\.yaml:\d+: .*caption\.text: .*cost"):
        plan(resolved)


def test_an_answer_comes_apart_in_its_fields():
    """Hashtags may take several lines; without a title the text begins at once."""
    answer = "标题\n\n一段\n二段\n\n#a #b\n#c#d\n"
    assert parsed(answer, titled=True) == ("标题", "一段\n二段", ("a", "b", "c", "d"))
    assert parsed("一段", titled=False) == ("", "一段", ())
    assert parsed("", titled=True) == ("", "", ())
