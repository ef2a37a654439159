"""thu-ml/TurboDiffusion's own code, to be compared with.

Read from the folder that the environment variable KEYREEL_TURBODIFFUSION names: a checkout, best
of aaecff5. It needs einops and triton, which a machine without a graphics card interprets
(TRITON_INTERPRET=1). What only exists with CUDA is replaced, and nothing else: the extension of
int8 kernels (so 8-bit linears can't be run), flash-attn's rotation, and autocast, which torch
leaves off on a CPU.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from benchmarks.interpreter import bfloat16
from gpu.turbo.rcm import flow_times
from gpu.turbo.sla import Blocks, SLAProcessor, add_sla

FOLDER = "KEYREEL_TURBODIFFUSION"
HEADS, WIDTH, HIDDEN, TEXT, LAYERS = 2, 128, 512, 64, 2
"""Two heads of the real models' width: all the reference's kernels take, and small."""

SEED, SIGMA_MAX = 11, 200.0
"""Of the clip that is sampled."""

NAMES = (
    ("time_embedding.0.", "condition_embedder.time_embedder.linear_1."),
    ("time_embedding.2.", "condition_embedder.time_embedder.linear_2."),
    ("text_embedding.0.", "condition_embedder.text_embedder.linear_1."),
    ("text_embedding.2.", "condition_embedder.text_embedder.linear_2."),
    ("time_projection.1.", "condition_embedder.time_proj."),
    ("head.head.", "proj_out."),
    ("head.modulation", "scale_shift_table"),
    (".modulation", ".scale_shift_table"),
    (".self_attn.attn_op.local_attn.proj_l.", ".attn1.proj_l."),
    (".self_attn.", ".attn1."),
    (".cross_attn.", ".attn2."),
    (".q.", ".to_q."),
    (".k.", ".to_k."),
    (".v.", ".to_v."),
    (".o.", ".to_out.0."),
    (".norm3.", ".norm2."),
    (".ffn.0.", ".ffn.net.0.proj."),
    (".ffn.2.", ".ffn.net.2."),
)
"""The reference's names to diffusers', in this order."""


def missing() -> str:
    """Return what keeps the reference from being run here; empty where nothing does."""
    if not os.environ.get(FOLDER):
        return f"{FOLDER} names no checkout of thu-ml/TurboDiffusion"
    for module in ("triton", "einops"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        return "neither a graphics card nor TRITON_INTERPRET=1"
    return ""


def load() -> types.SimpleNamespace:
    """Import the reference's model factory, networks and attention."""
    root = Path(os.environ[FOLDER]) / "turbodiffusion"
    for path in (root, root / "inference"):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _stand_in("imaginaire.utils.log", info=print)
        _stand_in("imaginaire.utils.distributed")
        _stand_in("rcm.utils.model_utils", load_state_dict=None)
        if importlib.util.find_spec("turbo_diffusion_ops") is None:
            _stand_in("turbo_diffusion_ops", quant_cuda=None, gemm_cuda=None)
        import modify_model
        import SLA.core
        import SLA.utils
        from rcm.networks import wan2pt2
        from rcm.utils import attention
        from rcm.utils.selective_activation_checkpoint import SACConfig
    if wan2pt2.flash_apply_rotary_emb is None:
        wan2pt2.flash_apply_rotary_emb = _rotate_pairs
    if not torch.cuda.is_available():  # the CPU has none of the backends that it asks for
        backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
        for half in (True, False):
            attention._SDPA_CONFIG_CACHE["cpu", None, half] = (0, backends, sdpa_kernel)
    return types.SimpleNamespace(
        factory=modify_model, sla=SLA.core, maps=SLA.utils, wan=wan2pt2, plain=SACConfig("none")
    )


def _stand_in(name: str, **contents: object) -> None:
    """Put an empty module in place of one that asks for what this comparison does without."""
    if name in sys.modules:
        return
    module = sys.modules[name] = types.ModuleType(name)
    module.__dict__.update(contents)
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(importlib.import_module(parent), leaf, module)


def _rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor, **_: bool) -> Tensor:
    """What flash-attn's rotation does of channel pairs: (B, L, H, D) by angles of (L, D / 2)."""
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.complex(cos, sin)[:, None]
    return torch.view_as_real(turned).flatten(-2)


