"""Text from a causal language model on this machine. Knows nothing of prompts or campaigns.

Not in the cache of weights: it writes while a campaign is resolved, and is gone before the first
picture is drawn.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from configs.errors import BadFile
from gpu.device import detect, dtype_for, use_allowed_cores

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Writer:
    """A chat model in a folder: config, tokenizer with a chat template, safetensors.

    with Writer(folder) as writer:
        writer.answer([{"role": "user", "content": "…"}], seed=1, max_tokens=200)

    Loaded at the first question, dropped on leaving.

    Raises:
        BadFile: where the folder is missing or holds no safetensors weights.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise BadFile(
                f"{folder}: no language model: it must hold config.json, tokenizer.json and "
                "*.safetensors"
            )
        self.folder = folder

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__dict__.pop("_live", None)
        gc.collect()
        if detect().kind == "cuda":
            import torch

            torch.cuda.empty_cache()

    def answer(self, messages: Sequence[Mapping[str, str]], *, seed: int, max_tokens: int) -> str:
        """Return the model's answer, without thinking aloud; equal arguments give equal text.

        Sampling as Qwen3 advises for answers without thought: temperature 0.7, the best 0.8 and 20.
        """
        import torch

        tokenizer, model = self._live
        inputs = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            add_generation_prompt=True,
            enable_thinking=False,
            return_tensors="pt",
            return_dict=True,
        ).to(model.device)
        cards = [model.device] if model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=cards):
            torch.manual_seed(seed)
            made = model.generate(
                **inputs,
                max_new_tokens=max_tokens,
                do_sample=True,
                temperature=0.7,
                top_p=0.8,
                top_k=20,
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
            )
        text: str = tokenizer.decode(
            made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return text

    @cached_property
    def _live(self) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        use_allowed_cores()
        device = detect()
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, **options)
            model = AutoModelForCausalLM.from_pretrained(
                self.folder,
                dtype=getattr(torch, dtype_for(device)),
                use_safetensors=True,
                **options,
            )
        except Exception as error:  # transformers lets through whatever its parts raise
            raise BadFile(
                f"{self.folder}: cannot be loaded: {str(error).splitlines()[0]}"
            ) from None
        if tokenizer.chat_template is None:
            raise BadFile(f"{self.folder}: its tokenizer has no chat template; use a chat model")
        return tokenizer, model.to(device.kind).eval()
