"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import settings

# A commit waits for the disk, and another process may hold the machine: no example has a deadline.
# What failed is printed as a line that repeats it.
settings.register_profile("tenure", deadline=None, print_blob=True)
settings.load_profile("tenure")

pytest_plugins = ["pytest_tenure"]
"""Where tenure is installed its entry point names the same module; a checkout alone has no entry point."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background with SIGINT ignored, and children inherit that: those that a test
    # interrupts would never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
