"""People are told of what happened, by a webhook on this machine; addresses stay secret."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed
from prefect.utilities.importtools import import_object

from configs.errors import BadField
from configs.home import Home
from configs.notice import notices
from flows.notify import at_the_end, tell
from tests.listener import listening

SECRET = "s3cr3t-bot-key"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Apprise's own


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    (tmp_path / "notify.yaml").write_text(
        "tell:\n  - {to: env:OPS, on: [failed, approval]}\n  - {to: env:BOSS}\n", "utf-8"
    )
    monkeypatch.delenv("OPS", raising=False)
    monkeypatch.delenv("BOSS", raising=False)
    return Home(tmp_path)


def test_each_is_told_what_it_wants_to_know(home, monkeypatch):
    """One place is told of failures and approvals, the other of everything; in both languages."""
    with listening() as ops, listening() as boss:
        monkeypatch.setenv("OPS", ops.address(SECRET))
        monkeypatch.setenv("BOSS", boss.address(SECRET))
        assert tell(home, "finished", "demo", "all made") == []
        assert tell(home, "approval", "demo", "6 张首帧 keyframes") == []
    assert [told["title"] for told in boss.told] == [
        "keyreel demo: 已完成 finished",
        "keyreel demo: 等待审核 waits for approval",
    ]
    assert [told["message"] for told in ops.told] == ["6 张首帧 keyframes"]


@pytest.mark.parametrize("address", ["", "no address", f"json://127.0.0.1:1/{SECRET}"])
def test_an_address_that_fails_is_never_told(home, monkeypatch, caplog, address):
    """Missing, malformed or dead: the sentence names where it is kept, and nothing else."""
    monkeypatch.setenv("OPS", address)
    with caplog.at_level(0):
        said = tell(home, "failed", "demo", "2 of 4 shots failed")
    assert [one.partition(" was not told: ")[0] for one in said] == ["env:OPS", "env:BOSS"]
    assert SECRET not in "".join(said) + caplog.text


def test_a_refusal_is_told(home, monkeypatch, caplog):
    """A webhook that answers 403 did not take the message."""
    with listening() as ops, caplog.at_level(0):
        ops.status = 403
        monkeypatch.setenv("OPS", ops.address(SECRET))
        first, _ = tell(home, "failed", "demo", "x")
    assert first == "env:OPS was not told: it did not take the message"
    assert SECRET not in caplog.text


def test_nobody_is_told_where_nobody_is_named(tmp_path):
    """A home without the file sends nothing: the network is off unless asked for."""
    assert notices(Home(tmp_path)) == ()
    assert tell(Home(tmp_path), "failed", "demo", "x") == []


def test_every_flow_tells_how_it_ended(home, monkeypatch):
    """Of trouble all that can be asked for in Prefect's pages; of success those that make files."""
    file = Path(__file__).parent.parent / "prefect.yaml"
    words = {one["entrypoint"] for one in yaml.safe_load(file.read_text("utf-8"))["deployments"]}
    flows = {each.name: each for each in map(import_object, words)}
    assert len(flows) == 8
    quiet = {name for name, each in flows.items() if at_the_end not in each.on_completion_hooks}
    assert quiet == {"gpu-prewarm", "gpu-release", "catalog-maintenance"}
    for each in flows.values():
        assert at_the_end in each.on_failure_hooks
        assert at_the_end in each.on_crashed_hooks
    made = FlowRun(flow_id=uuid4(), name="brand/photo.png", parameters={"home": str(home.root)})
    with listening() as boss:
        monkeypatch.setenv("BOSS", boss.address(SECRET))
        at_the_end(flows["image-to-video"], made, Completed())
    (told,) = boss.told
    assert told["title"] == "keyreel image-to-video brand/photo.png: 已完成 finished"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("tell:\n  - {to: 'slack://token'}\n", r"notify\.yaml:2:\d+: tell\[0\]\.to"),
        ("tell:\n  - {to: env:OPS, on: [never]}\n", r"notify\.yaml:2:\d+: tell\[0\]\.on"),
        ("tell:\n  - {to: env:OPS, on: []}\n", r"notify\.yaml:2:\d+: tell\[0\]\.on"),
        ("tel: []\n", r"notify\.yaml:1:\d+: tel"),
    ],
)
def test_a_wrong_file_is_one_error_with_its_line(tmp_path, text, wanted):
    """An address that was written into the file itself is refused too."""
    (tmp_path / "notify.yaml").write_text(text, "utf-8")
    with pytest.raises(BadField, match=wanted):
        notices(Home(tmp_path))
