"""Runs before the imports of a stage, which take seconds: how it ends when it is told to."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h

if sys.argv[0] == "-m":  # `python -m stages.X`, and no import by a test
    # Ctrl-C among the imports ends the stage without a traceback; src.cli.run sees to the rest.
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A DVC that is killed cannot end the stage that it runs, and the next one would run it again
    # beside it: so it ends with DVC, where the shell between them gives way to it (bash, not dash).
    if sys.platform == "linux" and "DVC_STAGE" in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
