"""The title stage: words in their places, legible on what lies beneath, drawn as was meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalogs.node import Address, InputFile, Node
from configs.campaign import Prompt
from configs.errors import BadPlan
from configs.srt import Caption, read_srt
from configs.title import LEAST
from tasks import title
from tasks.contrast import choose
from tasks.font import bundled, read_font
from tasks.layers import Titles
from tasks.stage import Attachment
from tasks.watermark import LINEAR, contrast
from tests.export_data import Desk, clip, delivery
from tests.test_title_files import GOOD, square_font
from tests.title_data import PLAIN, blocks, cell_for, draw, flat, noise, placed, said, still

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def test_no_words_no_node():
    """A campaign that asks for no titles has no title node, so its keys stay."""
    assert title.decide(cell_for(delivery(540, 960), {})) is None


def test_words_come_from_the_shot_in_each_language():
    """Templates are filled in; `both` sets the prompt's language first; no text stands twice."""
    price = {**PLAIN, "price": "¥{{ product.facts.price }}"}
    assert said(title.decide(cell_for(still(), price))) == ["哑光口红", "¥129"]
    both = title.decide(cell_for(still(), {**price, "language": "both"}))
    assert said(both) == ["哑光口红", "Matte lipstick", "¥129"]
    english = title.decide(cell_for(still(), {**price, "language": "both"}, language="en"))
    assert said(english) == ["Matte lipstick", "哑光口红", "¥129"]
    same = title.decide(cell_for(still(), {"text": "Lumière", "language": "both"}))
    assert said(same) == ["Lumière"]


def test_sizes_make_an_order():
    """Title above price above the other language, none below what can be read."""
    settings = {**PLAIN, "price": "¥129", "language": "both"}
    sizes = placed(title.decide(cell_for(still(1080, 1920), settings))).sizes
    assert sizes["title"] > sizes["price"] > sizes["second"] >= LEAST * 1080
    assert sizes["title"] == round(0.085 * 1080)


def test_long_words_grow_smaller_and_then_are_refused():
    """A title that does not fit at the least legible size is an error, with its place."""
    short = placed(title.decide(cell_for(still(), {"text": "春日限定"})))
    long = placed(title.decide(cell_for(still(), {"text": "春日限定哑光口红" * 6})))
    assert long.sizes["title"] < short.sizes["title"]
    assert len(long.lines) == 3
    with pytest.raises(BadPlan, match=r"title\.text: .* does not fit into the safe box of test"):
        title.decide(cell_for(still(), {"text": "春日限定哑光口红" * 20}))
    cue = {"start": 0, "end": 1, "text": "春日限定哑光口红" * 12}
    with pytest.raises(BadPlan, match=r"title\.cues: caption 1: .* part it in two"):
        title.decide(cell_for(delivery(540, 960), {"cues": [cue]}))


def test_errors_name_the_setting():
    """A missing glyph, an unknown name, an invisible character, a time past the end."""
    target = delivery(540, 960)
    for settings, message in [
        ({"text": "口红💄"}, r"title\.text: Noto Sans SC has no glyph for '💄'"),
        ({"price": "¥{{ product.facts.cost }}"}, r"title\.price: .*cost"),
        ({"text": "a\u202eb"}, r"title\.text: .*RIGHT-TO-LEFT OVERRIDE"),
        ({"text": "a", "start": 4}, r"title\.start: 4 s is past the end of the clip for test"),
        ({"text": "a", "end": 9}, r"title\.end: 9 s is past the end .*3\.1"),
        (
            {"cues": [{"start": 1, "end": 3.5, "text": "a"}]},
            r"title\.cues: caption 1 ends at 3\.5 s, and the clip for test at 3\.1",
        ),
    ]:
        with pytest.raises(BadPlan, match=message):
            title.decide(cell_for(target, settings))


