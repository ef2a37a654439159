"""Which parts of a pipeline are compiled, and how: once for all sizes, in one graph each.

Token counts stay symbols (`dynamic=True`), so that neither another size nor a longer prompt
compiles anew; a batch has one more graph than a single picture. Only parts that repeat are
compiled, so that 30 blocks take the time of one, and nothing is autotuned: that took 158 s for 3 %.
Z-Image's graphs are kept on disk: see `graphs.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.fx.experimental._config

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline, ZImagePipeline, ZImageTransformer2DModel
    from torch import nn

NETWORKS = ("transformer", "transformer_2")

GRAPHS = 64
"""Forms of one part that may be compiled: of Z-Image's block three, each alone and in a batch, in
bfloat16 and in 8 bits, and as many with an adapter. Beyond torch's 8 it would run uncompiled."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keyreel" / "inductor"
"""What was compiled: torch's own default is under /tmp, which does not outlive a restart."""


def compile_pipeline(pipe: DiffusionPipeline, backend: str = "inductor") -> None:
    """Compile the repeated parts of `pipe`; nothing is compiled before it first runs.

    Args:
        pipe: any; Z-Image's is compiled from its text encoder to its autoencoder.
        backend: of torch.compile.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(CACHE))
    torch._dynamo.config.recompile_limit = max(GRAPHS, torch._dynamo.config.recompile_limit)
    if type(pipe.transformer).__name__ == "ZImageTransformer2DModel":
        _compile_zimage(pipe, {"dynamic": True, "backend": backend})
        return
    from gpu.turbo import wan

    for network in (getattr(pipe, name, None) for name in NETWORKS):
        if network is not None:
            if type(network).__name__ == "WanTransformer3DModel":
                wan.make_fusible(network)
            network.compile_repeated_blocks(backend=backend)


def _compile_zimage(pipe: ZImagePipeline, options: dict[str, Any]) -> None:
    from gpu.turbo import graphs, zimage

    # Else two sizes that happen to be equal, as 3,840 channels and the tokens of 1280x768, are
    # taken for one, and the next size compiles anew.
    torch.fx.experimental._config.use_duck_shape = False
    # Else numbers of the modules, as a norm's epsilon, are traced as symbols, found not to be, and
    # all is traced again: half of what a new process takes to find what was compiled before.
    torch._dynamo.config.specialize_float = True
    zimage.make_fusible(pipe)
    (attention,) = {
        str(part.processor._attention_backend or "native")
        for part in pipe.transformer.modules()
        if hasattr(part, "processor")
    }
    put = graphs.shelves(CACHE.parent / "graphs", options, GRAPHS, attention)
    # Not their calls: hooks, the decoder's with a new one for each picture, stay outside.
    for part in (*_blocks(pipe.transformer), *pipe.text_encoder.layers, pipe.vae.decoder):
        put(part)


def _blocks(network: ZImageTransformer2DModel) -> list[nn.Module]:
    """Return the parts that repeat, as the network's class names them."""
    return [part for part in network.modules() if type(part).__name__ in network._repeated_blocks]
