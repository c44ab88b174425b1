"""A bar for work that takes its time."""

from __future__ import annotations

import sys
from typing import Callable, Optional, Union

#: Called with the stage, how much of it is done, and its length, 0 where that is unknown.
Progress = Union[bool, Callable[[str, int, int], None]]

_WIDTH = 30


def _line(stage: str, done: int, total: int) -> str:
    if total <= 0:
        return f"{stage} {done or '...'}"
    filled = _WIDTH * min(max(done, 0), total) // total
    return f"{stage} [{'=' * filled}{' ' * (_WIDTH - filled)}] {done}/{total}"


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell else None
    return shell is not None and hasattr(shell, "kernel")


class Bar:
    """Draws on stderr, or below the cell of a notebook; nothing where stderr is a file or a pipe."""

    def __init__(self) -> None:
        self._handle = None
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        if _in_notebook():
            from IPython.display import display

            self._handle = display({"text/plain": "..."}, raw=True, display_id=True)

    def __call__(self, stage: str, done: int, total: int) -> None:
        text = _line(stage, done, total)
        if self._handle is not None:
            self._handle.update({"text/plain": text}, raw=True)
        elif self._terminal:
            sys.stderr.write("\r\033[K" + text)
            sys.stderr.flush()

    def close(self) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
        elif self._terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Shown:
    """`with Shown(progress) as told:` gives what the library calls, or None."""

    def __init__(self, progress: Progress) -> None:
        self._bar = Bar() if progress is True else None
        self._told: Optional[Callable[[str, int, int], None]] = self._bar or (progress or None)

    def __enter__(self) -> Optional[Callable[[str, int, int], None]]:
        return self._told

    def __exit__(self, *_) -> None:
        if self._bar:
            self._bar.close()
