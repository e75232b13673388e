"""Run as ``jailprobe.py lock|confine``: goes into the jail and tries to get out in every way it knows.

Prints a JSON object: ``held``, and by attempt how it was refused (a name of an errno), or ``done``.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable

from overture.sandbox import jail

libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
secret = os.environ.get("PROBE_SECRET", "")
leftover = os.open("/etc/hostname", os.O_RDONLY)
sock = socket.socket()
NOWHERE = ("127.0.0.1", 9)


def called(name: str, *arguments: object) -> Callable[[], object]:
    """A function of the C library; what it answers below zero is an error."""

    def attempt() -> object:
        answer = getattr(libc, name)(*arguments)
        if answer < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return answer

    return attempt


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "read a file": lambda: open("/etc/passwd").read(),  # noqa: SIM115
    "read its own code": lambda: open(__file__).read(),  # noqa: SIM115
    "list a directory": lambda: os.listdir("/"),
    "write a file": lambda: open("/tmp/from-the-jail", "w"),  # noqa: SIM115
    "write a file in memory": lambda: os.memfd_create("x"),
    "make a directory": lambda: os.mkdir("/tmp/from-the-jail.d"),
    "take away a file": lambda: os.unlink("/etc/hostname"),
    "rename a file": lambda: os.rename("/etc/hostname", "/etc/hostname2"),
    "change a mode": lambda: os.chmod("/etc/hostname", 0o777),
    "link": lambda: os.symlink("/etc/passwd", "/tmp/from-the-jail.l"),
    "read the environment it began with": lambda: open("/proc/self/environ").read(),  # noqa: SIM115
    "read the environment of its parent": lambda: open(f"/proc/{parent}/environ").read(),  # noqa: SIM115
    "read the memory of its parent": lambda: open(f"/proc/{parent}/mem", "rb").read(1),  # noqa: SIM115
    "use a descriptor from before": lambda: os.read(leftover, 1),
    "use a socket from before": lambda: sock.connect(NOWHERE),
    "connect": lambda: socket.socket().connect(NOWHERE),
    "send a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", NOWHERE),
    "reach a local socket": lambda: socket.socket(socket.AF_UNIX).connect("/run/x"),
    "listen": lambda: socket.socket().listen(),
    "fork": fork,
    "vfork": lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {}),
    "exec": lambda: os.execv("/bin/sh", ["sh", "-c", "true"]),
    "trace its parent": called("ptrace", 16, parent, None, None),
    "be traced": called("ptrace", 0, 0, None, None),
    "read its parent by process_vm_readv": called("process_vm_readv", parent, None, 0, None, 0, 0),
    "signal its parent": lambda: os.kill(parent, 0),
    "signal everybody": lambda: os.kill(-1, 0),
    "signal a thread of its parent": called("syscall", 234, parent, parent, 0),
    "mount": called("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "a namespace of its own": called("unshare", 0x10000000),
    "another root": lambda: os.chroot("/"),
    "another directory": lambda: os.chdir("/"),
    "another user": lambda: os.setuid(1),
    "another personality": called("personality", 0x0400000),
    "raise its limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
    "limits of its parent": lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
    "watch files": called("inotify_init1", 0),
    "io_uring": called("syscall", 425, 1, None),
    "a descriptor of its parent": lambda: os.pidfd_open(parent),
    "clone3": called("syscall", 435, None, 0),
    "bpf": called("syscall", 321, 0, None, 0),
    "userfaultfd": called("syscall", 323, 0),
    "perf": called("syscall", 298, None, 0, -1, -1, 0),
    "keys of the kernel": called("syscall", 250, 0, -1, 0, 0, 0),
    "a pipe": os.pipe,
    "type for a terminal": called("ioctl", 0, 0x5412, b"x"),
    "have itself traced again": called("prctl", 4, 1, 0, 0, 0),
    "a page to run code in": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "see the environment": lambda: os.environ["PROBE_SECRET"],
}


def main() -> None:
    held = jail.lock() if sys.argv[1] == "lock" else jail.confine([sys.executable])
    outcome: dict[str, str] = {}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
        except OSError as error:
            outcome[name] = errno.errorcode.get(error.errno or 0, str(error))
        except (KeyError, ValueError) as error:
            outcome[name] = type(error).__name__
        else:
            outcome[name] = "done"
    # It computes and answers all the same.
    print(json.dumps({"held": held, "outcome": outcome, "sum": sum(range(1000))}))


if __name__ == "__main__":
    main()
