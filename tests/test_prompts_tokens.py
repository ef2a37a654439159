from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import BadFile, BadPlan
from configs.model import Model
from configs.tokens import ESTIMATE, check_tokens, counter

MINI = Path(__file__).parents[1] / "gpu" / "mini" / "weights" / "image"
MODEL = Model(
    makes="picture",
    pipeline="ZImagePipeline",
    folder="image",
    dialect="mini",
    sizes={"portrait": (288, 512), "square": (384, 384), "landscape": (512, 288)},
    steps=8,
    max_tokens=64,
)
TEXT = "红色哑光口红，放在圆形展台上，薰衣草紫背景"


def test_a_prompt_is_counted_as_its_model_counts():
    """With the model's own tokenizer, its chat frame included."""
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(
        str(MINI / "tokenizer" / "tokenizer.json")
    )
    framed = f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n"
    assert counter(MINI).exact
    assert check_tokens(TEXT, MODEL, counter(MINI)) == len(tokenizer.encode(framed).ids)


def test_a_prompt_too_long_is_an_error_that_says_by_how_much():
    """It is never cut in silence."""
    with pytest.raises(BadPlan, match=r"a prompt of \d+ tokens; the model in 'image' reads 64"):
        check_tokens(TEXT * 16, MODEL, counter(MINI))


def test_the_last_token_still_fits():
    """The limit itself is allowed, one more is not."""
    limit = check_tokens(TEXT, MODEL.model_copy(update={"max_tokens": 512}), counter(MINI))
    check_tokens(TEXT, MODEL.model_copy(update={"max_tokens": limit}), counter(MINI))
    with pytest.raises(BadPlan):
        check_tokens(TEXT, MODEL.model_copy(update={"max_tokens": limit - 1}), counter(MINI))


def test_a_folder_without_tokenizer_is_estimated_and_says_so(tmp_path: Path):
    """On the safe side: more tokens than usual text has."""
    assert counter(tmp_path) is ESTIMATE
    with pytest.raises(BadPlan, match=r"about \d+ tokens \(estimated"):
        check_tokens(TEXT * 4, MODEL, ESTIMATE)
    assert ESTIMATE.count("commercial photography") == 8
    assert ESTIMATE.count("商业 摄影。") == 5


def test_a_broken_tokenizer_is_one_sentence(tmp_path: Path):
    """A half-downloaded file is named."""
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text('{"model"', "utf-8")
    with pytest.raises(BadFile, match=r"tokenizer\.json: not a tokenizer"):
        counter(tmp_path)


def test_counting_imports_no_transformers():
    """A plan starts in a second."""
    code = (
        "import sys; from pathlib import Path; from configs.tokens import counter;"
        f"counter(Path({str(MINI)!r})).count('x'); assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
