"""`keyreel models list | verify | fetch | warm`, as a person types them."""

from __future__ import annotations

import json
import shutil
import struct

import pytest

from configs.home import Home
from flows import command
from flows.fetch import MANIFEST
from flows.models import shelf, warm
from tests.conftest import SHIPPED, build_tiny_clip
from tests.hub_server import COMMIT, REPO, hub_of


@pytest.fixture
def keyreel(home, monkeypatch, capsys):
    """Run the command: `keyreel(*words) -> (code, out, err)`."""

    def type_in(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["keyreel", "--home", str(home.root), *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return type_in


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    build_tiny_clip(folder)
    return folder


@pytest.fixture
def home(tmp_path, clip_model):
    """A home that knows one more model, which is published nowhere yet."""
    home = Home.create(tmp_path / "home")
    source = {"repo": REPO, "revision": COMMIT, "licence": "mit", "gigabytes": 0.5}
    row = {**clip_model.model_dump(mode="json", exclude_defaults=True), "source": source}
    (home.root / "models.yaml").write_text(json.dumps({"tiny": row}), "utf-8")
    return home


@pytest.fixture
def tiny(home, published):
    """The folder of a model that a person put there."""
    folder = home.root / "models" / "tiny"
    shutil.copytree(published, folder)
    return folder


def rewrite_header(path, change):
    """Change the header of a safetensors file, its tensors as they are."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_the_list_says_what_is_here(home, tiny):
    """Shipped models and the home's own are here; a missing one says how to get it."""
    rows = {one.name: one for one in shelf(home)}
    assert rows["tiny"].there
    assert rows["tiny"].bytes == sum(
        path.stat().st_size for path in tiny.rglob("*") if path.is_file()
    )
    assert rows["mini-clip"].profiles == ("mini",)
    assert rows["mini-clip"].there
    turbo = rows["z-image-turbo"]
    assert (turbo.there, turbo.bytes, turbo.licence) == (False, 33e9, "apache-2.0")
    assert turbo.text == "keyreel models fetch z-image-turbo"
    files = rows["turbowan2.1-t2v-1.3b"]  # a fetch would bring its tokenizer alone
    assert (files.there, files.bytes) == (False, 0)
    assert "set files.root to TurboDiffusion's checkpoints folder" in files.text
    assert "80gb" in turbo.profiles


def test_the_list_tells_half_a_model_from_a_whole_one(home, tiny):
    """A file cut short is not here."""
    weights = tiny / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert not next(one for one in shelf(home) if one.name == "tiny").there


def test_the_list_prints_a_line_a_model(keyreel):
    """Tab-separated in a pipe, with the profiles that draw with each."""
    code, out, _ = keyreel("models", "list")
    lines = {line.split("\t")[0]: line.split("\t") for line in out.splitlines()}
    assert code == 0
    assert lines["mini-picture"][1:5] == ["here", "0.03", "keyreel's", "mini"]
    assert lines["tiny"][1:4] == ["-", "0.50", "mit"]


def test_the_shipped_models_verify(keyreel):
    """Their keys and shapes are those that their configs ask for."""
    code, out, _ = keyreel("models", "verify")
    assert code == 0
    assert out.count("3 networks: every key and shape") == 2


def _rename(header):
    header["blocks.0.ffn.net.3.weight"] = header.pop("blocks.0.ffn.net.2.weight")


def _reshape(header):
    header["blocks.0.ffn.net.2.weight"]["shape"].reverse()


@pytest.mark.parametrize(
    ("change", "says"),
    [(_rename, "blocks.0.ffn.net.3.weight"), (_reshape, "blocks.0.ffn.net.2.weight")],
)
def test_a_wrong_key_is_named(keyreel, tiny, change, says):
    """One key renamed or reshaped in one file, and no weight is read."""
    rewrite_header(tiny / "transformer" / "diffusion_pytorch_model.safetensors", change)
    code, _, err = keyreel("models", "verify", "tiny")
    assert code == 2
    assert says in err


def test_a_config_of_another_size_is_found(keyreel, tiny):
    """The weights are whole, but not those of this config."""
    path = tiny / "transformer" / "config.json"
    path.write_text(path.read_text("utf-8").replace('"ffn_dim": 32', '"ffn_dim": 64'), "utf-8")
    code, _, err = keyreel("models", "verify", "tiny")
    assert code == 2
    assert "'blocks.0.ffn.net.2.weight' has shape [24, 32], expected [24, 64]" in err


def test_all_models_are_verified_though_one_is_bad(keyreel, tiny):
    """Each has its line; the exit code is the worst one's."""
    rewrite_header(tiny / "transformer" / "diffusion_pytorch_model.safetensors", _rename)
    code, out, _ = keyreel("models", "verify")
    assert code == 2
    assert [line[:4].strip() for line in out.splitlines() if line[:4].strip()][:3] == [
        "ok",
        "ok",
        "BAD",
    ]


def test_fetch_says_size_and_licence_and_asks(keyreel, published, home):
    """With nobody to ask it downloads nothing; --yes does, and verify compares every byte."""
    with hub_of(published) as hub:
        words = ("models", "fetch", "tiny", "--endpoint", hub.address)
        code, out, err = keyreel(*words)
        assert code == 2
        assert "licence mit" in out
        assert "0.00 GB" in out
        assert "say --yes" in err
        assert hub.asked == []
        code, out, _ = keyreel(*words, "--yes")
        assert code == 0
        assert "every byte as published" in out
        assert "here already" in keyreel(*words)[1]
    assert "every byte as published" in keyreel("models", "verify", "tiny")[1]


def test_a_byte_that_changed_since_the_fetch_is_found(keyreel, tiny):
    """The folder's manifest has the SHA-256 of every file."""
    sums = {"tokenizer/tokenizer.json": "0" * 64}
    (tiny / MANIFEST).write_text(json.dumps({"files": sums}), "utf-8")
    code, _, err = keyreel("models", "verify", "tiny")
    assert code == 2
    assert "tokenizer/tokenizer.json: is not as it was published (SHA-256)" in err


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', "{"])
def test_a_damaged_manifest_is_an_error(keyreel, tiny, text):
    """It is not taken for none."""
    (tiny / MANIFEST).write_text(text, "utf-8")
    code, _, err = keyreel("models", "verify", "tiny")
    assert code == 2
    assert "damaged" in err


def test_an_unknown_model_is_named(keyreel):
    """With the name that was meant."""
    code, _, err = keyreel("models", "verify", "mini-clop")
    assert code == 2
    assert "mini-clip" in err


@pytest.mark.slow
def test_warm_says_seconds_and_rate(keyreel, home, tiny):
    """Every model of the profile is loaded once; one folder may hold that of words alone, too."""
    index = (tiny / "model_index.json").read_text("utf-8")  # as Wan2.2-TI2V-5B is published:
    (tiny / "model_index.json").write_text(index.replace("WanImageToVideo", "Wan"), "utf-8")
    rows = json.loads((home.root / "models.yaml").read_text("utf-8"))
    rows["words"] = {**rows["tiny"], "makes": "text-clip", "pipeline": "WanPipeline"}
    mini = {"device": "cpu", "picture": "mini-picture", "clip": "tiny", "text_clip": "words"}
    (home.root / "models.yaml").write_text(json.dumps(rows), "utf-8")
    (home.root / "profiles.yaml").write_text(json.dumps({"mini": {**mini, "budget_gb": 2}}))
    code, out, err = keyreel("models", "warm", "--profile", "mini")
    assert (code, err) == (0, "")
    assert [line.partition(":")[0] for line in out.splitlines() if line.endswith("GB/s")] == [
        "mini-picture",
        "tiny",
        "words",
    ]
    picture = next(warm(home, "mini"))
    files = list((SHIPPED / "image").rglob("*.safetensors"))
    assert picture.bytes > sum(path.stat().st_size for path in files)
    assert picture.rate == picture.bytes / 1e9 / picture.seconds


def test_the_doctor_says_how_to_get_a_model(keyreel, home):
    """Of those that this machine draws with, were there a tokenizer already; others are counted."""
    (home.root / "models" / "tiny" / "tokenizer").mkdir(parents=True)
    mini = {"device": "cpu", "picture": "mini-picture", "clip": "tiny", "budget_gb": 2}
    (home.root / "profiles.yaml").write_text(json.dumps({"mini": mini}))
    _, out, _ = keyreel("doctor")
    lines = [line for line in out.splitlines() if "model" in line.split()[1:3]]
    assert [line.split()[0] for line in lines] == ["ok", "ok", "missing"]
    assert "`keyreel models fetch tiny`, or put its diffusers folder at" in out
    away = len(list(shelf(home))) - 3
    assert f"{away} are not here; profile mini needs none of them (`keyreel models list`)" in out
