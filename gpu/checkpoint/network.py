"""One network from one file: its module without weights, then the weights, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import nn

from configs.errors import BadFile
from gpu.checkpoint import names_wan
from gpu.checkpoint.match import FP8, Piece, match, recognise
from gpu.checkpoint.packed import Fp8Linear, gguf_linear, widen_fp8, widen_gguf
from gpu.checkpoint.tensors import TensorFile
from gpu.turbo.int8 import Int8Linear
from gpu.turbo.sla import Blocks, add_sla

NARROW = ("t_embedder", "cap_embedder", "condition_embedder", "wo")
"""Layers that cast their input to their weight's number format, which must be one to compute in."""


@dataclass(frozen=True, slots=True)
class Network:
    """A module whose weights are not read yet, and where each lies."""

    module: Any
    """Of diffusers or transformers, which publish no types."""
    file: TensorFile
    pieces: list[Piece]

    def bytes(self, bytes_a_number: int, *, keep_packed: bool) -> int:
        """Return what the weights will take in memory."""
        return sum(
            piece.numbers * (1 if self.kept(piece, keep_packed) else bytes_a_number)
            for piece in self.pieces
        )

    def fill(self, *, dtype: torch.dtype, device: str, keep_packed: bool) -> nn.Module:
        """Read the weights, and return the module, ready to run.

        Args:
            dtype: to compute in; some layers stay float32, as from_pretrained has it.
            device: where the weights go.
            keep_packed: leave weights of 8 bits or fewer so, and widen them at each use.
        """
        self._reserve(dtype, device, keep_packed)
        groups = [list(some) for _, some in groupby(self.pieces, key=lambda piece: piece.source)]
        sources = self.file.read_all([pieces[0].source for pieces in groups], device)
        for pieces, whole in zip(groups, sources, strict=True):
            for piece in pieces:
                scale = self.file.read(piece.scale, device) if piece.scale else None
                rows = len(whole) // piece.parts if piece.parts > 1 else 0
                part = whole[piece.part * rows :][:rows] if rows else whole
                if self.kept(piece, keep_packed):
                    self._keep(piece, part, scale, dtype)
                else:
                    self._set(piece.target, _widened(piece, part, scale, self._dtype(piece, dtype)))
        if hasattr(self.module, "tie_weights"):
            self.module.tie_weights()
        whole_module: nn.Module = self.module.to(device).eval()
        return whole_module

    def _reserve(self, dtype: torch.dtype, device: str, keep_packed: bool) -> None:
        """Let torch take the card's memory at once; weights are cut from it as they come.

        Asking the driver for each tensor takes a fifth of a load from the page cache.
        """
        if device == "cuda":
            rounding = 512 * len(self.pieces)  # bytes, of torch's allocator
            size = self.bytes(dtype.itemsize, keep_packed=keep_packed) + rounding
            torch.empty(size, dtype=torch.uint8, device=device)

    def kept(self, piece: Piece, keep_packed: bool = False) -> bool:
        """Whether a weight stays packed."""
        place, _, _ = piece.target.rpartition(".")
        wanted = piece.tiled or (keep_packed and piece.packed)
        return wanted and may_stay_packed(place, self.module.get_submodule(place))

    def _keep(
        self, piece: Piece, part: torch.Tensor, scale: torch.Tensor | None, dtype: torch.dtype
    ) -> None:
        place = piece.target.removesuffix(".weight")
        like: Any = self.module.get_submodule(place)
        if piece.entry.dtype in FP8:
            self.module.set_submodule(place, Fp8Linear(like, part, scale))
        elif scale is not None:
            self.module.set_submodule(place, Int8Linear(part, scale, like.bias))
        else:
            self.module.set_submodule(place, gguf_linear(like, part, dtype))

    def _set(self, target: str, value: torch.Tensor) -> None:
        place, _, leaf = target.rpartition(".")
        layer = self.module.get_submodule(place)
        shaped = value.reshape(layer.get_parameter(leaf).shape)
        setattr(layer, leaf, nn.Parameter(shaped, requires_grad=False))

    def _dtype(self, piece: Piece, dtype: torch.dtype) -> torch.dtype:
        """Return the format to compute in: `dtype`, or float32 where diffusers keeps a layer so."""
        stay = {"proj_l"}  # of the sparse attention: trained and run in float32
        if hasattr(self.module, "from_config"):  # transformers' lists are for float16 alone
            stay |= set(self.module._keep_in_fp32_modules or ())
        return torch.float32 if stay & set(piece.target.split(".")) else dtype


def network(
    file: TensorFile,
    library: str,
    class_name: str,
    config: Mapping[str, Any],
    sla: Blocks | None = None,
) -> Network:
    """Return the network of `file`, its header checked against the whole module.

    Args:
        file: whose header is read already.
        library: `diffusers` or `transformers`.
        class_name: one of `match.LAYOUTS`.
        config: what the class is made from.
        sla: how sparsely the self-attention of a TurboDiffusion file attends.

    Raises:
        BadFile: where the file does not hold just this network, or is TurboDiffusion's without
            `sla`, or another's with it.
    """
    layout, _ = recognise(file, class_name)
    _check_sparse(file, layout is names_wan.TURBO, sla is not None)
    module = blank(library, class_name, config)
    if sla:
        add_sla(module, sla)
    made = Network(module, file, match(file, class_name, shapes(module)))
    for piece in made.pieces:
        if piece.tiled and not made.kept(piece):
            raise BadFile(f"{file.path}: key {piece.source!r} is int8, expected BF16, F16 or F32")
    return made


def _check_sparse(file: TensorFile, learnt: bool, wanted: bool) -> None:
    """Raise BadFile where sparse attention would lack its weights, or its weights their use."""
    if wanted and not learnt:
        raise BadFile(
            f"{file.path}: is not TurboDiffusion's: it has no key like {names_wan.TURBO.marks[0]!r}"
            "; name its file, or take `turbo` out of the model's row"
        )
    if learnt and not wanted:
        raise BadFile(
            f"{file.path}: is TurboDiffusion's, which needs its own sampler and attention: take a "
            "model with `turbo`, e.g. `turbo: {sampler: rcm-ode, sigma_max: 200}`"
        )


def blank(library: str, class_name: str, config: Mapping[str, Any]) -> nn.Module:
    """Return the module of `config` on the meta device: structure without memory."""
    import diffusers
    import transformers
    from diffusers.models.modeling_utils import no_init_weights

    # Buffers are computed, not read. Drawing first numbers is half the time, even without memory.
    with init_empty_weights(include_buffers=False), no_init_weights():
        if library == "diffusers":
            module: nn.Module = getattr(diffusers, class_name).from_config(dict(config))
        else:
            kind = getattr(transformers, class_name)
            module = kind(kind.config_class(**config))
    return module


def may_stay_packed(name: str, layer: nn.Module) -> bool:
    """Whether a layer's weight may: only that of a linear layer in a repeated block."""
    steps = name.split(".")
    repeated = any(step.isdigit() for step in steps[:3])
    return isinstance(layer, nn.Linear) and repeated and not set(steps) & set(NARROW)


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the parameters that a file must hold, and their shapes; tied ones count once."""
    tied = getattr(module, "_tied_weights_keys", None) or {}
    return {
        name: tuple(tensor.shape)
        for name, tensor in module.state_dict().items()
        if name not in tied
    }


def _widened(
    piece: Piece, part: torch.Tensor, scale: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    if piece.entry.dtype in FP8:
        return widen_fp8(part, scale, dtype)
    return widen_gguf(part, dtype) if piece.packed else part.to(dtype)
