"""What the text encoder made of a prompt, kept: a prompt that comes again does not wake it.

A week asks for the same negative words in each picture, and for the same motion in many clips; with
an offload each time would move gigabytes of text encoder onto the card.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from gpu.weights import WeightsSpec

ROOM = 256_000_000
"""Bytes of main memory: a prompt of 512 tokens takes 2.6 MB for Z-Image and 4.2 MB for Wan."""

Key = tuple[str, str, str, bool, int, str]
"""Fingerprint, number format and device of the model, whether it is compiled, which rounds
otherwise; most tokens, SHA-256 of the words."""


class Embeddings:
    """Kept outputs of text encoders, in main memory; the least recently used go first.

    Args:
        room: bytes, at most.
    """

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, list[torch.Tensor]] = OrderedDict()

    def given(
        self,
        pipe: DiffusionPipeline,
        spec: WeightsSpec,
        prompt: str,
        negative: str | None,
        max_tokens: int,
    ) -> dict[str, Any]:
        """Return a pipeline's arguments for its prompts, as it would have encoded them itself.

        Args:
            pipe: leased.
            spec: its recipe; an offload or a tiled autoencoder does not matter to words.
            prompt: the words.
            negative: the words to stay away from; none where guidance is off.
            max_tokens: what the words are padded to.
        """
        told = {"prompt_embeds": prompt}
        if negative is not None:
            told["negative_prompt_embeds"] = negative
        return {name: self._of(pipe, spec, words, max_tokens) for name, words in told.items()}

    @property
    def bytes(self) -> int:
        """Held now."""
        with self._lock:
            return self._bytes()

    def _of(self, pipe: DiffusionPipeline, spec: WeightsSpec, words: str, most: int) -> Any:  # noqa: ANN401
        """Return one embedding on the pipeline's device: a tensor for Wan, a list for Z-Image."""
        text = hashlib.sha256(words.encode()).hexdigest()
        key = spec.fingerprint, spec.dtype, spec.device, spec.fit.compile, most, text
        with self._lock:
            if kept := self._held.get(key):
                self._held.move_to_end(key)
        if kept:
            there = [one.to(spec.device, non_blocking=True) for one in kept]
        else:
            there = _encode(pipe, words, most, spec.device)
            # A card copies them into locked memory beside the steps to come: none waits for it.
            self._keep(key, [one.to("cpu", non_blocking=True) for one in there])
        return there if spec.pipeline == "ZImagePipeline" else torch.stack(there)

    def _keep(self, key: Key, made: list[torch.Tensor]) -> None:
        with self._lock:
            self._held[key] = made
            while self._bytes() > self.room:
                self._held.popitem(last=False)

    def _bytes(self) -> int:
        return sum(one.nbytes for made in self._held.values() for one in made)


@torch.no_grad()
def _encode(pipe: DiffusionPipeline, words: str, most: int, device: str) -> list[torch.Tensor]:
    """Return the embedding of each prompt, of which there is one, on `device`.

    A pipeline that is not told its device looks for it in all modules: 3 ms.
    """
    made, _ = pipe.encode_prompt(
        prompt=words, device=device, do_classifier_free_guidance=False, max_sequence_length=most
    )
    return list(made)
