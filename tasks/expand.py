"""Stage `expand`: a shot's structured intent, and the prompts it becomes for the models at hand.

    day, product, axes, template -> intent -> picture prompt, motion prompt

All of it is decided at plan time; running the stage only writes it down.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from catalogs.node import Node, canonical
from configs.base import Language, Words
from configs.campaign import AxisValue, Campaign, Product
from configs.colour import natural
from configs.deck import deal
from configs.errors import BadInput, BadPlan
from configs.festivals import Day
from configs.model import Model
from configs.phrases import phrases
from configs.prompt import Intent, Move, Option, Template
from configs.sandbox import BadTemplate, holds, render
from configs.settings import Settings
from configs.tokens import ESTIMATE, Counter, check_tokens
from configs.vocabulary import Vocabulary
from tasks import dialects
from tasks.dialects import Known
from tasks.stage import Cell, Decision, Draft, Made, Stage, Studio
from tasks.views import view

Where = Callable[..., str]
"""`where("prompt", "when", 0, "if")` says FILE:LINE of that field of the campaign file."""


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
    where: Where = lambda *path: ".".join(map(str, path)),
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
        expansions: What a language model made of the prompts, by key.
        taken: Picture prompts that the product's earlier shots already have; another is drawn.
        counters: Token counters by model folder; an estimate where left out.
        where: Says FILE:LINE of a field of the campaign file, for errors.

    Raises:
        BadPlan: where a template cannot be filled in, the product is nothing the model knows, or
            a prompt is longer than its model reads.
    """
    teller = _Teller(campaign, product, day, axes, seed, template, settings.animate.motion, where)
    for turn in range(_TRIES):
        intent = teller.intent(rank + _JUMP * turn)
        picture = _picture(intent, product, picture_model, vocabulary)
        if picture not in taken:
            break
    motion = _motion(intent, clip_model, vocabulary)
    counters = counters or {}
    check_tokens(picture, picture_model, counters.get(picture_model.folder, ESTIMATE))
    check_tokens(motion, clip_model, counters.get(clip_model.folder, ESTIMATE))
    return Expanded(
        texts={"picture": picture, "motion": motion},
        motion=intent.move,
        intent=intent,
        template=template.id,
        notes=_notes(intent, product, picture_model, repeats=picture in taken),
    )


def _notes(intent: Intent, product: Product, model: Model, *, repeats: bool) -> tuple[str, ...]:
    mini = model.dialect == "mini"
    said = {
        "an own photo: no picture is drawn": product.image is not None,
        "the small model draws no lettering: prompt.text is left out": mini and bool(intent.text),
        "repeats another shot's prompt: the template has too few variants": repeats,
    }
    return tuple(note for note, true in said.items() if true)


@dataclass(frozen=True, slots=True)
class _Teller:
    """Turns a rank into an intent: deals the variants and fills in their blanks."""

    campaign: Campaign
    product: Product
    day: Day
    axes: Mapping[str, AxisValue]
    seed: int
    template: Template
    move: str
    where: Where

    def intent(self, rank: int) -> Intent:
        """Return what the shot of `rank` is to show."""
        language = self.campaign.prompt.language
        seed = f"{self.campaign.seed}\n{self.product.id}\n{self.template.id}"
        dealt = deal(self._decks(), seed, rank)
        moves = {"move": self.template.moves}
        names = view(
            campaign=self.campaign,
            product=self.product,
            day=self.day,
            axes=self.axes,
            seed=self.seed,
            language=language,
        )
        colour = self._colour(language)
        item = _item(self.product, colour, language)
        names |= {"colour": colour, "item": item}
        additions = self._additions(names)
        words = {slot: id_ for card in dealt.values() for slot, id_ in card.words.items()}
        festival = self.day.festival
        if festival and any(festival.props.say(language) in text for text in additions):
            words |= festival.words
        names |= _named(words, language)
        text = self._own("text", names)
        said = {
            part: self._own(part, names)
            if getattr(self.campaign.prompt, part, None)
            else self._render(card.text.say(language), names, part)
            for part, card in dealt.items()
        }
        return Intent(
            template=self.template.id,
            language=language,
            product=self.product.name.say(language),
            item=item,
            colour=colour,
            **said,
            move=deal(moves, seed, rank)["move"]
            if self.move == "auto"
            else cast("Move", self.move),
            text=text,
            lettering=text
            and self._render(self.template.text.say(language), {"text": text}, "text"),
            festival=festival.name.say(language) if festival else "",
            additions=additions,
            words=words,
        )

    def _decks(self) -> dict[str, Sequence[Option]]:
        """Return the cards of each part; one blank card for a part the campaign writes itself."""
        own = self.campaign.prompt
        return {
            part: (_BLANK,) if getattr(own, part, None) else self.template.options[part]
            for part in _DECKS
        }

    def _own(self, part: str, names: Mapping[str, object]) -> str:
        source = getattr(self.campaign.prompt, part) or ""
        return self._filled(source, names, "prompt", part)

    def _additions(self, names: Mapping[str, object]) -> tuple[str, ...]:
        added = []
        for index, condition in enumerate(self.campaign.prompt.when):
            try:
                met = holds(condition.if_, names)
            except BadTemplate as error:
                place = self.where("prompt", "when", index, "if")
                raise BadPlan(f"{place}: prompt.when[{index}].if: {error}") from None
            if met:
                added.append(self._filled(condition.add, names, "prompt", "when", index, "add"))
        return tuple(text for text in added if text)

    def _filled(self, source: str, names: Mapping[str, object], *path: str | int) -> str:
        try:
            return render(source, names)
        except BadTemplate as error:
            field = ".".join(map(str, path))
            raise BadPlan(f"{self.where(*path)}: {field}: {error}") from None

    def _render(self, source: str, names: Mapping[str, object], part: str) -> str:
        try:
            return render(source, names)
        except BadTemplate as error:
            raise BadPlan(f"prompts/{self.template.id}.yaml: {part}: {error}") from None

    def _colour(self, language: Language) -> str:
        if self.product.colour is None:
            return ""
        try:
            words = natural(self.product.colour)
        except BadInput as error:
            place = self.where("products", self.campaign.products.index(self.product), "colour")
            raise BadPlan(f"{place}: colour: {error}") from None
        return words.zh if language == "zh" else words.en


