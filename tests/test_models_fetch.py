"""`keyreel models fetch` against a real server: what arrives, what is refused, in which words."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import pytest

from configs.errors import BadFile, BadInput, FetchFailed
from configs.home import Home
from configs.model import Model, Source
from flows import fetch
from flows.fetch import MANIFEST, accept, offer
from flows.models import named, verify
from tests.conftest import build_tiny_clip
from tests.hub_server import COMMIT, REPO, hub_of

pytestmark = pytest.mark.slow  # whole pictures, clips and downloads: half a minute together

BIG = "transformer/diffusion_pytorch_model.safetensors"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A tiny real clip model as its publisher has it, with files that are of no use."""
    folder = tmp_path_factory.mktemp("published")
    build_tiny_clip(folder)
    (folder / "README.md").write_text("read me", "utf-8")
    (folder / "transformer" / "old.bin").write_bytes(b"a pickle")
    return folder


@pytest.fixture
def hub(published, monkeypatch):
    """The hub, in place of Hugging Face's own."""
    # A chunk is written when it is whole: 10 MB, more than the tiny model has.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
    with hub_of(published) as server:
        yield server


@pytest.fixture
def model(clip_model):
    """The tiny model's row, with where it is published."""
    source = Source(repo=REPO, revision=COMMIT, licence="apache-2.0", gigabytes=0.001)
    return clip_model.model_copy(update={"source": source})


@pytest.fixture
def home(tmp_path, model):
    """An empty home that knows the model."""
    home = Home.create(tmp_path / "home")
    row = model.model_dump(mode="json", exclude_defaults=True)
    (home.root / "models.yaml").write_text(json.dumps({"tiny": row}), "utf-8")
    return home


def fetched(home, model, endpoint):
    accept(offer(home, "tiny", model, endpoint))
    return home.root / "models" / "tiny"


def test_a_fetched_model_is_whole_and_verified(home, model, hub, published):
    """Weights, configs and word lists arrive byte for byte; a README and a pickle do not."""
    folder = fetched(home, model, hub.address)
    arrived = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert arrived == set(hub.files) - {"README.md", "transformer/old.bin"} | {MANIFEST}
    assert all((folder / name).read_bytes() == hub.files[name] for name in arrived - {MANIFEST})
    assert "every byte as published" in verify(home, "tiny")
    assert json.loads((folder / MANIFEST).read_text("utf-8"))["revision"] == COMMIT


def test_the_offer_says_the_size_and_downloads_nothing(home, model, hub):
    """What a person is asked about is what would come."""
    offered = offer(home, "tiny", model, hub.address)
    kept = [data for path, data in hub.files.items() if not path.endswith((".md", ".bin"))]
    assert (offered.bytes, len(offered.wanted)) == (sum(map(len, kept)), len(kept))
    assert hub.asked == []
    assert not (home.root / "models" / "tiny").exists()


def test_a_cut_connection_is_gone_on_with(home, model, hub):
    """The second fetch asks for the rest alone, and meanwhile nothing has the model's name."""
    half = len(hub.files[BIG]) // 2048 * 1024
    hub.cut = {BIG: half}
    with pytest.raises(FetchFailed, match=r"answered 503; what has arrived is kept"):
        fetched(home, model, hub.address)
    assert not (home.root / "models" / "tiny").exists()
    hub.refused.clear()
    hub.asked.clear()
    folder = fetched(home, model, hub.address)
    assert (folder / BIG).read_bytes() == hub.files[BIG]
    assert hub.asked[0] == ("GET", BIG, f"bytes={half}-")  # what came before it is kept


