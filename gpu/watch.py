"""What is told of a picture or clip in the making, and where its work can be stopped.

The same for both pipelines. Changes no pixel: only looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from configs.errors import Interrupted

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline
    from PIL.Image import Image

    from gpu.fit import Fallback


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told, and who is asked."""

    on_step: Callable[[int, int], None] = lambda done, total: None
    """Told (0, total) as the first denoising step begins, and (done, total) after each."""
    cancelled: Callable[[], bool] = lambda: False
    """Asked after each step and before each group of frames or tile is decoded; on a processor,
    where a step may take 8 s, before each block too."""
    on_preview: Callable[[Image], None] | None = None
    """Shown a small picture of how it will look."""
    preview_every: int = 1
    """Steps; the first is always shown."""
    on_fallback: Callable[[Fallback], None] = lambda fallback: None
    """Told what ran where memory ran out."""

    @contextmanager
    def over(self, pipe: DiffusionPipeline, total: int) -> Iterator[dict[str, Any]]:
        """Watch one call of `pipe` of `total` steps; yields arguments for the call.

        Raises:
            Interrupted: where `cancelled` says so.
        """

        def after_step(_: object, step: int, __: object, state: dict[str, Any]) -> dict[str, Any]:
            self.on_step(step + 1, total)
            if self.cancelled():
                raise Interrupted(f"stopped after step {step + 1} of {total}")
            return state

        def begun(*_: object) -> None:
            beginning.remove()
            self.on_step(0, total)

        beginning = pipe.transformer.register_forward_pre_hook(begun)
        hooks = [beginning, pipe.vae.decoder.register_forward_pre_hook(self.before_decoding)]
        if pipe._execution_device.type == "cpu":
            hooks += [block.register_forward_pre_hook(self.before_block) for block in _blocks(pipe)]
        try:
            with self._previews(pipe):
                yield {"callback_on_step_end": after_step, "num_inference_steps": total}
        except BaseException:
            pipe.maybe_free_model_hooks()  # what an offload had moved in for the next layer
            raise
        finally:
            for hook in hooks:
                hook.remove()

    def before_decoding(self, *_: object) -> None:
        """Raise Interrupted where the work was cancelled."""
        if self.cancelled():
            raise Interrupted("stopped before all was decoded")

    def before_block(self, *_: object) -> None:
        """Raise Interrupted where the work was cancelled."""
        if self.cancelled():
            raise Interrupted("stopped within a step")

    @contextmanager
    def _previews(self, pipe: DiffusionPipeline) -> Iterator[None]:
        """Look over the scheduler's shoulder: it alone knows what the transformer said.

        The transformers' output is the velocity v of x = (1 - s) picture + s noise, so that the
        picture is x - s v (flow matching), with s the time over the number of training steps.
        """
        if self.on_preview is None:
            yield
            return
        from gpu.preview import colours, look

        colours(pipe)
        scheduler, steps = pipe.scheduler, iter(range(1_000_000))
        step, show = scheduler.step, self.on_preview

        @wraps(step)
        def seen(velocity: torch.Tensor, time: Any, latents: torch.Tensor, **more: Any) -> Any:  # noqa: ANN401
            if next(steps) % self.preview_every == 0:
                share = float(time) / scheduler.config.num_train_timesteps
                show(look(pipe, latents.float() - share * velocity.float()))
            return step(velocity, time, latents, **more)

        scheduler.step = seen
        try:
            yield
        finally:
            del scheduler.step


def _blocks(pipe: DiffusionPipeline) -> Iterator[torch.nn.Module]:
    """Yield the blocks of a pipeline's transformer, under whatever names it has them."""
    from torch.nn import ModuleList

    for part in pipe.transformer.children():
        if isinstance(part, ModuleList):
            yield from part


SILENT = Watch()
"""Nobody is told."""
