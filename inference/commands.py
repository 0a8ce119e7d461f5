"""How a command ends: with one plain line for errors of its input, its machine and its user. No PyTorch is loaded."""

import functools
import re
import sys
import threading
import warnings
from collections.abc import Callable
from typing import NoReturn, TypeVar

from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.files import in_one_line
from inference.allocation import keep_freed_memory
from inference.errors import MemoryConfigError, RunError
from model.errors import CheckpointError, ConfigError, LossError
from model.training.signals import sigterm_as_ctrl_c

Result = TypeVar("Result")

USER_ERRORS = (DatasetError, CheckpointError, ConfigError, LossError, MemoryConfigError, RunError, OSError)
LESS_MEMORY = "--precision bf16, --decode window and a bank of fewer --memory-frames take less"
# said by PyTorch on GPUs and CPUs, cuBLAS, cuDNN and OpenCV
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|ALLOC_FAILED|Failed to allocate")


def command(
    again: str = "run the same command again: finished work is kept", less: str = "",
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorate the main function of a command.

    Bad input, a full disk and a lack of memory end it with one line on stderr and exit status 2; Ctrl-C and SIGTERM
    with one line and exit status 130.

    Args:
        again: how to resume after a stop. less: what makes the command need less memory.
    """
    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(function)
        def run(*arguments: object) -> Result:
            warnings.showwarning = lambda message, *_: tqdm.write(f"warning: {message}", file=sys.stderr)
            threading.excepthook = _report_thread_failure
            keep_freed_memory()
            try:
                with sigterm_as_ctrl_c():
                    return function(*arguments)
            except USER_ERRORS as error:
                # a loading process wraps the error of a file in its traceback; the error itself comes last
                name = f"{type(error).__module__}.{type(error).__name__}: "
                _exit(2, f"error: {in_one_line(error, again).rpartition(name)[2]}")
            except (Exception, KeyboardInterrupt) as error:
                if interrupt := _ctrl_c_behind(error):
                    _exit(130, str(interrupt) or f"interrupted; {again}")
                if lack := lack_of_memory(error):
                    _exit(2, "; ".join(filter(None, (f"error: {lack}", less))))
                raise
        return run
    return decorate


def lack_of_memory(error: BaseException) -> str | None:
    """How much memory was missing, in a few words, if this is what the error is about; otherwise None."""
    text = str(error)
    if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(text):
        return None
    asked = re.search(r"allocate (\d[\d.]* ?\w+)", text)
    where = "GPU memory" if re.search("CUDA|CUBLAS|CUDNN", text) else "memory"
    return f"out of {where}" + (f" ({asked[1]} more were needed)" if asked else "")


def _ctrl_c_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """The Ctrl-C that an error is, or during which it arose: `threading` raises if it is struck taking a lock."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _exit(status: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(status) from None


def _report_thread_failure(failure: threading.ExceptHookArgs) -> None:
    """Threads that write raise their OSError in the main thread too, which reports it."""
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)
