"""The tokenizer (byte-level BPE over captions in both languages) and token batches.

``python -m gpu.mini.train.text`` trains the tokenizer anew: only before models from nothing, since
the shipped weights are bound to the shipped one, which was trained on the captions of its day.
"""

import os
import random
from pathlib import Path

import torch
from torch import Tensor

from gpu.mini.captions import vary, vary_motion
from gpu.mini.scenes import draw_scene
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

FOLDER = Path(__file__).parents[1] / "weights" / "image" / "tokenizer"
"""Both models' tokenizer, as the image model ships it."""
SIZE = 1536
VIDEO_TOKENS = 64
"""Wan attends to padding: this many tokens in training and in every call."""
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(count: int = 30000) -> None:
    """Trains the tokenizer and saves it over the shipped one, `FOLDER`.

    Lower-cased and NFKC, so that full-width text is the same.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng, motions, texts = random.Random(0), vocabulary().ids("motion"), []
    for i in range(count):
        words, language = draw_scene(rng, "square").words, ("en", "zh")[i % 2]
        motion = rng.choice(motions)
        texts.append(
            vary(rng, words, language) if i % 3 else vary_motion(rng, words, motion, language)
        )
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=special, max_token_length=24, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))  # fmt: skip
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<|endoftext|>", eos_token="<|im_end|>",
        padding_side="right", model_max_length=512, additional_special_tokens=["<|im_start|>"],
    )  # fmt: skip
    fast.chat_template = CHAT
    fast.save_pretrained(FOLDER)


def tokenizer() -> Untyped:
    """The tokenizer that both models ship."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER)


def video_tokens(tok: Untyped, captions: list[str]) -> tuple[Tensor, Tensor]:
    """Ids [N, VIDEO_TOKENS] and lengths [N] of clip captions, as Wan's pipeline makes them."""
    rows = tok(captions, truncation=True, max_length=VIDEO_TOKENS).input_ids
    return _padded(rows, VIDEO_TOKENS)


def image_tokens(tok: Untyped, captions: list[str], width: int) -> tuple[Tensor, Tensor]:
    """Ids [N, width] and lengths [N] of picture captions in Z-Image's chat form."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true"  # off after a fork by itself: 17 s instead of 1
    said = [f"<|im_start|>user\n{c}<|im_end|>\n<|im_start|>assistant\n" for c in captions]
    rows = tok(said, truncation=True, max_length=width).input_ids
    return _padded(rows, width)


def _padded(rows: list[list[int]], width: int) -> tuple[Tensor, Tensor]:
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids, torch.tensor([len(r) for r in rows])


if __name__ == "__main__":
    train_tokenizer()