_BLANK = Option(Words())
_DECKS = ("scene", "light", "style", "action", "subject", "motion")
"""Fastest first: what a viewer would notice the repetition of."""
_TRIES = 64
_JUMP = 367 * 101
"""Past the ranks of the days around, so that a shot drawn again does not push its neighbours."""


def _item(product: Product, colour: str, language: Language) -> str:
    """Return the product's name with its colour and material, each once."""
    name = product.name.say(language)
    material = product.material or ""
    made = name if material in name else f"{material}{'' if language == 'zh' else ' '}{name}"
    if not colour or colour.casefold() in name.casefold():
        return made
    return f"{colour}的{made}" if language == "zh" else f"{colour} {made}"


def _named(words: Mapping[str, str], language: Language) -> dict[str, str]:
    """Return the phrases for the words that sentences mention."""
    known = phrases()
    return {
        slot: getattr(known, slot)[words[slot]].say(language)
        for slot in ("surface", "backdrop", "light_side")
        if slot in words
    }


def _picture(intent: Intent, product: Product, model: Model, vocabulary: Vocabulary | None) -> str:
    if model.dialect != "mini":
        return dialects.z_image_picture(intent)
    if vocabulary is None:
        raise BadPlan(f"the model in {model.folder!r} speaks `mini` but has no vocabulary.json")
    known = _known(product, vocabulary)
    if known is not None:
        return dialects.mini_picture(intent, known, vocabulary)
    if product.image is not None:
        return intent.item
    kinds = ", ".join(term.id for term in vocabulary.products)
    raise BadPlan(
        f"products: {product.id}: {intent.product!r} is nothing the small model has seen; write "
        f"its `kind` (one of {kinds}), give an own photo as `image`, or use a larger profile"
    )


def _known(product: Product, vocabulary: Vocabulary) -> Known | None:
    names = (product.name.zh, product.name.en)
    kind = vocabulary.find("products", *names)
    if product.kind is not None:
        kind = vocabulary.term("products", product.kind) or vocabulary.find(
            "products", product.kind
        )
    if kind is None:
        return None
    if product.colour is None:
        colour = vocabulary.find("colours", *names)
    else:
        colour = vocabulary.term("colours", natural(product.colour, vocabulary.colours).id)
    return Known(kind, colour, vocabulary.find("materials", product.material or "", *names))


def _motion(intent: Intent, model: Model, vocabulary: Vocabulary | None) -> str:
    if vocabulary is not None and (model.shipped or model.dialect == "mini"):
        return dialects.mini_motion(intent, vocabulary)
    return dialects.wan_motion(intent)


def decide(cell: Cell) -> Decision:
    """Return prompts and intent as this node's params; its `cell.texts` is `Expanded.said()`."""
    return Decision(
        {
            "picture": cell.texts["picture"],
            "motion": cell.texts["motion"],
            "intent": json.loads(cell.texts["intent"]),
        }
    )


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Write each node's prompts and intent down as one JSON file."""
    for node in nodes:
        started = time.perf_counter()
        file = workspace / f"{node.key}.json"
        file.write_bytes(canonical(dict(node.params)))
        draft = Draft(file, "text", "application/json")
        yield Made(node, {"prompt": draft}, time.perf_counter() - started)


STAGE = Stage(
    id="expand",
    version=1,
    takes={},
    gives={"picture": "text", "motion": "text"},
    lane="plan",
    decide=decide,
    run=run,
)
