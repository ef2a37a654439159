"""The gallery page of a run, read as HTML: what it shows, escapes and links to."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from catalogs.node import Address
from catalogs.record import Entry, Place
from configs.errors import BadFile
from configs.home import Home
from tests.gallery_data import DAYS, Week, draw

HOSTILE = ["<script>alert(1)</script>", "\"q' onload=x><b>&amp;", "长" * 300, "👄💄", "منتج فاخر"]
REASON = "the clip does not move: <b>0.0003</b> where 0.002 is the least"


class Page(HTMLParser):
    """The tags and text of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.folder = path.parent
        self.source = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag: str, **attributes: str | None) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)

    def links(self, *tags: str) -> list[str]:
        found = [
            tag.get(name) for kind, tag in self.tags for name in ("src", "href") if kind in tags
        ]
        return [link for link in found if link and not link.startswith("#")]


@pytest.fixture(scope="module")
def week(tmp_path_factory) -> Week:
    return Week(Home(tmp_path_factory.mktemp("home")), failing={"mug-01/2026-03-06": REASON})


@pytest.fixture(scope="module")
def page(week) -> Page:
    return Page(week.write())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Page:
    products = {f"p-{n}": ({"zh": name, "en": name}, 0.1) for n, name in enumerate(HOSTILE)}
    return Page(Week(Home(tmp_path_factory.mktemp("bad")), 8, products, DAYS[:1]).write())


def test_each_shot_has_a_card_and_each_delivery_a_clip(page):
    """Two products on two days for three platforms, less one failure: 4 cards, 11 clips."""
    assert page.count("article") == 4
    assert page.count("figure") == 11
    assert page.count("a", **{"class": "tile"}) == 4
    assert page.count("video", loop=None, muted=None, playsinline=None, preload="none") == 11 + 4


def test_every_link_leads_to_a_file(page):
    """All links are relative and lead to a file, though the campaign's folder has `#` and 春."""
    links = page.links("a", "img", "video", "link", "script")
    assert any("spring%20%231%20%E6%98%A5" in link for link in links)
    for link in links:
        assert "://" not in link
        assert not link.startswith("/")
        assert (page.folder / unquote(link)).is_file(), link


def test_a_moved_folder_still_shows_everything(page, tmp_path):
    """Posters and previews lie beside the page, so they go where it goes."""
    moved = Page(shutil.copytree(page.folder, tmp_path / "elsewhere") / "index.html")
    assert all((moved.folder / unquote(link)).is_file() for link in moved.links("img", "video"))


def test_previews_take_no_disk(page, week):
    """A preview is the store's own file under a second name."""
    assets = {path.stat().st_ino for path in week.home.store.rglob("*.mp4")}
    assert {path.stat().st_ino for path in page.folder.glob("media/*.mp4")} == assets


def test_nothing_comes_from_a_network(page):
    """No address of another machine stands anywhere in the page, style and script included."""
    assert not re.search(r"(https?:)?//[a-z]", page.source)


def test_the_policy_admits_only_what_is_inlined(page):
    """The security policy names the hashes of the one style and the one script, and no more."""
    policy = next(tag["content"] for name, tag in page.tags if name == "meta" and "content" in tag)
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not any("style" in tag for _, tag in page.tags)


def test_hostile_names_stay_text(hostile):
    """Markup in a name is shown as written: one script, no handler, no tag of its own."""
    assert hostile.count("script") == 1
    assert hostile.count("b", onload="x") == 0
    assert not any(name.startswith("on") for _, tag in hostile.tags for name in tag)
    for name in HOSTILE:
        assert name in hostile.text


def test_a_failure_is_told_with_its_reason_and_what_it_cost(page):
    """The failed shot says what could not be made, why, and which platform goes without."""
    assert "The clip could not be made" in page.text
    assert REASON in page.text
    assert "Not delivered: 哔哩哔哩Bilibili" in page.text
    assert page.count("mark") == 1
    assert "shot with a failure" in page.text


