"""Prefect's forms in Debian's chromium: filled in and submitted as a person does, in both UIs."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from pathlib import Path

import pytest

from catalogs.store import Store
from tests.campaigns import home_with
from tests.chromium import Chromium, needs_chromium
from tests.prefect_team import team

pytestmark = [
    pytest.mark.long, pytest.mark.prefect, pytest.mark.browser, needs_chromium,
    pytest.mark.timeout(500),
]  # fmt: skip

SCREENSHOTS = Path(__file__).parent.parent / "build" / "screenshots"
"""Kept by CI, and looked at; not in git."""
GALLERY = "http://gallery.example"
AFTER = """(label, kinds) => {
  const named = [...document.querySelectorAll('label')].find(
    one => one.innerText.replace(' (Optional)', '').trim() === label);
  const found = [...document.querySelectorAll(kinds)].find(
    one => named.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING
      && one.getClientRects().length);
  document.querySelectorAll('[data-here]').forEach(one => one.removeAttribute('data-here'));
  found.setAttribute('data-here', '');
}"""
NATIVE = """(text) => {
  const found = document.querySelector('select[data-here]');
  if (!found) return false;
  found.value = text;
  found.dispatchEvent(new Event('change', {bubbles: true}));
  return found.value === text;
}"""
OPTION = """(text) => {
  const found = [...document.querySelectorAll('[role=option]')].find(
    one => one.innerText.trim() === text);
  document.querySelectorAll('[data-here]').forEach(one => one.removeAttribute('data-here'));
  found?.setAttribute('data-here', '');
  return !!found;
}"""


class Form:
    """The form of one deployment on one page."""

    def __init__(self, browser: Chromium, address: str):
        self.browser = browser
        browser.open(address)
        browser.until("document.body.innerText.includes('Seed')", 60)

    def at(self, label: str, kinds: str) -> None:
        self.browser.value(f"({AFTER})({json.dumps(label)}, {json.dumps(kinds)})")
        self.browser.click("[data-here]")

    def write(self, label: str, text: str) -> None:
        self.at(label, "textarea, input")
        self.browser.ask("Input.insertText", text=text)

    def choose(self, label: str, option: str) -> None:
        """Take an option: of a native list in the first UI, of a pop-over in the second."""
        self.at(label, "select, button[aria-haspopup=listbox]")
        if not self.browser.value(f"({NATIVE})({json.dumps(option)})"):
            self.browser.until(f"({OPTION})({json.dumps(option)})")
            self.browser.click("[data-here]")
            self.browser.until("!document.querySelector('[role=option]')")
            self.browser.until("getComputedStyle(document.body).pointerEvents !== 'none'")

    def submit(self) -> str:
        """Press the button and return the flow run's id, from the page's address or its link."""
        self.browser.value(
            "[...document.querySelectorAll('button')].find(b => b.innerText.trim() === 'Submit')"
            ".setAttribute('data-submit', '')"
        )
        link = "(document.querySelector('a[href*=\"flow-run/\"]')?.href || location.href)"
        press = "document.querySelector('[data-submit]')?.click()"  # whatever message lies over it
        self.browser.insist(lambda: self.browser.value(press), f"{link}.includes('flow-run/')")
        return str(self.browser.value(link)).rsplit("flow-run/", 1)[1].partition("?")[0]


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """A home, and a team's Prefect that has every deployment."""
    folder = tmp_path_factory.mktemp("office")
    home = home_with(folder / "home")
    with team(folder / "prefect", home) as running:
        deployed = running.prefect("deploy", "--all")
        assert deployed.returncode == 0, deployed.stdout[-2000:]
        running.environment["KEYREEL_GALLERY"] = GALLERY
        yield home, running


@pytest.fixture(scope="module")
def browser():
    """One browser for the file."""
    with Chromium() as opened:
        yield opened


