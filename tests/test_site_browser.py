"""The site in a real browser: log in, find, compare, judge, try, take away; by day and night."""

from __future__ import annotations

import time

import pytest

from catalogs.runs import write_run
from catalogs.store import Store
from flows.approval import verdicts
from tests.chromium import Chromium, needs_chromium
from tests.gallery_data import DAYS
from tests.site_data import home_with_a_week, served, token

pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_chromium, pytest.mark.timeout(120)]

WORDS = "[...document.querySelectorAll('p,b,small,td,th,a,label,h1,h2')]"
BRIEF = """\
name: spring
brand: {name: x}
calendar: {start: 2026-03-02}
products: [{id: rouge-01, name: x}, {id: mug-01, name: y}]
deliveries: [douyin, xiaohongshu, bilibili]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of a week with long and hostile names, and a reviewer's token."""
    products = {
        "rouge-01": ({"zh": "哑光口红", "en": "matte lipstick"}, 0.97),
        "mug-01": ({"zh": "长" * 80, "en": "<script>alert(1)</script>" + "w" * 120}, 0.58),
    }
    week = home_with_a_week(
        tmp_path_factory.mktemp("site") / "home", products=products, days=DAYS[:1]
    )
    (week.home.campaigns / "spring.yaml").write_text(BRIEF, "utf-8")
    told = {**week.run.parameters, "file": "spring.yaml"}
    shots = {name: shot | {"language": "zh"} for name, shot in week.run.shots.items()}
    run = week.run.model_copy(update={"parameters": told, "shots": shots})
    write_run(week.home.runs, run)
    with served(week.home) as (address, _):
        given = token(week.home, "reviewer", "Rui")
        yield address, week, given


@pytest.fixture(scope="module")
def browser(site):
    """A browser that is logged in."""
    address, _, given = site
    with Chromium() as chromium:
        chromium.open(f"{address}/search")
        chromium.until("location.pathname === '/login'")
        chromium.value(f"document.querySelector('#token').value = '{given}'")
        chromium.click(".login .go")
        chromium.until("location.pathname === '/search'")
        yield chromium


def test_a_login_leads_to_the_page_that_was_asked_for(browser, site):
    """The policy admits all that the page shows; nothing is asked of another host."""
    browser.complaints.clear()
    browser.open(f"{site[0]}/search")
    browser.until("[...document.images].some(i => i.complete && i.naturalWidth > 0)")
    assert browser.complaints == []
    assert all(url.startswith((site[0], "about:")) for url in browser.requests)
    assert browser.value("document.cookie") == ""  # no script can read the session


def test_a_clip_plays_from_the_middle(browser, site):
    """A run's page plays what is in sight; seeking on an asset's page asks for a range."""
    browser.open(f"{site[0]}/runs/{site[1].run.id}")
    browser.until("[...document.querySelectorAll('video')].some(v => v.currentTime > 0)")
    browser.click(".frame .screen")
    browser.until("document.querySelector('video.whole')?.readyState >= 1")
    browser.value("document.querySelector('video.whole').currentTime = 0.8")
    browser.until("!document.querySelector('video.whole').seeking")
    assert browser.value("document.querySelector('video.whole').currentTime") >= 0.7


def test_chosen_assets_are_compared(browser, site):
    """Two ticks and a click lead to both, side by side."""
    browser.open(f"{site[0]}/search")
    browser.click(".item:nth-child(1) input")
    browser.click(".item:nth-child(2) input")
    browser.click("form[action='/compare'] button")
    browser.until("location.pathname === '/compare' && document.readyState === 'complete'")
    assert browser.value("document.querySelectorAll('.beside figure').length") == 2


def test_a_keyframe_is_judged_with_a_note(browser, site):
    """The verdict stands beside the picture, under the token's name, and in the store."""
    address, week, _ = site
    browser.open(f"{address}/approve")
    browser.value("document.querySelector('.judge input[name=note]').value = 'too dark'")
    browser.value("document.querySelector('.judge .go.warn').click()")
    browser.until("document.querySelector('.judge .rejected') !== null", 30)
    (review,) = verdicts(week.home).values()
    assert (review.verdict, review.note, review.reviewer) == ("rejected", "too dark", "Rui")
    assert len(Store(week.home.store).reviews.names()) == 1


def test_a_change_is_asked_for(browser, site):
    """Another seed is written down as a job, and the runs page shows it."""
    address, *_ = site
    browser.open(f"{address}/search?stage=keyframe")
    browser.value("document.querySelector('.item a').click()")
    browser.until("document.querySelector('.change summary') !== null", 30)
    browser.click(".change summary")
    browser.value("document.querySelector('input[name=steps]').value = '9'")
    browser.click(".change .go:not(.calm)")
    browser.until("location.pathname === '/' && document.querySelector('.jobs .state') !== null")


def test_the_language_stays_chosen(browser, site):
    """One click, and the next page is Chinese too."""
    browser.open(site[0] + "/")
    browser.click("button[data-language=zh]")
    browser.open(f"{site[0]}/search")
    text = browser.value("document.body.innerText")
    browser.click("button[data-language=en]")
    assert "素材" in text
    assert "Assets" not in text


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_is_wider_than_its_window(browser, site, width):
    """Long words wrap; hashes and graphs scroll inside their own frame."""
    address, week, _ = site
    browser.open(f"{address}/search")
    asset = browser.value("document.querySelector('.item a').pathname")
    digest = asset.rsplit("/", 1)[1]
    for path in ("/", f"/runs/{week.run.id}", "/search", asset, "/approve", "/packages/starter",
                 f"/compare?a={digest}&a={digest}"):  # fmt: skip
        browser.open(address + path, width=width)
        assert browser.value("document.documentElement.scrollWidth") == width, path


def test_small_words_can_be_read_by_day_and_night(browser, site):
    """Grey text has a contrast of at least 4.5 on its ground in both schemes (WCAG AA)."""
    from tests.test_gallery_browser import luminance

    for dark in (False, True):
        browser.open(f"{site[0]}/search", dark=dark)
        ground = browser.value("getComputedStyle(document.body).backgroundColor")
        inks = browser.value(f"[...new Set({WORDS}.map(e => getComputedStyle(e).color))]")
        for ink in inks:
            light = sorted((luminance(ink), luminance(ground)))
            assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.5, ink


def test_a_zip_is_packed_and_taken_away(browser, site, tmp_path):
    """Two clicks from the run's page to the bytes that `keyreel package` wrote."""
    address, week, _ = site
    browser.open(f"{address}/runs/{week.run.id}")
    browser.click("form[action='/packages/spring'] button")
    browser.until("document.querySelector('.zips a') !== null", 30)
    browser.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click(".zips a[href$='spring-douyin.zip']")
    taken, end = tmp_path / "spring-douyin.zip", time.monotonic() + 20
    while not taken.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert taken.read_bytes() == (week.home.packages / "spring/spring-douyin.zip").read_bytes()
