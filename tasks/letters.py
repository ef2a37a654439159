"""A shot's words on their way to their places: templates filled in, checked, set in blocks.

All of it at plan time, and each error names the setting that the words were written in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from configs.base import Language, Words
from configs.errors import BadPlan
from configs.sandbox import BadTemplate, render
from configs.srt import Caption
from configs.title import LEAST
from tasks.font import Font, bundled
from tasks.layout import Block, Item, Role, Zone, fit
from tasks.lines import clean
from tasks.lint import lint
from tasks.place import Loose
from tasks.spot import Spot
from tasks.stage import Cell

MARGIN = 0.045
"""Distance to the frame's edge as a fraction of its short side, as the logo's."""

CAPTION = 0.046
"""Size of captions as a fraction of the short side: 50 pixels in a frame 1080 wide."""

SECOND, PRICE, CAPTION_SECOND = 0.5, 0.74, 0.8
"""Sizes of the other language, of the price, and of a caption's other language."""

PLACES = {
    "portrait": ("top", "bottom", "left", "right"),
    "square": ("top", "bottom", "left", "right"),
    "landscape": ("left", "right", "top", "bottom"),
}
"""Where title and price may stand when nobody says where; of equally good ones the first."""

LIMITS: dict[Role, int] = {
    "title": 3,
    "second": 2,
    "price": 1,
    "caption": 2,
    "caption-second": 2,
}
"""Lines that each may have."""