def ask(running, path: str, **body):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(
        f"{running.url}/api/{path}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def finished(running, run_id: str, seconds: float = 200):
    """Wait for the end of a flow run; return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = ask(running, f"flow_runs/{run_id}")
        if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED"):
            return run
        time.sleep(1)
    raise TimeoutError(run["state"])


def test_every_deployment_has_a_form_of_words(office):
    """Nine; each field has a title and says what it is for; next week's has its hour."""
    _, running = office
    found = {one["name"]: one for one in ask(running, "deployments/filter", limit=50)}
    assert set(found) == {
        "campaign", "weekly-campaign", "text-to-video", "image-to-video", "batch",
        "rerender-deliveries", "gpu-prewarm", "gpu-release", "catalog-maintenance",
    }  # fmt: skip
    (schedule,) = found["weekly-campaign"]["schedules"]
    assert schedule["schedule"]["timezone"] == "Asia/Shanghai"
    for deployment in found.values():
        schema = deployment["parameter_openapi_schema"]
        for shape in [schema, *schema.get("definitions", {}).values()]:
            for field in shape.get("properties", {}).values():
                assert field["title"][0].isupper()
                assert len(field["description"]) > 10
    form = found["text-to-video"]["parameter_openapi_schema"]["definitions"]["TextToVideo"]
    assert next(iter(form["properties"])) == "prompt"
    assert form["properties"]["model"]["enum"] == ["auto", "mini-clip"]
    assert form["properties"]["look"]["enum"] == ["none", "demo", "stills"]
    campaign = found["campaign"]["parameter_openapi_schema"]
    assert campaign["properties"]["start"]["format"] == "date"
    for shape in (form, campaign):  # both UIs draw a null beside a type as two tabs
        assert not any("anyOf" in field for field in shape["properties"].values())


def test_a_picture_becomes_a_clip_by_either_form(office, browser):
    """Filled in and submitted in both UIs; the second finds the first one's clip made already."""
    home, running = office
    deployment = ask(running, "deployments/name/image-to-video/image-to-video")["id"]
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    runs = []
    with running.worker():
        for version in ("", "/v2"):
            address = f"{running.url}{version}/deployments/deployment/{deployment}/run"
            form = Form(browser, address)
            browser.picture(SCREENSHOTS / f"form{version.replace('/', '-')}.png")
            form.write("Picture", "brand/photo.png")
            form.choose("Camera", "push-in")
            form.choose("Shape", "1:1")
            form.write("Steps of the clip", "2")
            form.write("Seed", "0")
            browser.picture(SCREENSHOTS / f"form-filled{version.replace('/', '-')}.png")
            runs.append(finished(running, form.submit()))
            assert runs[-1]["state"]["type"] == "COMPLETED", runs[-1]["state"]["message"]
            browser.open(f"{running.url}{version}/runs/flow-run/{runs[-1]['id']}")
            browser.until("document.body.innerText.includes('Completed')", 30)
            browser.picture(SCREENSHOTS / f"run{version.replace('/', '-')}.png")
    assert all(run["parameters"]["request"]["seed"] == 0 for run in runs)
    shown = ask(running, "artifacts/filter", artifacts={"flow_run_id": {"any_": [runs[0]["id"]]}})
    kinds = {one["key"].partition("-2026")[0].partition("-2027")[0]: one for one in shown}
    assert {"campaign-progress", "campaign-now", "campaign-deliveries"} <= kinds.keys()
    assert [key for key in kinds if key.startswith("preview-clip")]
    assert kinds["campaign-progress"]["data"] == 100
    (picture,) = [one for one in shown if one["key"].startswith("picture-")]
    browser.open(f"{running.url}/artifacts/artifact/{picture['id']}")
    browser.until("document.querySelector('img[src^=\"data:image/jpeg\"]')?.naturalWidth > 100", 30)
    browser.picture(SCREENSHOTS / "picture.png", whole=False)
    (clip,) = home.deliveries.glob("image-to-video-*/*/clip/1x1-384p.mp4")
    assert clip.stat().st_size > 10_000
    assert len(Store(home.store).held()) == 6
    table = kinds["campaign-deliveries"]
    (row,) = json.loads(table["data"])
    assert hashlib.sha256(clip.read_bytes()).hexdigest() in row["page"]
    browser.open(f"{running.url}/artifacts/artifact/{table['id']}")
    browser.until(f"document.querySelector('a[href^=\"{GALLERY}/assets/\"]') !== null", 30)
    browser.picture(SCREENSHOTS / "table.png", whole=False)
