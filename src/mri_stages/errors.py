"""Errors that end a command in one line."""

import re

NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # of PyTorch, cuBLAS, cuDNN


OUT_OF_MEMORY = "not enough memory"


# In the output of a stage that had too little memory. The kernel ends such a process by SIGKILL.
HAD_NO_MEMORY = re.compile(f"{OUT_OF_MEMORY}|exited with (-9|137)")


class InputError(Exception):
    """Report what a user can fix: the file or key, what was found, what was expected."""
