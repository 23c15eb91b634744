"""Writing films: RGB pictures become an mp4 file, or an error, whatever the disk does."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from autopilot.api.types import Image


class FilmWriter:
    """Encodes pictures, uint8 RGB (H, W, 3) of one even size, `rate` a second, into an mp4 file.

    As a context manager it finishes the film, through another exception too. A film that is empty or could
    not be written whole is removed. Raises OSError when it cannot be written or encoded.
    """

    def __init__(self, path: Path, rate: Fraction, codec: str, options: Mapping[str, str]) -> None:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file = path, _File(path)
        self._how = codec, rate, dict(options)
        self._container: Any = av.open(self._file, "w", format="mp4")
        self._stream: Any = None
        self._failed = self._closed = False

    def add(self, image: Image) -> None:
        """Append one picture."""
        import av

        with self._checked():
            if self._stream is None:
                codec, rate, options = self._how
                self._stream = self._container.add_stream(codec, rate=rate, options=options)
                self._stream.height, self._stream.width = image.shape[:2]
                self._stream.pix_fmt = "yuv420p"
            self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))

    def close(self) -> None:
        """Finish the film. Calling it twice is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._checked():
                if self._stream is not None and not self._failed:  # an encoder that failed crashes at this
                    self._container.mux(self._stream.encode())
                self._container.close()
                self._file.close()
        finally:
            if self._failed or self._stream is None:
                self._path.unlink(missing_ok=True)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        import av

        try:
            yield
            if self._file.fault is not None:
                raise self._file.fault
        except (OSError, ValueError, av.error.FFmpegError) as e:
            self._failed = True
            raise OSError(errno.EIO, getattr(e, "strerror", None) or str(e)) from e

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with nullcontext() if error is None else suppress(OSError):  # the one on its way out is the one to report
            self.close()


class _File:
    """A file that takes whatever is written and keeps the first fault: FFmpeg crashes after one that it sees."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", 0)
        self.fault: OSError | None = None

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        try:
            while left and self.fault is None:
                left = left[self._file.write(left) :]
        except OSError as e:
            self.fault = e
            with suppress(OSError):
                self._file.truncate(0)  # the room is needed for what matters more
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
