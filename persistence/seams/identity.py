"""Who a host is: the process that has a store open (design §1, host)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import final

from attrs import frozen

from .executors import opening


@final
@frozen(kw_only=True, slots=True)
class HostIdentity:
    """Facts that name one process on one boot of one machine; with a random token they make an incarnation.

    Attributes:
        host_name: Name of the machine.
        boot_id: Changes with every boot; a run that was cut off by a reboot is not a crash (design §6).
        pid: Process id.
        process_start: When the process started, in the system's own ticks; sets a reused pid apart.
    """

    host_name: str
    boot_id: str
    pid: int
    process_start: str

    @classmethod
    def of_this_process(cls) -> HostIdentity:
        """Read the identity of the running process. Raises `NoDescriptor`."""
        with opening("the identity of this process"):
            return cls(
                host_name=socket.gethostname(),
                boot_id=_boot_id(),
                pid=os.getpid(),
                process_start=_process_start(),
            )


def _boot_id() -> str:
    kernel_file = Path("/proc/sys/kernel/random/boot_id")
    if kernel_file.exists():
        return kernel_file.read_text().strip()
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    return "unknown"


def _process_start() -> str:
    stat_file = Path("/proc/self/stat")
    if stat_file.exists():
        # Field 22, counted after the command name, which may itself hold blanks and brackets.
        return stat_file.read_text().rpartition(")")[2].split()[19]
    if sys.platform == "darwin":
        command = ["/bin/ps", "-o", "lstart=", "-p", str(os.getpid())]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    return "unknown"