class _Autocast(TorchFunctionMode):
    """CUDA's autocast, of the two operations that the reference relies on it for."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtypes = {
            F.linear: dtype,
            F.layer_norm: torch.float32,
            torch.layer_norm: torch.float32,
        }

    def __torch_function__(
        self,
        func: Callable[..., Tensor],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> Tensor:
        """Cast the tensors that `func` is given."""
        if func in self.dtypes:
            to = self.dtypes[func]
            args = [one.to(to) if isinstance(one, Tensor) else one for one in args]
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Let the reference run, also on a machine without a graphics card."""
    if torch.cuda.is_available():
        yield
        return
    with (
        mock.patch("torch.amp.autocast", _Autocast),
        mock.patch.object(Tensor, "cuda", Tensor.contiguous),
        bfloat16(),
    ):
        yield


def new_reference(reference: types.SimpleNamespace, share: float | None) -> nn.Module:
    """Return a small image-to-video network of the reference in float32, with random weights.

    Args:
        reference: from `load`.
        share: of blocks, for SLA and the fast norms of its inference scripts; none: as trained.
    """
    torch.manual_seed(0)
    net = reference.wan.WanModel(
        model_type="i2v", in_dim=36, dim=HEADS * WIDTH, ffn_dim=HIDDEN, text_dim=TEXT,
        num_heads=HEADS, num_layers=LAYERS, sac_config=reference.plain,
    )  # fmt: skip
    if share is not None:
        reference.factory.replace_attention(net, "sla", share)
    for name, weight in net.named_parameters():
        spread = 0.1 if weight.ndim == 1 else weight.shape[-1] ** -0.5
        centre = 1.0 if name.endswith("weight") and weight.ndim == 1 else 0.0
        weight.data = (centre + spread * torch.randn_like(weight)).bfloat16().float()
    if share is not None:
        reference.factory.replace_linear_norm(net, replace_norm=True)
    return net.eval()


def in_bfloat16(net: nn.Module) -> nn.Module:
    """Cast `net`, ours or the reference's, as its real weights are: float32 norms and the like."""
    keep = ("norm", "rope", "proj_l")
    if isinstance(net, WanTransformer3DModel):
        keep = (*net._keep_in_fp32_modules, "proj_l")
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        if tensor.is_floating_point() and not any(part in name for part in keep):
            tensor.data = tensor.data.bfloat16()
    return net


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the reference's weights under diffusers' names and shapes."""
    ours = {}
    for name, tensor in state.items():
        for theirs, new in NAMES:
            name = name.replace(theirs, new)
        ours[name] = tensor.view(-1, 36, 1, 2, 2) if name == "patch_embedding.weight" else tensor
    return ours


def new_ours(net: nn.Module, blocks: Blocks | None) -> WanTransformer3DModel:
    """Return diffusers' model with the weights of the reference's `net`, SLA where `blocks`."""
    model = WanTransformer3DModel(
        num_attention_heads=HEADS, attention_head_dim=WIDTH, in_channels=36, out_channels=16,
        text_dim=TEXT, ffn_dim=HIDDEN, num_layers=LAYERS,
    ).eval()  # fmt: skip
    if blocks is not None:
        add_sla(model, blocks)
    model.load_state_dict({name: t.clone() for name, t in renamed(net.state_dict()).items()})
    return model


@contextlib.contextmanager
def fixed_map(
    reference: types.SimpleNamespace, model: WanTransformer3DModel, chosen: Tensor
) -> Iterator[None]:
    """Let the reference, and ours, attend to the `chosen` blocks in every layer and step."""
    for block in model.blocks:
        assert isinstance(block.attn1.processor, SLAProcessor)
        block.attn1.processor.chosen = chosen
    lut, kept = chosen.long(), chosen.shape[-1]
    mapped = torch.zeros(*lut.shape[:3], int(lut.max()) + 1, dtype=torch.int8).scatter_(-1, lut, 1)
    with mock.patch.object(reference.sla, "get_block_map", return_value=(mapped, lut, kept)):
        yield


def sampled(
    velocity: Callable[[Tensor, Tensor], Tensor], shape: Sequence[int], ode: bool
) -> Tensor:
    """Return the latents after four steps of the reference's loop, which is part of a script.

    One generator draws the first noise and one noise in each step, the last too.
    """
    source, times = torch.Generator().manual_seed(SEED), flow_times(SIGMA_MAX, 4)

    def noise() -> Tensor:
        return torch.randn(tuple(shape), generator=source, device="cpu").to(times.device)

    x = noise().double() * times[0]
    for now, after in pairwise(times):
        v = velocity(x, (now.float().double() * 1000).bfloat16().float()).double()
        x = x - (now - after) * v if ode else (1 - after) * (x - now * v) + after * noise()
    return x