def test_a_reset_connection_is_said_in_words(home, model, hub):
    """The library tries again after an end, not after a reset; a person does."""
    hub.cut, hub.resets = {BIG: len(hub.files[BIG]) // 2048 * 1024}, True
    with pytest.raises(FetchFailed, match=r"no way to the hub .*; what has arrived is kept"):
        fetched(home, model, hub.address)
    hub.refused.clear()
    assert (fetched(home, model, hub.address) / BIG).read_bytes() == hub.files[BIG]


def test_another_checksum_is_refused(home, model, hub):
    """Bytes of the right number but not those published are thrown away."""
    data = hub.files[BIG]
    hub.lies = {BIG: data[:-1] + bytes([data[-1] ^ 1])}
    with pytest.raises(FetchFailed, match=f"{BIG}: not the published bytes"):
        fetched(home, model, hub.address)
    assert not (home.root / "models" / "tiny").exists()
    hub.lies = {}
    assert (fetched(home, model, hub.address) / BIG).read_bytes() == data


def test_a_small_file_is_checked_as_well(home, model, hub):
    """Configs have a git name in place of a SHA-256."""
    data = hub.files["vae/config.json"]
    hub.lies = {"vae/config.json": data.replace(b"4", b"5", 1)}
    with pytest.raises(FetchFailed, match=r"vae/config\.json: not the published bytes"):
        fetched(home, model, hub.address)


def test_modelscope_speaks_another_language(home, model, hub, monkeypatch):
    """The same files come from there, gone on with where one was cut."""
    monkeypatch.setattr("flows.hub.MODELSCOPE", f"{hub.address}/modelscope")
    half = len(hub.files[BIG]) // 2048 * 1024
    hub.cut = {BIG: half}
    with pytest.raises(FetchFailed, match="answered 503"):
        fetched(home, model, "modelscope")
    hub.refused.clear()
    folder = fetched(home, model, "modelscope")
    assert ("GET", BIG, f"bytes={half}-") in hub.asked
    assert (folder / BIG).read_bytes() == hub.files[BIG]
    assert "every byte as published" in verify(home, "tiny")


def test_a_second_fetch_downloads_nothing(home, model, hub):
    """What is here as published is not wanted again."""
    fetched(home, model, hub.address)
    hub.asked.clear()
    assert offer(home, "tiny", model, hub.address).wanted == ()
    assert hub.asked == []


def test_what_is_missing_of_a_folder_is_added(home, model, hub):
    """Only the tokenizer is taken for rows of single files; the whole model joins it later."""
    part = model.source.model_copy(update={"only": ("tokenizer/*",)})
    folder = fetched(home, model.model_copy(update={"source": part}), hub.address)
    assert {path.name for path in folder.iterdir()} == {"tokenizer", MANIFEST}
    hub.asked.clear()
    fetched(home, model, hub.address)
    assert not [path for _, path, _ in hub.asked if path.startswith("tokenizer/")]
    assert "every byte as published" in verify(home, "tiny")


def test_a_file_of_ones_own_is_never_written_over(home, model, hub):
    """It may be somebody's finetune."""
    mine = home.root / "models" / "tiny" / "vae" / "config.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("{}", "utf-8")
    with pytest.raises(BadFile, match="is not as publisher/tiny published it; move it away"):
        fetched(home, model, hub.address)
    assert mine.read_text("utf-8") == "{}"


def test_a_small_disk_is_said_before_anything_comes(home, model, hub, monkeypatch):
    """Free and needed gigabytes are named."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, int(2e8)))
    with pytest.raises(FetchFailed, match=r"0\.2 GB free, and 1\.0 GB are needed"):
        fetched(home, model, hub.address)
    assert hub.asked == []


def test_a_licence_to_accept_is_said(home, model, hub):
    """With the page and what to set."""
    hub.gated = True
    with pytest.raises(
        FetchFailed, match=r"accept its licence at https://.*publisher/tiny.*HF_TOKEN"
    ):
        fetched(home, model, hub.address)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"repo": "publisher/gone"}, "publisher/gone: no such repository"),
        ({"revision": "f" * 40}, "has no commit ffffffffffff"),
        ({"only": ("nothing/*",)}, r"has no files like nothing/\*"),
    ],
)
def test_what_is_not_published_is_said(home, model, hub, change, says):
    """Repository, commit and patterns."""
    source = model.source.model_copy(update=change)
    with pytest.raises(FetchFailed, match=says):
        fetched(home, model.model_copy(update={"source": source}), hub.address)


def test_no_network_is_said_in_words(home, model, monkeypatch):
    """Nothing listens on port 9 of this machine; the library tries five times, 23 s in all."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    with pytest.raises(FetchFailed, match="no way to the hub"):
        fetched(home, model, "http://127.0.0.1:9")


@pytest.mark.parametrize("path", ["../../evil.json", "/etc/evil.json", ".hidden.json", "a b.json"])
def test_a_hostile_listing_writes_nothing(home, model, hub, path):
    """A name that leads out of the folder, or hides in it, ends the fetch."""
    hub.files = {**hub.files, path: b"{}"}
    with pytest.raises(FetchFailed, match="which is not taken"):
        fetched(home, model, hub.address)
    assert hub.asked == []


def test_a_token_goes_to_no_mirror(home, model, hub, monkeypatch):
    """The user's token is for the hub that gave it."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetched(home, model, hub.address)
    assert hub.tokens == {""}


def test_two_fetches_at_once_do_not_mix(home, model, hub):
    """The second is told that the first goes on."""
    offered = offer(home, "tiny", model, hub.address)
    offered.desk.mkdir(parents=True)
    with (
        fetch._alone(offered.desk.parent / "tiny.lock", offered.source),
        pytest.raises(FetchFailed, match="is being fetched already"),
    ):
        accept(offered)


def test_outside_a_fetch_the_network_stays_off(home, model, hub):
    """It is allowed for the fetch alone."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    fetched(home, model, hub.address)
    assert before == constants.HF_HUB_OFFLINE


def test_rows_that_cannot_be_fetched(home, clip_model, picture_model):
    """Shipped ones, and those that do not say where they are published."""
    with pytest.raises(BadInput, match="ships with keyreel"):
        offer(home, "mini", picture_model)
    with pytest.raises(BadInput, match="has no `source`"):
        offer(home, "own", clip_model)
    with pytest.raises(BadInput, match="'ftp://x': is no hub"):
        offer(home, "tiny", Model.model_validate(named(home, "tiny")), "ftp://x")