class Letters:
    """A shot's words, set for one delivery."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.settings = cell, cell.settings.title
        own = self.settings.font_file
        self.font = cast("Font", cell.attached[own].told) if own else bundled(self.settings.font)
        asked, main = self.settings.language, cell.campaign.prompt.language
        first = main if asked in ("prompt", "both") else cast("Language", asked)
        other: Language = "en" if first == "zh" else "zh"
        self.languages = (first, other) if asked == "both" else (first,)

    def title(self, seconds: float | None, captions: Sequence[Block]) -> Loose | None:
        """Return title and price, and where they may stand."""
        settings, items = self.settings, (*self._title(), *self._price())
        if not items:
            return None
        delivery = self.cell.delivery
        assert delivery is not None
        wanted, zone = settings.position, self._zone()
        loose = Loose(
            items=items,
            size=settings.size,
            places=PLACES[delivery.aspect] if wanted == "auto" else (wanted,),
            inner=zone.inner,
            layers=zone.taken,
            **self._times(seconds),
        )
        if not loose.fits(self.font, loose.zone(zone.size, [one.plate for one in captions])):
            words = " / ".join(item.text for item in items)
            raise BadPlan(self._unfit("title.text", words, "shorten it, or give it another place"))
        return loose

    def _times(self, seconds: float | None) -> dict[str, Any]:
        """Return when title and price come and go; on a picture they stand."""
        if seconds is None:
            return {}
        start, end = self.settings.start, self.settings.end
        for name, at in (("start", start), ("end", end)):
            if at is not None and (at > seconds or (name == "start" and at == seconds)):
                raise BadPlan(
                    f"{self.cell.shot}: title.{name}: {at:g} s is past the end of the clip for "
                    f"{self.cell.delivery_id}, {seconds:.2f} s; lower it or raise animate.seconds"
                )
        return {"start": start, "end": end}

    def _title(self) -> list[Item]:
        if self.settings.source == "prompt-text":
            if self.cell.campaign.prompt.text is None:
                raise BadPlan(
                    f"{self.cell.shot}: title.source: prompt-text sets prompt.text, and there is "
                    "none; write it, or delete title.source and write title.text"
                )
            return self._items("title.source", [self.cell.texts.get("text", "")], "title", 1.0)
        texts = self._said(self.settings.text, "title.text")
        return self._items("title.text", texts, "title", 1.0)

    def _price(self) -> list[Item]:
        texts = self._said(self.settings.price, "title.price")
        return self._items("title.price", texts[:1], "price", PRICE)

    def _said(self, words: Words | None, place: str) -> list[str]:
        """Return a template's text in each language."""
        if words is None:
            return []
        made = []
        for language in self.languages:
            try:
                made.append(render(words.say(language), self.cell.names(language)))
            except BadTemplate as error:
                raise BadPlan(f"{self.cell.shot}: {place}: {error}") from None
        return made

    def _items(self, place: str, texts: Sequence[str], role: Role, scale: float) -> list[Item]:
        """Return the texts as a block's items, the second language smaller; no text twice."""
        made: list[Item] = []
        for text in dict.fromkeys(self._checked(place, text) for text in texts):
            if not text:
                continue
            if not made:
                made.append(Item(role, text, scale, LIMITS[role], gap=0.42))
            else:
                small: Role = "second" if role == "title" else "caption-second"
                part = SECOND if role == "title" else CAPTION_SECOND
                made.append(Item(small, text, scale * part, LIMITS[small], gap=0.36))
        return made

    def _checked(self, place: str, text: str) -> str:
        """Return a text clean, every character of it in the font."""
        try:
            text = clean(text)
            self.font.check(text.replace("\n", ""))
        except BadPlan as error:
            raise BadPlan(f"{self.cell.shot}: {place}: {error}") from None
        lint(self.cell, place, text)
        return text

    def captions(self, seconds: float) -> tuple[Block, ...]:
        """Return a block for each caption."""
        made = []
        for place, start, end, texts in [*self._cues(), *self._subtitles()]:
            if end > seconds + 0.005:
                raise BadPlan(
                    f"{self.cell.shot}: {place} ends at {end:g} s, and the clip for "
                    f"{self.cell.delivery_id} at {seconds:.2f} s; end it earlier or raise "
                    "animate.seconds"
                )
            items = tuple(self._items(place, texts, "caption", 1.0))
            block = items and fit(items, self.font, self._zone(), CAPTION, "bottom")
            if not block:
                raise BadPlan(self._unfit(place, " / ".join(texts), "part it in two captions"))
            made.append(block.model_copy(update={"start": start, "end": end}))
        return tuple(made)

    def _cues(self) -> Iterator[tuple[str, float, float, list[str]]]:
        """Yield the campaign's own captions: place, start, end, text in each language."""
        for number, cue in enumerate(self.settings.cues):
            place = f"title.cues: caption {number + 1}"
            yield place, cue.start, cue.end, self._said(cue.text, place)

    def _subtitles(self) -> Iterator[tuple[str, float, float, list[str]]]:
        """Yield the captions of the SRT files; two files are read side by side."""
        files = [
            (f"title.subtitles_{language}", path)
            for language in self.languages
            if (path := getattr(self.settings, f"subtitles_{language}"))
        ]
        if not files:
            return
        tracks = [cast("tuple[Caption, ...]", self.cell.attached[path].told) for _, path in files]
        if len({len(track) for track in tracks}) > 1:
            counts = " and ".join(str(len(track)) for track in tracks)
            raise BadPlan(
                f"{self.cell.shot}: {files[1][0]}: the two files have {counts} captions; give "
                "each caption its translation, or set title.language to one language"
            )
        for each in zip(*tracks, strict=True):
            place = f"{files[0][0]}: {files[0][1]}:{each[0].line}: caption"
            yield place, each[0].start, each[0].end, [caption.text for caption in each]

    def _zone(self) -> Zone:
        """Return where words may stand: in the safe box, off logo and label."""
        delivery = self.cell.delivery
        assert delivery is not None
        spot = Spot(
            width=delivery.width,
            height=delivery.height,
            safe=delivery.safe,
            position="",
            margin=MARGIN,
        )
        layers = [self.cell.pictures.get(port) for port in ("overlay", "label")]
        boxes = tuple(layer.box for layer in layers if layer and layer.box)
        return Zone((delivery.width, delivery.height), spot.zone, boxes)

    def _unfit(self, place: str, words: str, advice: str) -> str:
        return (
            f"{self.cell.shot}: {place}: {words[:60]!r} does not fit into the safe box of "
            f"{self.cell.delivery_id}, not even at {LEAST:.1%} of its short side; {advice}"
        )
