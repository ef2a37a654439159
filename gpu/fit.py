"""How a pipeline is fitted into a device: what is moved out of its memory, and what is traded.

Moving weights changes no pixel; tiling, another attention or compiled blocks do. Where memory runs
out, the neutral ways are tried first. Knows nothing of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from configs.errors import BadInput, StageFailed

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from gpu.weights import Weights, WeightsSpec

T = TypeVar("T")

OFFLOADS = ("none", "model", "group")
"""From fastest to smallest: all weights on the device, one network at a time, one layer at a time.
Of the same request on one kind of device they give the same bytes."""

TRANSFORMERS = ("transformer", "transformer_2")


@dataclass(frozen=True, slots=True)
class Fit:
    """The choices; the defaults are what a device with room for everything uses."""

    offload: str = "none"
    """One of OFFLOADS. Changes no pixel."""
    tiling: bool = False
    """The autoencoder works on tiles, whose edges are blended."""
    attention: str = "native"
    """One of `configs.model.Attention`."""
    compile: bool = False
    """The networks' repeated parts are compiled: kernels that round in another order."""
    quantisation: str = "none"
    """One of `configs.model.Quantisation`: how the transformers' linear layers multiply."""

    @classmethod
    def of(cls, pixels: Mapping[str, str], offload: str) -> Fit:
        """Return the fit that a content key says, with an offload, of which keys say nothing."""
        return cls(
            offload,
            pixels.get("vae") == "tiled",
            pixels.get("attention", "native"),
            pixels.get("blocks") == "compiled",
            pixels.get("quantisation", "none"),
        )

    @property
    def pixels(self) -> dict[str, str]:
        """What of it changes pixels: a part of the content key.

        What is off is left out, so that keys from before there was a choice still stand.
        """
        told = {"attention": self.attention}
        if self.tiling:
            told["vae"] = "tiled"
        if self.compile:
            told["blocks"] = "compiled"
        if self.quantisation != "none":
            told["quantisation"] = self.quantisation
        return told

    def smaller(self) -> Iterator[Fit]:
        """Yield what needs less memory: first what changes no pixel, then what does."""
        for offload in OFFLOADS[OFFLOADS.index(self.offload) + 1 :]:
            yield replace(self, offload=offload)
        if not self.tiling:
            yield replace(self, offload=OFFLOADS[-1], tiling=True)

    def __str__(self) -> str:
        parts = [f"offload {self.offload}", *(f"{k} {v}" for k, v in self.pixels.items())]
        return ", ".join(parts)


ROOMY = Fit()
"""For a device with room for everything."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """What ran in place of what was asked for, and why."""

    asked: Fit
    ran: Fit
    reason: str

    @property
    def changes_pixels(self) -> bool:
        """Whether the result belongs under another content key."""
        return self.asked.pixels != self.ran.pixels

    def __str__(self) -> str:
        advice = "; `vae_tiling: true` in the profile plans it so" if self.changes_pixels else ""
        return f"{self.asked} -> {self.ran}: {self.reason}{advice}"


def apply(pipe: DiffusionPipeline, fit: Fit, device: str) -> None:
    """Fit a pipeline, whose weights are in main memory where they are to be offloaded.

    Raises:
        BadInput: where the attention backend or the quantisation does not work on this machine.
    """
    from gpu import turns
    from gpu.turbo import compiled, fp8, replay

    for network in (getattr(pipe, name, None) for name in TRANSFORMERS):
        if network is not None:
            _attend(network, fit.attention)
            if fit.quantisation == "fp8":
                fp8.quantise(network, device)
    if fit.compile:
        compiled.compile_pipeline(pipe)
        if fit.offload == "none":
            replay.record(pipe)
    if fit.tiling:
        pipe.vae.enable_tiling()
    if fit.offload == "model":
        turns.take_turns(pipe, device)
    elif fit.offload == "group":
        _offload_groups(pipe, device)


def _attend(network: Any, backend: str) -> None:  # noqa: ANN401  (diffusers' own)
    """Choose a backend, even the default: diffusers lets new models inherit the last chosen."""
    from gpu.folder import quiet

    try:
        with quiet():
            network.set_attention_backend(backend)
    except (ImportError, RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise BadInput(
            f"attention {backend} does not work here ({said}); write `attention: native` in the "
            "profile"
        ) from error


def _offload_groups(pipe: DiffusionPipeline, device: str) -> None:
    """Bring in layer by layer; on a card the next one comes while this one works.

    The autoencoder stays: it is small, and runs its layers once for each group of frames. diffusers
    takes locked weights as they are; locking them itself, it needs up to twice their memory.
    """
    import torch

    from gpu.locked import fits, hold, parameters

    moved = parameters(part for name, part in pipe.components.items() if name != "vae")
    locks = device == "cuda" and fits(moved)
    pipe.locked = hold(moved) if locks else []
    pipe.enable_group_offload(
        onload_device=torch.device(device),
        offload_type="leaf_level",
        use_stream=locks and all(block.locked for block in pipe.locked),
        exclude_modules=["vae"],
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or main memory, had no more room."""
    import torch

    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in FULL)
    )


FULL = ("can't allocate memory", "STATUS_ALLOC_FAILED", "CUDA error: out of memory")
"""In messages of plain RuntimeErrors: torch's allocator of main memory, cuDNN's and cuBLAS's, and
CUDA's where no more memory can be pinned."""


def fitted(
    spec: WeightsSpec,
    weights: Weights,
    shape: tuple[int, ...],
    work: Callable[[DiffusionPipeline], T],
    on_fallback: Callable[[Fallback], None],
) -> T:
    """Return what `work` gives of the leased pipeline, in less memory where it must.

    What fitted is remembered with the cache, by shape: a week runs out of memory once, not for
    each shot.

    Args:
        spec: the weights, and the fit asked for.
        weights: the cache to lease from.
        shape: sides, and frames: what the memory needed depends on.
        work: is done anew from its beginning where memory ran out.
        on_fallback: told what ran, where that is not what was asked for.

    Raises:
        StageFailed: where even the smallest fit runs out of memory.
    """
    learned = weights.learned.get((spec.key, shape))
    ways = [learned.ran] if learned else [spec.fit]
    ways += ways[0].smaller()
    reason = learned.reason if learned else ""
    for fit in ways:
        try:
            made = _leased(replace(spec, fit=fit), weights, work)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            said = str(error).partition(" GPU ")[0].splitlines() or [type(error).__name__]
            reason = f"out of memory: {said[0][:160]}"
        else:
            if fit != spec.fit:
                weights.learned[spec.key, shape] = Fallback(spec.fit, fit, reason)
                on_fallback(weights.learned[spec.key, shape])
            return made
        weights.release_all()  # out here: the error's traceback held the pipeline and its work
    size = "x".join(map(str, shape))
    raise StageFailed(
        f"{size} does not fit into the device's memory, even with {ways[-1]} ({reason}); "
        "take a smaller size or profile"
    )


def _leased(spec: WeightsSpec, weights: Weights, work: Callable[[DiffusionPipeline], T]) -> T:
    """Return what `work` gives. The pipeline has no other name, so that it can be put out."""
    with weights.lease(spec) as pipe:
        return work(pipe)
