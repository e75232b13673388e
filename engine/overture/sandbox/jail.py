"""The jail: what a process that runs other people's code may still do, which is compute and answer on its pipes.

Stands alone (nothing but the standard library), because it is used in two ways. As the command ``overture-jail`` it
jails itself and becomes the interpreter of scripts. And a Python process that has imported all that it needs calls
`lock`: then it can open nothing more. Linux on x86-64 and arm64 has all of `PARTS`; elsewhere there are the limits
alone.
"""

from __future__ import annotations

import ctypes
import glob
import itertools
import os
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

PARTS = ("limits", "no_new_privs", "landlock", "seccomp")
MEMORY = 512 << 20  # bytes of address space
DESCRIPTORS = 16
_NICE = 5  # what never ends until it is cut off must not keep the server from what it does meanwhile
PROGRAM = "monty.exe" if sys.platform == "win32" else "monty"

# fmt: off
_LIBRARIES = (
    "ld-linux*.so*", "ld-musl*", "libc.so*", "libc.musl*", "libm.so*", "libgcc_s.so*",
    "libpthread.so*", "libdl.so*", "librt.so*",
)
# fmt: on
_PLACES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/lib/*-linux-*", "/usr/lib/*-linux-*")

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _SET_NAME, _SET_DEATH_SIGNAL = 38, 22, 15, 1
_EPERM, _ENOSYS = 1, 38
_ALLOW, _REFUSE, _UNKNOWN, _KILL = 0x7FFF0000, 0x00050000 | _EPERM, 0x00050000 | _ENOSYS, 0x80000000
_EXECUTABLE = 4  # PROT_EXEC
_THREAD = 0x10000  # CLONE_THREAD
_GET_OR_SET_FLAGS = (1, 2, 3)  # F_GETFD, F_SETFD, F_GETFL

# Calls of the kernel by their numbers on x86-64 and arm64; None where there is no such call.
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "close": (3, 57),
    "fstat": (5, 80),
    "poll": (7, None),
    "ppoll": (271, 73),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "mincore": (27, 232),
    "madvise": (28, 233),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "tgkill": (234, 131),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "nanosleep": (35, 101),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "restart_syscall": (219, 128),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrlimit": (97, 163),
    "prlimit64": (302, 261),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
    "futex": (202, 98),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "fcntl": (72, 25),
    "prctl": (157, 167),
    "clone": (56, 220),
    "clone3": (435, 435),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "execve": (59, 221),
    "arch_prctl": (158, None),
    "set_tid_address": (218, 96),
    "access": (21, None),
    "faccessat": (269, 48),
    "openat": (257, 56),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "pread64": (17, 67),
    "setitimer": (38, 103),
}
# What only a program needs that is still to be loaded; Landlock says which files.
# fmt: off
_LOADING = (
    "execve", "arch_prctl", "set_tid_address", "access", "faccessat", "openat", "readlink",
    "readlinkat", "newfstatat", "statx", "pread64", "clone", "clone3", "set_robust_list", "rseq",
    "prctl",
)
# fmt: on
_LOCKED = ("setitimer",)  # what only a Python process needs, to end itself where it takes too long

_Check = tuple[int, int, int]  # the argument, a mask, what it must be under the mask


def lock(memory: int = MEMORY, keep: Sequence[int] = ()) -> tuple[str, ...]:
    """Jail this process for good; answers those of `PARTS` that hold. No file can be opened from now on.

    ``memory``: bytes of address space. Of the open descriptors 0, 1, 2 and ``keep`` stay. There must be one thread
    only. Raises OSError where the kernel has a part and it cannot be had.
    """
    os.environ.clear()
    _close(keep)
    return _confine(memory, (), loading=False)


def become(program: str, arguments: Sequence[str], memory: int = MEMORY) -> NoReturn:
    """Jail this process and become the program, with an empty environment. Raises OSError as `lock` does."""
    _close(())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks; what is under way may end
    os.nice(_NICE)
    if sys.platform == "linux":
        # Who is at work does not see that nobody reads any more.
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    _confine(memory, (os.path.realpath(program), *_libraries()), loading=True)
    os.execve(program, [program, *arguments], {})


def confine(files: Iterable[str], memory: int = MEMORY) -> tuple[str, ...]:
    """The jail that `become` puts around a program, whose own files these are, without becoming anything."""
    os.environ.clear()
    _close(())
    return _confine(memory, files, loading=True)


def _confine(memory: int, files: Iterable[str], *, loading: bool) -> tuple[str, ...]:
    held = ["limits"] if _limit(memory) else []
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            held += ["no_new_privs"]
            held += ["landlock"] if _landlock(libc, files) else []
            held += ["seccomp"] if _seccomp(libc, loading=loading) else []
    return tuple(held)


def _close(keep: Sequence[int]) -> None:
    top = 1 << 16
    if os.name == "posix":
        import resource

        top = min(max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1024), top)
    kept = [2, *sorted(fd for fd in set(keep) if fd > 2), top]
    for lower, upper in itertools.pairwise(kept):
        os.closerange(lower + 1, upper)


def _limit(memory: int) -> bool:
    if os.name != "posix":
        return False
    import resource as r

    wanted = {r.RLIMIT_CORE: 0, r.RLIMIT_FSIZE: 0, r.RLIMIT_NOFILE: DESCRIPTORS}
    if sys.platform == "linux":
        wanted[r.RLIMIT_AS] = memory  # elsewhere it is no limit, or one that a new process is over already
    for which, most in wanted.items():
        hard = r.getrlimit(which)[1]
        most = most if hard == r.RLIM_INFINITY else min(most, hard)
        r.setrlimit(which, (most, most))
    return True


def _libraries() -> list[str]:
    """The files that a program's loader reads."""
    found = {
        os.path.realpath(file) for place in _PLACES for name in _LIBRARIES for file in glob.glob(f"{place}/{name}")
    }
    return [*sorted(found), "/etc/ld.so.cache"]


def _failed(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")


def _landlock(libc: Any, files: Iterable[str]) -> bool:
    """No file system but these files (read, execute), no TCP, no signal to anyone outside."""
    version: int = libc.syscall(444, None, 0, 1)
    if version < 1:
        return False
    rights = 0x1FFF | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    rights |= 1 << 15 if version >= 5 else 0
    attributes = struct.pack("=Q", rights)
    attributes += struct.pack("=Q", 3) if version >= 4 else b""
    attributes += struct.pack("=Q", 3) if version >= 6 else b""
    rules: int = libc.syscall(444, attributes, len(attributes), 0)
    if rules < 0:
        raise _failed("landlock")
    for file in files:
        try:
            fd = os.open(file, os.O_PATH)
        except OSError:
            continue  # then nothing can be read there either
        libc.syscall(445, rules, 1, struct.pack("=Qi", 1 | 4, fd), 0)
        os.close(fd)
    if libc.syscall(446, rules, 0) != 0:
        raise _failed("landlock")
    os.close(rules)
    return True


def _seccomp(libc: Any, *, loading: bool) -> bool:
    """A closed list of calls of the kernel; what is not on it answers EPERM."""
    column, architecture = _ARCHITECTURES.get(os.uname().machine, (-1, 0))
    if column < 0 or struct.calcsize("P") != 8:
        return False
    program = b"".join(_program(column, architecture, loading=loading))
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(_SET_SECCOMP, 2, header, 0, 0) != 0:
        if ctypes.get_errno() in (22, _ENOSYS):  # EINVAL: a kernel without it
            return False
        raise _failed("seccomp")
    return True


def _checks(loading: bool) -> dict[str, list[_Check]]:
    """By call: of these, at least one must hold."""
    whole = 0xFFFFFFFF
    checks: dict[str, list[_Check]] = {
        "tgkill": [(0, whole, os.getpid())],  # abort()
        "prlimit64": [(0, whole, 0)],  # of itself
        "fcntl": [(1, whole, command) for command in _GET_OR_SET_FLAGS],
        "prctl": [(0, whole, _SET_NAME)],
        "clone": [(0, _THREAD, _THREAD)],  # threads, no processes
    }
    if not loading:
        checks |= {"mmap": [(2, _EXECUTABLE, 0)], "mprotect": [(2, _EXECUTABLE, 0)]}
    return checks


def _program(column: int, architecture: int, *, loading: bool) -> list[bytes]:
    def instruction(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    def load(offset: int) -> bytes:
        return instruction(0x20, 0, 0, offset)

    def answer(what: int) -> bytes:
        return instruction(0x06, 0, 0, what)

    checks = _checks(loading)
    program = [load(4), instruction(0x15, 1, 0, architecture), answer(_KILL), load(0)]
    for name, numbers in _NUMBERS.items():
        number = numbers[column]
        if number is None or name in (_LOCKED if loading else _LOADING):
            continue
        block: list[bytes] = []
        for argument, mask, value in checks.get(name, []):
            compared = [load(16 + 8 * argument), instruction(0x54, 0, 0, mask), instruction(0x15, 0, 1, value)]
            block += [*compared, answer(_ALLOW)]
        # clone3 hides its flags behind a pointer: where it is unknown, threads are begun by clone.
        block += [answer(_UNKNOWN if name == "clone3" else _REFUSE if name in checks else _ALLOW)]
        program += [instruction(0x15, 0, len(block), number), *block]
    return [*program, answer(_REFUSE)]


def main() -> int:
    """The command ``overture-jail``: become the interpreter of scripts, which is installed beside it.

    A pool of workers can be given a path to run and no arguments, and empties the environment; hence a command.
    ``--report`` prints which parts hold here instead.
    """
    if sys.argv[1:] == ["--report"]:
        sys.stdout.write(" ".join(lock()) + "\n")
        return 0
    program = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), PROGRAM)
    try:
        become(program, sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"The jail cannot be made: {error}\n")
        return 97
