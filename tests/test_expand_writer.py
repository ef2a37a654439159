from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from configs.errors import BadFile, BadInput
from gpu.text import Writer
from tasks.expanders import fulfil
from tests.expand_data import ROOT, expand

TOKENIZER = ROOT / "gpu" / "mini" / "weights" / "image" / "tokenizer"
# Opens a thought unless told not to, as Qwen3's own template does the other way round.
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is not defined or enable_thinking %}"
    "{{ raise_exception('thinking is on') }}{% endif %}"
)
MESSAGES = [{"role": "user", "content": "红色口红"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of two small layers with random weights, and a real tokenizer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    made = tmp_path_factory.mktemp("models") / "tiny-qwen3"
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=1536,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(made)
    for file in TOKENIZER.iterdir():
        shutil.copy(file, made / file.name)
    (made / "chat_template.jinja").write_text(CHAT, "utf-8")
    return made


@pytest.mark.slow
def test_a_local_model_answers_the_same_to_the_same_question(folder: Path):
    """Thinking is off; another seed gives another text; the caller's own draws are untouched."""
    import torch

    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    with Writer(folder) as writer:
        first = writer.answer(MESSAGES, seed=1, max_tokens=12)
        assert first
        assert first == writer.answer(MESSAGES, seed=1, max_tokens=12)
        assert first != writer.answer(MESSAGES, seed=2, max_tokens=12)
        assert not set(first) & {"<|im_end|>"}
    assert torch.rand(1) == wanted


@pytest.mark.slow
def test_the_weights_are_gone_afterwards(folder: Path):
    """Before the first picture needs the memory."""
    with Writer(folder) as writer:
        writer.answer(MESSAGES, seed=1, max_tokens=2)
        assert "_live" in vars(writer)
    assert "_live" not in vars(writer)


@pytest.mark.slow
def test_what_a_random_model_babbles_falls_back_to_the_template(folder: Path, tmp_path: Path):
    """Checked like any other answer, kept with its reason, and not asked again."""
    wish = expand(settings={"expand": {"expander": "local"}}).wishes[0]
    environment = {"KEYREEL_LLM_MODEL": folder.name}
    granted = fulfil(
        [wish], cache=tmp_path, models=folder.parent, environment=environment, max_tokens=8
    )
    assert "lacks 哑光口红" in granted[f"{wish.key}/why"]
    assert wish.key not in granted
    (kept,) = (tmp_path / "expansions").iterdir()
    assert json.loads(kept.read_text("utf-8"))["model"] == "local tiny-qwen3"


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "."])
def test_a_model_is_named_not_pathed(tmp_path: Path, name: str):
    """A folder of the home's models, and nothing else."""
    wish = expand(settings={"expand": {"expander": "local"}}).wishes[0]
    with pytest.raises(BadInput, match="KEYREEL_LLM_MODEL"):
        fulfil([wish], cache=tmp_path, models=tmp_path, environment={"KEYREEL_LLM_MODEL": name})


def test_a_folder_without_weights_is_a_sentence(tmp_path: Path):
    """Missing, or with pickled weights only."""
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadFile, match="no language model"):
            Writer(folder)


@pytest.mark.slow
def test_a_broken_model_is_a_sentence(folder: Path, tmp_path: Path):
    """Cut-off weights, or a tokenizer that cannot chat."""
    cut = shutil.copytree(folder, tmp_path / "cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(BadFile, match="cut: cannot be loaded"), Writer(cut) as writer:
        writer.answer(MESSAGES, seed=1, max_tokens=2)
    mute = shutil.copytree(folder, tmp_path / "mute")
    (mute / "chat_template.jinja").unlink()
    with pytest.raises(BadFile, match="no chat template"), Writer(mute) as writer:
        writer.answer(MESSAGES, seed=1, max_tokens=2)
