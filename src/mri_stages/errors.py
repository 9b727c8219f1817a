"""Errors that `console.run_command` turns into one line, and the exit statuses of all commands."""

from typing import ClassVar

BAD_INPUT_STATUS = 1
WRONG_ARGUMENTS_STATUS = 2
NO_MEMORY_STATUS = 75  # EX_TEMPFAIL of sysexits.h: it may work when other processes have ended

# PyTorch has a class of its own for a full GPU, and none for a full main memory. These are the
# words of PyTorch, cuBLAS and cuDNN.
NO_MEMORY_WORDS = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


class InputError(Exception):
    """Report what a user can fix: the file or key, what was found, what was expected."""

    status: ClassVar[int] = BAD_INPUT_STATUS


class ArgumentError(InputError):
    """Report a wrong argument on the command line."""

    status = WRONG_ARGUMENTS_STATUS


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error says that memory, of the machine or of a GPU, is full."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in NO_MEMORY_WORDS)
