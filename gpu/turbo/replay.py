"""A text encoder's launches, recorded on a card once and played back as one: a CUDA graph.

From Python they take longer than the card's work, which waits: umT5's 24 layers of some 60 launches
40 ms for 13, Z-Image's Qwen3, though compiled, 36 for 8. Floors for 512 tokens on an H100 at 600
TFLOP/s and 3.35 TB/s: 4.7 G weights, 4.8 TFLOP, 8 ms, read in 3; 3.5 G, 3.6 TFLOP, 6 ms, read in 2.
One recording serves all prompts, since they are padded to as many tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from gpu.turbo.zimage import read_words

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

Place = tuple[torch.Size, tuple[int, ...]]
"""Of the tokens' shape, and of the weights in the card's memory."""
Work = Callable[[Tensor, Tensor], ModelOutput]
"""Of token ids (B, L) and their mask. It asks the card for nothing back."""


def record(pipe: DiffusionPipeline) -> None:
    """Let the text encoder of a compiled `pipe`, which stays on its card, play back what it did."""
    encoder = pipe.text_encoder
    compiled = getattr(encoder.forward, "func", None) is read_words
    if compiled or type(encoder).__name__ == "UMT5EncoderModel":
        encoder.forward = Recorded(encoder)


def forget(pipe: DiffusionPipeline) -> None:
    """Give back the memory of what was recorded: the weights of `pipe` leave the card."""
    forward = getattr(getattr(pipe, "text_encoder", None), "forward", None)
    if isinstance(forward, Recorded):
        forward.tape = None


class Recorded:
    """An encoder's forward. Recorded anew where its weights moved, or more tokens are asked for.

    Args:
        encoder: on a card, a prompt at a time is played back; else it answers as it did.
    """

    def __init__(self, encoder: torch.nn.Module) -> None:
        self._encoder, self.work = encoder, encoder.forward
        self.tape: _Tape | None = None

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, **_: object) -> ModelOutput:
        """Return what the encoder says to `input_ids` (1, L), until it is asked again."""
        if not input_ids.is_cuda or len(input_ids) > 1:
            said: ModelOutput = self.work(input_ids, attention_mask)
            return said
        place = self.place(input_ids)
        if self.tape is None or self.tape.place != place:
            self.tape = None  # its memory first
            self.tape = _Tape(place, self.work, input_ids, attention_mask)
        return self.tape.play(input_ids, attention_mask)

    def place(self, input_ids: Tensor) -> Place:
        """Return what a recording holds for: it reads weights where they lay."""
        return input_ids.shape, tuple(one.data_ptr() for one in self._encoder.parameters())


class _Tape:
    """One recording, and the memory that it reads from and writes to."""

    @torch.no_grad()
    def __init__(self, place: Place, work: Work, ids: Tensor, mask: Tensor) -> None:
        self.place = place
        self._given = ids.clone(), mask.clone()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            work(*self._given)  # libraries set themselves up, which cannot be recorded
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads go on meanwhile: a clip's noise is drawn beside, frames are copied out.
        with torch.cuda.graph(self._graph, stream=beside, capture_error_mode="thread_local"):
            self._made = work(*self._given)

    def play(self, ids: Tensor, mask: Tensor) -> ModelOutput:
        for held, given in zip(self._given, (ids, mask), strict=True):
            held.copy_(given)
        self._graph.replay()
        return self._made