def test_captions_come_from_files_in_both_languages(desk):
    """Two SRT files are set beneath each other; one that outlasts the clip is told by its line."""
    english = GOOD.replace("春日限定", "Spring edition").replace("第二行\n两行字", "Second")
    attached = {}
    for name, text in (("zh.srt", GOOD), ("en.srt", english)):
        path = desk.root / name
        path.write_text(text, "utf-8")
        attached[name] = Attachment(InputFile("0" * 64, name), read_srt(path))
    settings = {"subtitles_zh": "zh.srt", "subtitles_en": "en.srt", "language": "both"}
    file = blocks(title.decide(cell_for(delivery(540, 960), settings, attached=attached)))
    assert [(block.start, block.end) for block in file.captions] == [(0.5, 1.5), (1.5, 2.0)]
    lines = [line.text for block in file.captions for line in block.lines]
    assert lines == ["春日限定", "Spring edition", "第二行", "两行字", "Second"]
    late = (Caption(0.5, 1.5, "a", 3), Caption(3.0, 4.0, "b", 7))
    attached["zh.srt"] = replace(attached["zh.srt"], told=late)
    with pytest.raises(BadPlan, match=r"title\.subtitles_zh: zh\.srt:7: caption ends at 4 s"):
        title.decide(cell_for(delivery(540, 960), {"subtitles_zh": "zh.srt"}, attached=attached))
    attached["en.srt"] = replace(attached["en.srt"], told=late[:1])
    with pytest.raises(BadPlan, match=r"title\.subtitles_en: the two files have 2 and 1 captions"):
        title.decide(cell_for(delivery(540, 960), settings, attached=attached))


def test_the_poster_text_is_the_title_where_that_is_chosen():
    """`prompt.text` is set as it is written."""
    cell = cell_for(still(), {"source": "prompt-text"}, text="春日限定")
    with pytest.raises(
        BadPlan, match=r"title\.source: prompt-text sets prompt\.text, and there is n"
    ):
        title.decide(cell)
    poster = cell.campaign.model_copy(update={"prompt": Prompt(text="{{ campaign.title }}")})
    assert said(title.decide(replace(cell, campaign=poster))) == ["春日限定"]
    assert title.decide(replace(cell, campaign=poster, texts={"text": ""})) is None


@pytest.mark.parametrize("level", [0, 60, 110, 128, 150, 190, 255])
@pytest.mark.parametrize("kind", ["auto", "plate", "shadow"])
def test_letters_can_be_read_on_any_grey(desk, level, kind):
    """Measured on the drawn picture: 4.5 to 1 between the letters and what is right beside them."""
    settings = {"text": "口红", "size": 0.2, "ground": kind}
    drawn, text, facts = draw(desk, still(), settings, flat(level))
    assert facts["title_contrast"] >= 4.5
    assert beside(drawn, text) >= 4.5


def beside(drawn: np.ndarray, text: str) -> float:
    """Return the contrast of the letters' own colour with the ring of pixels around them."""
    style = next(line for line in text.splitlines() if line.startswith("Style: title"))
    blue, green, red = (int(style.split(",")[3][at : at + 2], 16) for at in (4, 6, 8))
    light = np.array(LINEAR, dtype=np.float32)[drawn] @ [0.2126, 0.7152, 0.0722]
    own = np.array(LINEAR)[[red, green, blue]] @ [0.2126, 0.7152, 0.0722]
    letters = np.abs(drawn.astype(int) - [red, green, blue]).max(axis=2) < 6
    wide, narrow = grown(letters, 4), grown(letters, 2)
    ring = light[wide & ~narrow]
    assert letters.sum() > 1000
    return contrast(own, float(np.quantile(ring, 0.9 if own > 0.5 else 0.1)))


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """Return a mask grown by some pixels to all sides."""
    padded = np.pad(mask, by)
    height, width = mask.shape
    shifts = [(y, x) for y in range(2 * by + 1) for x in range(2 * by + 1)]
    return np.logical_or.reduce([padded[y : y + height, x : x + width] for y, x in shifts])


def test_a_pattern_gets_a_plate_and_a_plain_ground_nothing(desk):
    """White letters on black and black ones on white need no help."""
    settings = {"text": "口红", "language": "zh"}
    assert "\\p1" in draw(desk, still(), settings, noise())[1]
    dark, light = (draw(desk, still(), settings, flat(level))[1] for level in (10, 250))
    assert "\\p1" not in dark + light
    assert "&H00FFFFFF" in dark
    assert "&H00101010" in light


def test_a_brand_colour_is_kept():
    """Only the ground is changed for a colour of one's own."""
    look, least = choose((0.3, 0.5), "#B3122B", "auto")
    assert look.colour == (0xB3, 0x12, 0x2B)
    assert look.plate == (255, 255, 255)
    assert least >= 4.5


def test_ink_stands_where_the_plan_says(desk):
    """Letters fill the box that was planned: nothing outside, and nearly all of its width."""
    target = still(1080, 1080)
    settings = {"text": "Avatar 口红 Quay", "price": "¥129.00", "position": "bottom-left"}
    drawn, *_ = draw(desk, target, settings, flat(0, (1080, 1080)))
    left, top, right, bottom = placed(title.decide(cell_for(target, settings))).ink
    ys, xs = np.nonzero(drawn[..., 0] > 64)
    assert left - 3 <= xs.min()
    assert xs.max() <= right + 3
    assert top - 3 <= ys.min()
    assert ys.max() <= bottom + 3
    assert xs.max() - xs.min() >= 0.94 * (right - left)
    assert ys.max() - ys.min() >= 0.85 * (bottom - top)


