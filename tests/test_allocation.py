"""The C library can be asked to keep freed memory, or says that it cannot."""

import ctypes
import platform

import pytest

from inference.allocation import keep_freed_memory


def test_glibc_takes_the_thresholds():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize("library", [object(), OSError("no such library")])
def test_other_libraries_are_left_alone(monkeypatch, library):
    def load(_name: None) -> object:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert not keep_freed_memory()
