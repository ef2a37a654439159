"""A clip's file, written by the encoder while its frames are still being made."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Recording:
    """Takes groups of frames in order and hands them to a writer in a thread of its own.

        with Recording(lambda frames: write_clip(path, frames, ...)) as recording:
            animate(..., take=recording.take)

    On leaving, the file is whole, or the writer's error is raised. After an error inside, the
    writer is given no more frames, and what it leaves behind is for the caller to drop.

    Args:
        write: writes all frames of an iterable; called anew where the frames begin anew.
    """

    def __init__(self, write: Callable[[Iterable[NDArray[np.uint8]]], None]) -> None:
        self._write = write
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def take(self, first: int, frames: NDArray[np.uint8]) -> None:
        """Take frames from number `first` on; 0 begins the clip, or begins it anew.

        Raises:
            Exception: the writer's, as soon as it failed.
        """
        if first == 0:
            self._end()
            self._groups: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()
            self._thread = threading.Thread(target=self._run, args=(self._groups,), daemon=True)
            self._thread.start()
        self._raise()
        self._groups.put(frames)

    def _run(self, groups: queue.SimpleQueue[NDArray[np.uint8] | None]) -> None:
        def taken() -> Iterator[NDArray[np.uint8]]:
            while (group := groups.get()) is not None:
                yield group

        try:
            self._write(taken())
        except BaseException as error:
            self._error = error

    def _end(self) -> None:
        if self._thread is not None:
            self._groups.put(None)
            self._thread.join()
            self._thread = None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if error is None:
            self._raise()