HOSTILE = [
    r"{\pos(0,0)}口红",
    r"口红\N{\p1}m 0 0 l 900 0 900 900{\p0}",
    r"a\nb\hc",
    "}口{红",
    r"\{\an1}",
    "Dialogue: 0,0:00:00.00,9:00:00.00,title,,0,0,0,,x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_never_a_command(desk, text):
    """Drawn as it is written: as wide as its characters, in its own place, all of them ink."""
    target = still(1080, 1080)
    settings = {"text": text, "motion": "none", "position": "bottom"}
    drawn, file, _ = draw(desk, target, settings, flat(0, (1080, 1080)))
    block = placed(title.decide(cell_for(target, settings)))
    ys, xs = np.nonzero(drawn[..., 0] > 64)
    left, top, right, bottom = block.ink
    assert xs.max() - xs.min() >= 0.9 * (right - left) - 20
    assert xs.max() <= right + 3
    assert top - 3 <= ys.min()
    assert ys.max() <= bottom + 3
    assert sum(line.startswith("Dialogue:") for line in file.splitlines()) == len(block.lines)


def test_every_glyph_is_its_own(desk):
    """Hanzi, Latin and the yen sign are each drawn, and none as the box of a missing glyph."""
    target, boxes = still(1080, 1080), []
    for character in "口红春¥gÈ":
        drawn, *_ = draw(desk, target, {"text": character, "size": 0.3}, flat(0, (1080, 1080)))
        boxes.append((drawn[..., 0] > 128).tobytes())
    assert len(set(boxes)) == len(boxes)


def test_a_brand_font_is_drawn(desk):
    """Its squares, not the bundled font's letters."""
    path = square_font(desk.root / "own.ttf")
    attached = {"own.ttf": Attachment(desk.file(path), read_font(path))}
    settings = {"text": "AB", "font_file": "own.ttf", "size": 0.2}
    drawn, *_ = draw(desk, still(), settings, flat(0), attached=attached)
    ys, xs = np.nonzero(drawn[..., 0] > 128)
    assert ys.max() - ys.min() == pytest.approx(0.5 * 0.2 * 540, abs=3)
    assert xs.max() - xs.min() == pytest.approx(1.1 * 0.2 * 540, abs=4)
    with pytest.raises(BadPlan, match="Atelier has no glyph for '红'"):
        title.decide(cell_for(still(), {**settings, "text": "口红"}, attached=attached))


def test_colours_are_those_that_were_asked_for(desk):
    """The letters' red is the brand's, to 2 levels."""
    settings = {"text": "口口口", "size": 0.3, "colour": "#B3122B", "ground": "none"}
    drawn, *_ = draw(desk, still(), settings, flat(255))
    core = drawn[grown(~grown(drawn[..., 1] > 100, 3), 0)]
    assert np.abs(np.median(core, axis=0) - [0xB3, 0x12, 0x2B]).max() <= 2


@pytest.mark.parametrize("motion", ["fade", "slide"])
def test_titles_come_and_go(desk, motion):
    """Nothing before the start, all of it between, nothing after the end; the cover shows it."""
    target = delivery(144, 256)
    settings = {"text": "口红", "size": 0.2, "motion": motion, "start": 0.5, "end": 2.5}
    decision = title.decide(cell_for(target, {**settings, "ground": "none"}))
    master = clip(desk.root / "master.mp4", (144, 256), frames=25, fps=8)
    node = Node(
        address=Address("title", "shot", "portrait", "test"),
        kind="title",
        version=title.STAGE.version,
        params=decision.params,
        inputs={"clip": desk.file(master)},
    )
    (made,) = desk.make(title.STAGE, node)
    titles = Titles(made.drafts["titles"].path, (144, 256))
    ground = flat(200, (144, 256))

    def change(at):
        return np.abs(np.asarray(titles.lay(ground, at)).astype(int) - 200).max()

    assert change(0.4) <= 2
    assert change(0.6) > 10
    assert change(decision.gives["titles"].settled) > 100
    assert change(2.6) <= 2
    assert made.facts["title_contrast"] > 1
    assert bundled("Noto Sans SC").name == "Noto Sans SC"
