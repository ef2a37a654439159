"""Stage `expand`: a shot's structured intent, and the prompts it becomes for the models at hand.

    day, product, axes, template -> intent -> picture prompt, motion prompt

All of it is decided at plan time; running the stage only writes it down.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from catalogs.node import canonical
from configs.base import Json, Language
from configs.campaign import AxisValue, Campaign, Product
from configs.festivals import Day
from configs.model import Model
from configs.phrases import phrases
from configs.prompt import Intent, Template
from configs.settings import Move, Settings
from configs.tokens import ESTIMATE, Counter, check_tokens
from configs.vocabulary import Vocabulary
from tasks import dialects
from tasks.intent import Teller, Where
from tasks.note import write_params
from tasks.stage import Cell, Decision, Stage
from tasks.views import view

_TRIES = 64
_JUMP = 367 * 101
"""Past the ranks of the days around, so that a shot drawn again does not push its neighbours."""
_KEPT = re.compile(r'"[^"]+"|\d+(?:[.,:]\d+)*')
"""Words to be drawn, and numbers."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A prompt that a language model is asked to write out more fully."""

    key: str
    expander: Literal["endpoint", "local"]
    port: Literal["picture", "motion"]
    language: Language
    text: str
    """The template's words, which stand where the language model fails."""
    keep: tuple[str, ...]
    """What its answer must hold verbatim."""
    seed: int


@dataclass(frozen=True, slots=True)
class Expanded:
    """What one shot became."""

    texts: Mapping[str, str]
    """`picture` and `motion`: the prompts, each in its model's dialect."""
    motion: Move
    """The camera move; `animate.motion: auto` became this one."""
    intent: Intent
    template: str
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
        clip_model: The model of the animate stage; its dialect words the motion.
        vocabulary: Of the `mini` models; None where none is used.
        expansions: What a language model made of earlier `wishes`, by key
            (`tasks.expanders.fulfil`).
        taken: Picture prompts that the product's earlier shots already have; another is drawn.
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
        picture = dialects.picture(intent, product, picture_model, vocabulary, turn)
        if picture not in taken:
            break
    texts = {"picture": picture, "motion": dialects.motion(intent, clip_model, vocabulary)}
    models = {"picture": picture_model, "motion": clip_model}
    wishes = _wishes(texts, models, intent, template, campaign, settings.expand.expander, seed)
    notes = [*_notes(intent, product, picture_model)]
    for wish in wishes:
        texts[wish.port], note = _granted(wish, expansions or {})
        notes.append(note)
    for port, model in models.items():
        check_tokens(texts[port], model, (counters or {}).get(model.folder, ESTIMATE))
    return Expanded(texts, intent.move, intent, template.id, tuple(notes), wishes)


def _notes(intent: Intent, product: Product, model: Model) -> Iterator[str]:
    if product.image is not None:
        yield "an own photo: no picture is drawn"
    elif model.dialect == "mini" and intent.lettering:
        yield "the small model draws no lettering: prompt.text is left out"


def _granted(wish: Wish, expansions: Mapping[str, str]) -> tuple[str, str]:
    """Return what a language model wrote, or the template's words, and a note of which."""
    if wish.key in expansions:
        return expansions[wish.key], f"{wish.port}: written by {expansions[f'{wish.key}/by']}"
    why = expansions.get(f"{wish.key}/why", "no language model was asked")
    return wish.text, f"{wish.port}: the template's words stand: {why}"


def _wishes(
    texts: Mapping[str, str],
    models: Mapping[str, Model],
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
    for port in ("picture", "motion"):
        text = texts[port]
        if models[port].shipped or models[port].dialect == "mini":
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
        made.append(Wish(key, expander, port, intent.language, text, tuple(keep), seed))
    return tuple(made)


def decide(cell: Cell) -> Decision:
    """Return prompts and intent as this node's params; its `cell.texts` is `Expanded.said()`."""
    return Decision(
        {
            "picture": cell.texts["picture"],
            "motion": cell.texts["motion"],
            "intent": json.loads(cell.texts["intent"]),
        }
    )


STAGE = Stage(
    id="expand",
    version=1,
    takes={},
    gives={"picture": "text", "motion": "text"},
    lane="plan",
    decide=decide,
    run=write_params("prompt"),
)
