"""Start a program where it sees the Python installation and nothing else: no network, no other files, few resources.

Called as a script, by its path: ``python -I -S _jail.py SETTINGS.json PROGRAM ...``. It imports nothing of the package.
Linux only. As root it gives its rights away; anybody else gets a user namespace. Ends with the program's own status,
with 97 where there is no isolation to be had, or with 98 where the program took more memory than it may.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time

NOT_ISOLATED, TOO_MUCH_MEMORY = 97, 98

_NEW_MOUNTS, _NEW_NAMES, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH, _DIES_WITH_PARENT, _NO_NEW_RIGHTS = 2, 1, 38

_c = ctypes.CDLL(None, use_errno=True)
_c.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def _call(name, *arguments):
    if getattr(_c, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source, target, kind=None, flags=0, data=None):
    encoded = (part.encode() if part is not None else None for part in (source, target, kind))
    _call("mount", *encoded, flags, data.encode() if data else None)


def _show(path, root):
    """Let the program read a file or folder, at its own place."""
    target = root + path
    if os.path.islink(path):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(os.readlink(path), target)
        return
    if not os.path.exists(path):
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            open(target, "x").close()
    _mount(path, target, flags=_BIND | _RECURSIVE)
    if not path.startswith("/dev/"):
        # A user namespace must keep the flags that the mount has already.
        held = os.statvfs(target).f_flag & (_NO_SUID | _NO_DEVICES | 8)
        _mount(None, target, flags=_REMOUNT | _BIND | _READ_ONLY | _NO_SUID | held)


def _new_root(settings):
    """Make a root of the files that are shown, and move there. What is not shown does not exist."""
    _mount(None, "/", flags=_RECURSIVE | _PRIVATE)
    root = settings["root"]
    _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEVICES, "size=4m,mode=755")
    for folder in ("tmp", "work", "dev", "proc", "etc", "old"):
        os.mkdir(f"{root}/{folder}")
    for folder in ("tmp", "work"):
        size = f"size={settings['disk_mib']}m,mode=1777"
        _mount("tmpfs", f"{root}/{folder}", "tmpfs", _NO_SUID | _NO_DEVICES, size)
    os.makedirs(f"{root}/dev/shm", mode=0o1777)
    os.chmod(f"{root}/dev/shm", 0o1777)
    _mount("tmpfs", f"{root}/dev/shm", "tmpfs", _NO_SUID | _NO_DEVICES, f"size={settings['disk_mib']}m,mode=1777")
    for path in settings["shown"]:
        _show(path, root)
    for path in settings["hidden"]:
        if os.path.isdir(root + path):
            _mount("tmpfs", root + path, "tmpfs", _READ_ONLY, "size=4k")
    with open(f"{root}/etc/passwd", "w") as file:
        file.write(f"student:x:{settings['uid']}:{settings['uid']}::/tmp:/bin/sh\n")
    for name, source in settings["files"].items():
        with open(source, "rb") as read, open(f"{root}/work/{name}", "xb") as write:
            write.write(read.read())
        os.chmod(f"{root}/work/{name}", 0o666)
    try:
        _mount("proc", f"{root}/proc", "proc", _NO_SUID | _NO_DEVICES | 8)
        _mount(None, f"{root}/proc", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES | 8)
    except OSError:
        # Within a container the kernel may refuse it. Python does without.
        if os.path.ismount(f"{root}/proc"):
            _call("umount2", f"{root}/proc".encode(), _DETACH)
    os.chdir(root)
    pivot = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "riscv64": 41, "s390x": 217}[os.uname().machine]
    _call("syscall", pivot, b".", b"old")
    os.chdir("/")
    _call("umount2", b"/old", _DETACH)
    os.rmdir("/old")
    _mount(None, "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    os.chdir("/work")


def limit(settings):
    """Limit what a process may take: address space, processor time, the size of files, the number of processes."""
    memory, seconds = settings["memory_mib"] << 20, settings["seconds"]
    for what, most in (
        (resource.RLIMIT_AS, 2 * memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, settings["disk_mib"] << 20),
        (resource.RLIMIT_NPROC, settings["processes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _inside(settings, program):
    """Be the first process of the new world: when it ends, everything in there does."""
    _call("prctl", _DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _call("unshare", _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_NAMES)
    _new_root(settings)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(settings["uid"], settings["uid"], settings["uid"])
        os.setresuid(settings["uid"], settings["uid"], settings["uid"])
    _call("prctl", _NO_NEW_RIGHTS, 1, 0, 0, 0)
    _call("prctl", _DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    child = os.fork()
    if child == 0:
        limit(settings)
        os.execvpe(program[0], program, settings["environment"])
    _leave_channel()
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _leave_channel():
    """The channel is the program's alone: another holder would keep it open when the program is gone."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)


def _memory(first):
    """Sum the memory of a process and of all that descend from it, in MiB."""
    children, pages = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file, open(f"/proc/{name}/statm") as pages_of:
                    # The name of a program may hold blanks and brackets.
                    parts = file.read().rpartition(")")[2].split()
                    resident, shared = map(int, pages_of.read().split()[1:3])
            except OSError:
                continue
            children.setdefault(int(parts[1]), []).append(int(name))
            # Libraries and files are there once, however many processes use them.
            pages[int(name)] = resident - shared
    total, waiting = 0, [first]
    while waiting:
        process = waiting.pop()
        total += pages.get(process, 0)
        waiting += children.get(process, [])
    return total * os.sysconf("SC_PAGE_SIZE") >> 20


def main(settings, program):
    """Run the program inside; return the status to end with."""
    _call("prctl", _DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    uid, gid = os.getuid(), os.getgid()
    try:
        _call("unshare", _NEW_PROCESSES | (_NEW_USER if uid else 0))
        if uid:
            settings["uid"] = uid
            for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
    except OSError as error:
        print(error, file=sys.stderr)
        return NOT_ISOLATED
    first = os.fork()
    if first == 0:
        try:
            _inside(settings, program)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(NOT_ISOLATED)
    _leave_channel()
    while True:
        ended, status = os.waitpid(first, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) & 0xFF
        if _memory(first) > settings["memory_mib"]:
            os.kill(first, signal.SIGKILL)
            os.waitpid(first, 0)
            return TOO_MUCH_MEMORY
        time.sleep(0.1)


if __name__ == "__main__":
    with open(sys.argv[1]) as told:
        found = json.load(told)
    sys.exit(main(found, sys.argv[2:]))