def test_all_of_a_recipe_can_be_read(page):
    """Prompts, seed, motion, template, model, steps, size and other axes stand on the card."""
    for word in ("玫瑰花瓣", "187263526001", "push in", "推近", "product-closeup", "window"):
        assert word in page.text
    assert "mini-image, 8 steps, 288×512, 512×288" in page.text
    assert "160×" not in page.text
    assert "180×320" in page.text


def test_both_languages_are_told(page):
    """Whatever is said in Chinese is said in English."""
    said = [tag["lang"] for name, tag in page.tags if "lang" in tag and name != "html"]
    assert said.count("zh") == said.count("en") > 40


def test_the_head_sums_up(page):
    """The head tells brand, title, days, counts and time."""
    for words in (
        "Lumière",
        "春日限定",
        "Mon 2 Mar – Fri 6 Mar 2026",
        "2026年3月2日",
        "2 min 14 s",
    ):
        assert words in page.text


def test_an_interrupted_run_says_how_to_go_on(week):
    """A run stopped on its way shows what is there, and that running again goes on."""
    entry = Entry(
        place=Place(stage="export", shot="mug-01/2026-03-02"), key="1" * 64, state="planned"
    )
    page = Page(week.write(id="stopped", state="interrupted", finished="", entries=(entry,)))
    assert "Run it again to go on" in page.text
    assert page.count("video") == 0
    assert page.count("article") == 4


def test_an_own_photo_stands_for_a_shot_without_pictures(tmp_path):
    """Where only a clip without a cover was made, the tile shows the photo it was made from."""
    week = Week(Home(tmp_path), days=DAYS[:1])
    (tmp_path / "brand").mkdir()
    draw((300, 300), 0.3).save(tmp_path / "brand" / "mug.jpg")
    export = week.export("mug-01/2026-03-02", "own", (90, 160), 0.1, photo="brand/mug.jpg")
    page = Page(week.write(entries=(export,)))
    assert page.count("img", loading="lazy") == 1
    assert page.count("video", preload="none") == 1
    assert page.count("video", preload="metadata") == 1


def test_a_still_delivery_is_a_picture_without_motion(tmp_path):
    """A run of stills shows pictures, their sizes and files, and tells of no camera move."""
    week = Week(Home(tmp_path), days=DAYS[:1])
    shot = "mug-01/2026-03-02"
    still = week.picture(Address("export", shot, "", "note"), draw((108, 144), 0.5))
    page = Page(week.write(entries=(still,), shots={shot: week.run.shots[shot]}))
    assert (page.count("video"), page.count("figure"), page.count("img")) == (0, 1, 2)
    assert "108×144" in page.text
    assert "Motion" not in page.text


def test_a_photo_outside_the_home_is_refused(tmp_path):
    """A record that names a file outside the home puts nothing of it on the page."""
    week = Week(Home(tmp_path / "home"), days=DAYS[:1])
    draw((30, 30), 0.3).save(tmp_path / "secret.png")
    export = week.export("mug-01/2026-03-02", "own", (90, 160), 0.1, photo="../secret.png")
    with pytest.raises(BadFile, match="outside the home"):
        week.write(entries=(export,))


def test_a_full_week_is_laid_out_in_rows_of_days(tmp_path):
    """Where every product has the same seven days, a row of the contact sheet is its week."""
    days = [DAYS[0] + dt.timedelta(days=n) for n in range(7)]
    page = Page(Week(Home(tmp_path), 4, days=days).write())
    assert page.count("section", **{"class": "sheet some week"}) == 1
    assert "--columns: 7;" in page.source
    assert "Women's Day" in page.text


def test_a_page_is_replaced_whole(week):
    """Writing again gives the same page and leaves no draft behind."""
    first = week.write().read_bytes()
    page = week.write()
    assert page.read_bytes() == first
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "contact-sheet.jpg",
        "index.html",
        "media",
    ]
