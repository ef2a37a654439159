"""How many tokens a prompt is for a model, so that none is cut without a word.

Counts with the model's own tokenizer.json through `tokenizers`, which starts in milliseconds where
transformers takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from configs.errors import BadFile, BadPlan
from configs.model import Model

_CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
"""What ZImagePipeline wraps a prompt in before it counts to its limit."""
_WORD = re.compile(r"[a-z0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts the tokens of a text."""

    count: Callable[[str], int]
    exact: bool


def _estimate(text: str) -> int:
    """Return more tokens than Qwen's and UMT5's tokenizers make of usual Chinese and English.

    They need about 0.7 a hanzi and 1.3 an English word; this takes 1 a hanzi or other sign, and 1
    for every 3 letters of a word.
    """
    signs = len("".join(_WORD.sub("", text).split()))
    return signs + sum((len(word) + 2) // 3 for word in _WORD.findall(text))


ESTIMATE = Counter(_estimate, exact=False)


@lru_cache(maxsize=16)
def counter(folder: Path) -> Counter:
    """Return the counter of the model in `folder`; an estimate where it has no tokenizer.json.

    Raises:
        BadFile: where tokenizer.json is broken.
    """
    file = folder / "tokenizer" / "tokenizer.json"
    if not file.exists():
        return ESTIMATE
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise BadFile(f"{file}: not a tokenizer: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # encode_batch_fast: a third faster than encode, as it keeps no offsets.
    return Counter(lambda text: len(tokenizer.encode_batch_fast([text])[0]), exact=True)


def check_tokens(text: str, model: Model, count: Counter = ESTIMATE) -> int:
    """Return how many tokens `text` is for `model`.

    Raises:
        BadPlan: where that is more than it reads.
    """
    said = _CHAT.format(text) if model.pipeline == "ZImagePipeline" else text
    tokens = count.count(said)
    if tokens > model.max_tokens:
        about = "" if count.exact else "about "
        guess = "" if count.exact else " (estimated: its folder has no tokenizer.json)"
        raise BadPlan(
            f"a prompt of {about}{tokens} tokens{guess}; the model in {model.folder!r} reads "
            f"{model.max_tokens}: shorten the template or what `prompt` adds: {text[:60]!r}…"
        )
    return tokens
