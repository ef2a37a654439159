"""Captions by a language model: the template's words written anew, one wish for each platform.

Whatever comes back is held to the same rules as a template's words, and to its facts: names and
hashtags stay, and no number is added, since a price or a date is a promise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import reduce

from catalogs.node import canonical
from configs.caption import Length
from configs.errors import BadPlan
from tasks.said import Said, Writer
from tasks.wish import Wish, foreign, granted, guides

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_TAG = re.compile(r"#([^\s#]+)")


def expanded(writer: Writer, said: Said) -> tuple[Said, str]:
    """Return what a language model made of a template's words, and a note of who wrote them.

    Raises:
        BadPlan: where it made nothing usable, and `caption.fallback` is not `template`.
    """
    wish = wish_for(writer, said)
    text, told = granted(wish, writer.cell.expansions)
    why = wish.fault(text) if text else told  # the law's words may have grown since it was kept
    if text and not why:
        return parsed(text, bool(said.title)), f"written by {told}"
    if writer.cell.settings.caption.fallback == "none":
        advice = "reword the template, or write `caption.fallback: template` to publish its words"
        raise writer.bad("expander", f"nothing usable was written: {why}; {advice}")
    return said, f"the template's words stand: {why}"


def wish_for(writer: Writer, said: Said) -> Wish:
    """Return what a language model is asked for one caption."""
    cell, language = writer.cell, writer.languages[0]
    expander = cell.settings.caption.expander
    assert expander != "template", "a template asks nobody"
    shown = "\n".join(filter(None, (said.title, said.text, _tags(said))))
    names = [
        cell.campaign.brand.name,
        *cell.campaign.brand.words,
        *(cell.product.name.say(each) for each in writer.languages),
    ]
    keep = dict.fromkeys([*(name for name in names if name in shown), *_NUMBER.findall(shown)])
    text = f"{_limits(writer)}\n\n{shown}"
    key = hashlib.sha256(canonical(["caption", [*writer.languages], text, [*keep], cell.seed]))
    return Wish(
        key=key.hexdigest(),
        expander=expander,
        port="caption",
        language=language,
        text=text,
        keep=tuple(keep),
        seed=cell.seed,
        check=lambda answer: _fault(writer, said, tuple(keep), answer),
    )


def parsed(answer: str, titled: bool) -> Said:
    """Return the parts of an answer: the title's line, the text, and lines of hashtags at last."""
    lines = [line.strip() for line in answer.splitlines()]
    tags: list[str] = []
    while lines and (not lines[-1] or all(word[0] == "#" for word in lines[-1].split())):
        tags = _TAG.findall(lines.pop()) + tags
    title = lines.pop(0) if titled and lines else ""
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip())
    return Said(title, text, tuple(tags))


def _fault(writer: Writer, said: Said, keep: tuple[str, ...], answer: str) -> str:
    """Return what makes an answer unusable, in English; nothing where it is usable."""
    made = parsed(answer, bool(said.title))
    lost = [f"#{tag}" for tag in said.hashtags if tag not in made.hashtags]
    if lost:
        return f"it lacks {', '.join(lost)}"
    if said.text and not made.text:
        return "it has no text"
    if "#" in made.text + made.title:
        return "it has a # that is not in the last line"
    added = [number for number in _NUMBER.findall(answer) if number not in keep]
    if added:
        return f"it adds the number {added[0]}"
    plain = reduce(lambda rest, word: rest.replace(word, ""), keep, made.title + made.text)
    if len(writer.languages) == 1 and (wrong := foreign(plain, writer.languages[0])):
        return wrong
    try:
        writer.hashtags(made.hashtags)
        writer.checked(made)
    except BadPlan as error:
        return str(error)
    return ""


def _tags(said: Said) -> str:
    return " ".join(f"#{tag}" for tag in said.hashtags)


def _limits(writer: Writer) -> str:
    """Return where it is published and how long its fields may be, in words."""

    def parts() -> Iterator[str]:
        words, rules, language = guides().limits, writer.rules, writer.languages[0]
        assert writer.cell.delivery is not None
        platform = writer.cell.delivery.name.say(language)
        yield words["platform"].say(language).format(platform)
        for field, limit in (("title", rules.title), ("text", rules.text)):
            if isinstance(limit, Length):
                yield words[field].say(language).format(limit.max)
        if isinstance(rules.hashtags, int):
            yield words["hashtags"].say(language).format(rules.hashtags)
        if len(writer.languages) > 1:
            yield words["both"].say(language)

    return "\n".join(parts())
