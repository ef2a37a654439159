"""The gallery page in a real browser: filters, language, playing, widths, colours."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.home import Home
from tests.chromium import Chromium, needs_chromium
from tests.gallery_data import DAYS, PRODUCTS, Week

pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_chromium]

SHOWN = "[...document.querySelectorAll('{}')].filter(e => e.checkVisibility()).length"
PLAYING = "[...document.querySelectorAll('video')].filter(v => !v.paused && v.currentTime > 0)"
LAST = "[...document.querySelectorAll('video')].at(-1)"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    reason = {"mug-01/2026-03-06": "the clip does not move"}
    return Week(Home(tmp_path_factory.mktemp("home")), failing=reason).write()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    names = ["<script>alert(1)</script>", "w" * 200, "长" * 200, "👄💄", "منتج فاخر"]
    products = {f"p-{n}": ({"zh": name, "en": name}, 0.1) for n, name in enumerate(names)}
    return Week(Home(tmp_path_factory.mktemp("bad")), products=products, days=DAYS[:1]).write()


@pytest.fixture(scope="module")
def browser():
    with Chromium() as chromium:
        yield chromium


def shown(browser: Chromium, selector: str) -> int:
    return browser.value(SHOWN.format(selector))


def test_a_page_opens_without_a_complaint(browser, page):
    """The policy admits all that the page shows, and nothing is asked of a network."""
    browser.open(page)
    browser.until(f"{PLAYING}.length > 0")
    assert browser.complaints == []
    assert all(url.startswith(("file:", "about:")) for url in browser.requests)
    assert browser.value("[...document.images].some(i => i.complete && i.naturalWidth > 0)")


def test_clips_play_while_they_can_be_seen(browser, page):
    """At the top the last clip rests; scrolled to, it plays and the first shot's rest."""
    browser.open(page)
    browser.until(f"{PLAYING}.length > 0")
    assert browser.value(f"{LAST}.paused")
    browser.value("document.querySelector('#shot-4').scrollIntoView({behavior: 'instant'})")
    browser.until(f"{LAST}.currentTime > 0")
    browser.until("document.querySelector('#shot-1 video').paused")


def test_filters_can_be_clicked_and_sent(browser, page):
    """Product, day and platform narrow cards, tiles and clips; the address carries the choice."""
    browser.open(page)
    assert shown(browser, ".shot") == 4
    browser.click('[data-value="rouge-01"]')
    assert (shown(browser, ".shot"), shown(browser, ".tile")) == (2, 2)
    browser.click('[data-value="2026-03-06"]')
    browser.click('[data-value="bilibili"]')
    assert (shown(browser, ".shot"), shown(browser, ".frame")) == (1, 1)
    sent = browser.value("location.hash").lstrip("#")
    assert sent == "product=rouge-01&day=2026-03-06&delivery=bilibili"
    browser.open(page, sent)
    assert (shown(browser, ".shot"), shown(browser, ".frame")) == (1, 1)
    for axis in ("product", "day", "delivery"):
        browser.click(f'[data-axis="{axis}"] [data-value=""]')
    assert (shown(browser, ".shot"), shown(browser, ".frame")) == (4, 11)


def test_what_an_app_covers_is_shown_on_demand(browser, page):
    """The zone is the platform's safe box, to a pixel; the address keeps the choice."""
    browser.open(page)
    assert shown(browser, ".zone") == 0
    browser.value("document.querySelector('[data-zones]').click()")
    assert shown(browser, ".zone") == len(PRODUCTS) * len(DAYS)  # Douyin's alone has a box
    assert browser.value("location.hash.includes('zones=1')")
    left, right, top = browser.value(
        "(() => { const z = document.querySelector('.zone').getBoundingClientRect(),"
        " s = document.querySelector('.zone').parentElement.getBoundingClientRect();"
        " return [z.left - s.left, (s.right - z.right) / s.width, (z.top - s.top) / s.height]; })()"
    )
    assert abs(left) < 1
    assert abs(right - 150 / 1080) < 0.01
    assert abs(top - 150 / 1920) < 0.01


def test_a_failed_shot_stays_in_sight_of_its_platform(browser, page):
    """Filtering by the platform that a failure left out still shows why."""
    browser.open(page, "delivery=bilibili&day=2026-03-06&product=mug-01")
    assert (shown(browser, ".gap"), shown(browser, ".frame")) == (1, 0)


def test_a_view_that_matches_nothing_says_so(browser, page):
    """An address with an unknown product shows a sentence in place of an empty page."""
    browser.open(page, "product=<script>")
    assert (shown(browser, ".shot"), shown(browser, ".nothing")) == (0, 1)


def test_a_tile_leads_to_its_shot_and_keeps_the_view(browser, page):
    """Clicking a picture of the contact sheet scrolls to the shot; filters stay."""
    browser.open(page, "product=mug-01")
    browser.click('.tile[href="#shot-4"]')
    browser.until("document.querySelector('#shot-4').getBoundingClientRect().top < 300")
    assert browser.value("location.hash") == "#product=mug-01"


def test_the_language_can_be_switched(browser, page):
    """An English browser reads English, and one click turns every word Chinese."""
    browser.open(page)
    assert "Spring edition" in browser.value("document.body.innerText")
    browser.click('[data-language="zh"]')
    text = browser.value("document.body.innerText")
    assert "春日限定" in text
    assert "哑光口红" in text
    assert "Spring edition" not in text
    assert "Picture prompt" not in text


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_is_wider_than_its_window(browser, hostile, width):
    """Long words wrap or are cut: nothing makes a phone or a desk scroll sideways."""
    browser.open(hostile, width=width)
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.complaints == []


def test_text_can_be_read_by_day_and_night(browser, page):
    """Small grey text has a contrast of at least 4.5 on its ground in both schemes (WCAG AA)."""
    for dark in (False, True):
        browser.open(page, dark=dark)
        ink = browser.value("getComputedStyle(document.querySelector('.id')).color")
        ground = browser.value("getComputedStyle(document.body).backgroundColor")
        light = sorted((luminance(ink), luminance(ground)))
        assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.5
        assert (luminance(ground) < 0.1) is dark


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`, by WCAG 2's formula."""
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_hundred_shots_open_at_once(browser, tmp_path):
    """Nothing below the window is loaded before it is scrolled to."""
    products = {f"p-{n}": PRODUCTS["rouge-01"] for n in range(20)}
    week = Week(Home(tmp_path), 8, products, [DAYS[0].replace(day=2 + n) for n in range(5)])
    page = week.write()
    browser.requests.clear()
    browser.open(page)
    assert shown(browser, ".shot") == 100
    assert not any(url.endswith(".mp4") for url in browser.requests)
    assert page.stat().st_size < 600_000
