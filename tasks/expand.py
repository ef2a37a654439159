"""Stage `expand`: a shot's structured intent, and the prompts it becomes for the models at hand.

    day, product, axes, template -> intent -> picture prompt, motion prompt

All of it is decided at plan time; running the stage only writes it down.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Literal

import orjson

from catalogs.node import canonical
from configs.base import Json
from configs.campaign import AxisValue, Campaign, Product, Told
from configs.festivals import Day
from configs.model import Model
from configs.phrases import phrases
from configs.prompt import Intent, Template
from configs.settings import Motion, Settings
from configs.tokens import ESTIMATE, Counter, check_tokens
from configs.vocabulary import Vocabulary
from tasks import dialects
from tasks.intent import Teller, Where
from tasks.note import write_params
from tasks.stage import Cell, Decision, Stage
from tasks.views import view
from tasks.wish import Port, Wish, foreign, granted

_TRIES = 64
_JUMP = 367 * 101
"""Past the ranks of the days around, so that a shot drawn again does not push its neighbours."""
_KEPT = re.compile(r'"[^"]+"|\d+(?:[.,:]\d+)*')
"""Words to be drawn, and numbers."""
_QUOTED = re.compile(r'"[^"]*"')
_TAGS = re.compile(r"\b(masterpiece|best quality|[48]k|uhd|hdr)\b|杰作|超高清", re.IGNORECASE)
_LENGTHS = {"picture": (60, 320), "motion": (15, 160), "footage": (60, 400)}
"""Least and most of an answer: hanzi and signs in Chinese, words in English."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """What one shot became."""

    texts: Mapping[str, str]
    """`picture` and `motion`, or for a clip from words alone `footage`, which is both in one: the
    prompts, each in its model's dialect."""
    motion: Motion
    """The camera move; `animate.motion: auto` became this one, unless the brief's own words say all
    that a clip from words alone is told."""
    intent: Intent
    template: str
    scene: str
    """What the template says is seen: no two shots of a product share it."""
    notes: tuple[str, ...] = ()
    wishes: tuple[Wish, ...] = ()
    """What resolve asks a language model; none where templates alone write the prompts."""

    def said(self) -> dict[str, str]:
        """Return the texts and the intent as JSON: the texts of the stage's own `Cell`."""
        return {**self.texts, "intent": canonical(self.intent.row()).decode()}


def expand_shot(
    *,
    campaign: Campaign,
    product: Product,
    day: Day,
    axes: Mapping[str, AxisValue],
    seed: int,
    rank: int,
    settings: Settings,
    template: Template,
    picture_model: Model,
    clip_model: Model,
    vocabulary: Vocabulary | None,
    expansions: Mapping[str, str] | None = None,
    taken: Collection[str] = (),
    counters: Mapping[str, Counter] | None = None,
    where: Where = lambda *path: "the campaign",
) -> Expanded:
    """Return one shot's prompts.

    Args:
        campaign: With its seed already drawn: the seed shuffles the decks of variants.
        product: The product to show.
        day: The shot's day.
        axes: All axis values of the shot, `product` and `day` included, in the id's order.
        seed: The shot's own.
        rank: Where the decks are cut: from the day and the other axes' values alone.
        settings: Of this shot, all layers resolved.
        template: The prompt template of this shot.
        picture_model: The model of the keyframe stage; its dialect words the picture.
        clip_model: The model of the animate stage; its dialect words the motion. One that makes
            clips from words alone is both.
        vocabulary: Of the `mini` models; None where none is used.
        expansions: What a language model made of earlier `wishes`, by key
            (`tasks.expanders.fulfil`).
        taken: Scenes that the product's earlier shots already have; another is drawn.
        counters: Token counters by model folder; an estimate where left out.
        where: Says FILE:LINE of a field of the campaign file, for errors.

    Raises:
        BadPlan: where a template cannot be filled in, the product is nothing the model knows, or
            a prompt is longer than its model reads.
    """
    names = view(
        campaign=campaign,
        product=product,
        day=day,
        axes=axes,
        seed=seed,
        language=campaign.prompt.language,
    )
    typeset = settings.title.source == "prompt-text"
    move = settings.animate.motion
    teller = Teller(campaign, product, day, template, names, move, where, typeset)
    for turn in range(_TRIES):
        intent = teller.intent(rank + _JUMP * turn)
        picture = product.prompt.picture or dialects.picture(
            intent, product, picture_model, vocabulary, turn
        )
        if picture not in taken:
            break
    alone, own = clip_model.makes == "text-clip", product.prompt
    intent = _verbatim(intent, own, alone)
    if own.movement or (alone and own.picture):
        motion = dialects.whole_motion(intent, move != "auto", clip_model)
    else:
        motion = dialects.motion(intent, clip_model, vocabulary)
    models: dict[Port, Model] = {"picture": picture_model, "motion": clip_model}
    texts = {"picture": picture, "motion": motion}
    if alone:
        models = {"footage": clip_model}
        texts = {"footage": dialects.footage(picture, motion, intent.language)}
    wishes = _wishes(texts, models, intent, template, campaign, settings.expand.expander, seed)
    notes = [*_notes(intent, product, picture_model, alone)]
    for wish in wishes:
        text, told = granted(wish, expansions or {})
        texts[wish.port] = text or wish.text
        who = "written by" if text else "the template's words stand:"
        notes.append(f"{wish.port}: {who} {told}")
    for port, model in models.items():
        check_tokens(texts[port], model, (counters or {}).get(model.folder, ESTIMATE))
    told = move if alone and own.picture else intent.move
    return Expanded(texts, told, intent, template.id, picture, tuple(notes), wishes)


