"""Errors of engines, drivers and systems -> ours. Their own words stay inside: they quote values of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import EngineFailed, LakeError, LakeFull, LakeUnwritable


def as_ours(error: Exception) -> LakeError:
    """`error` if it is one of ours; else that something was unforeseen, and its place: never its words."""
    if isinstance(error, LakeError):
        return error
    if is_interrupt(error):
        raise KeyboardInterrupt from None
    return LakeError(f"something unforeseen: {type(error).__name__} {_place(error)}", "Report it with this line.")


def _place(error: BaseException) -> str:
    frames = []
    place = error.__traceback__
    while place:
        frames.append(f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}")
        place = place.tb_next
    return "at " + " > ".join(frames[-4:])


@contextmanager
def in_our_words(verb: str) -> Iterator[None]:
    """Whatever fails inside comes out as an error of ours, without a value of a row.

    Raises `LakeFull` where the disk is, `LakeUnwritable` where writing is not allowed, and `EngineFailed` for the rest.
    Who interrupts has interrupted the run, and not one verb of it.
    """
    try:
        yield
    except LakeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an engine throws, its words stay inside
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise _named(verb, error) from None  # so that no traceback prints it either


def _named(verb: str, error: Exception) -> LakeError:
    if is_no_space(error):
        return LakeFull(f"there was no space left in '{verb}'.", "Free some space or move the lake, and run again.")
    if is_denied(error):
        fix = "Let the user that CareLake runs as write to the folders that lake.yml names as roots."
        return LakeUnwritable(f"a folder of the lake may not be written in '{verb}'.", fix)
    return failed(verb, error)


def failed(verb: str, error: Exception) -> EngineFailed:
    """An engine stopped in a verb, maybe for want of memory. Answers that stream say so in an OSError."""
    lacks_memory = _says(error, "out of memory", "outofmemory")
    return EngineFailed(verb, "OutOfMemory" if lacks_memory else type(error).__name__, lacks_memory=lacks_memory)


def is_no_space(error: BaseException) -> bool:
    """Whether a disk, a quota or a file size limit was full: engines say so in words of their own."""
    return _says(error, "no space left", "file too large", "disk quota", "os error 28", "os error 27", "max_temp_dir")


def is_denied(error: BaseException) -> bool:
    """Whether a file may not be written, by its rights or because the disk is read-only."""
    return _says(error, "permission denied", "read-only file system", "os error 13)", "os error 30)")


def is_interrupt(error: BaseException) -> bool:
    """Whether somebody pressed Ctrl-C: DuckDB raises an error of its own in its place."""
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


def _says(error: BaseException, *signs: str) -> bool:
    text = str(error).lower()
    return any(sign in text for sign in signs)