def _verbatim(intent: Intent, prompt: Told, alone: bool) -> Intent:
    """Return what the shot shows where the brief gives the models' words itself."""
    if prompt.picture:
        intent = replace(
            intent,
            item=prompt.picture,
            subject=prompt.picture,
            action="",
            scene="",
            light="",
            style="",
            lettering="",
            additions=(),
            words={},
            motion="" if alone else intent.motion,
        )
    return replace(intent, motion=prompt.movement) if prompt.movement else intent


def _notes(intent: Intent, product: Product, model: Model, alone: bool) -> Iterator[str]:
    if product.image is not None:
        yield "an own photo: no picture is drawn"
    elif alone:
        yield "the clip is made from the words alone: no picture is drawn"
    elif model.dialect == "mini" and intent.lettering:
        yield "the small model draws no lettering: prompt.text is left out"


def _wishes(
    texts: Mapping[str, str],
    models: Mapping[Port, Model],
    intent: Intent,
    template: Template,
    campaign: Campaign,
    expander: Literal["template", "endpoint", "local"],
    seed: int,
) -> tuple[Wish, ...]:
    """Return what to ask of a language model; small models only know their own words."""
    if expander == "template":
        return ()
    phrase = phrases().move[intent.move].say(intent.language)
    names = (campaign.brand.name, *campaign.brand.words, intent.product, intent.colour, phrase)
    made = []
    for port, model in models.items():
        text = texts[port]
        if model.shipped or model.dialect == "mini":
            continue
        keep = dict.fromkeys(
            [*(name for name in names if name and name in text), *_KEPT.findall(text)]
        )
        asked: list[Json] = [
            template.id,
            template.version,
            port,
            intent.language,
            text,
            [*keep],
            seed,
        ]
        key = hashlib.sha256(canonical(asked)).hexdigest()
        wish = Wish(key, expander, port, intent.language, text, tuple(keep), seed)
        made.append(replace(wish, check=partial(_fault, wish)))
    return tuple(made)


def _fault(wish: Wish, text: str) -> str:
    """Return what makes a written prompt unusable, in English; nothing where it is usable."""
    added = [quoted for quoted in _QUOTED.findall(text) if quoted not in wish.keep]
    if added:
        return f"it adds lettering: {added[0][:40]}"
    tag = _TAGS.search(text)
    if tag and tag[0] not in wish.text:
        return f"it holds the tag {tag[0]}"
    plain = reduce(lambda rest, word: rest.replace(word, ""), wish.keep, text)
    if wrong := foreign(plain, wish.language):
        return wrong
    least, most = _LENGTHS[wish.port]
    length = len(text) if wish.language == "zh" else len(text.split())
    if not least <= length <= most:
        unit = "characters" if wish.language == "zh" else "words"
        return f"it has {length} {unit}, not {least} to {most}"
    return ""


def decide(cell: Cell) -> Decision:
    """Return prompts and intent as this node's params; its `cell.texts` is `Expanded.said()`."""
    return Decision({**cell.texts, "intent": orjson.loads(cell.texts["intent"])})


STAGE = Stage(
    id="expand",
    version=1,
    takes={},
    gives={"picture": "text", "motion": "text", "footage": "text"},
    lane="plan",
    decide=decide,
    run=write_params("prompt"),
)
