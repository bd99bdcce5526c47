"""Which account the centre runs under, its passage to our files, and becoming it. Standard library only.

Nothing of ours runs as uid 0. Started as root, we drop to the owner of the checkout, or, when that is root
too, to a system account called `callcenter`, which is created once.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

ACCOUNT = "callcenter"
_HOME = Path("/var/lib/callcenter")
_NOT_TO_READ = {".git", ".run", ".cache", "__pycache__"}  # history, and what is the account's own
Say = Callable[[str], None]


class AccountRefused(Exception):
    """One clear line: the account cannot be made or cannot reach our files."""


def run_account(place: Path, say: Say) -> pwd.struct_passwd:
    """Who runs the centre whose files are at `place`; creates the system account when root needs it."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    owner = place.stat().st_uid
    if owner != 0:
        try:
            return pwd.getpwuid(owner)
        except KeyError:
            say(f"the owner of {place}, uid {owner}, has no account")
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        account = _create_account(say)
    if not Path(account.pw_dir).is_dir():
        Path(account.pw_dir).mkdir(mode=0o750, parents=True)
        os.chown(account.pw_dir, account.pw_uid, account.pw_gid)
    return account


def give_passage(account: pwd.struct_passwd, place: Path, say: Say) -> None:
    """Let the account reach and read `place`, by ACLs of its own and nothing wider; as root only.

    Parents get no more than passage (x): the account cannot list them.
    """
    closed = [parent for parent in reversed(place.parents) if not _may(account, parent, os.X_OK)]
    for parent in closed:
        say(f"giving {account.pw_name} passage through {parent} (setfacl u:{account.pw_name}:x)")
        _setfacl(f"u:{account.pw_name}:x", parent, recursive=False)
    if _unreadable(account, place):
        say(f"letting {account.pw_name} read {place} (setfacl u:{account.pw_name}:rX)")
        _setfacl(f"u:{account.pw_name}:rX", place, recursive=False)
        for entry in place.iterdir():
            if entry.name not in _NOT_TO_READ:
                _setfacl(f"u:{account.pw_name}:rX", entry, recursive=True)
    refused = _unreadable(account, place)
    if refused:
        raise AccountRefused(
            f"the account {account.pw_name} cannot read {refused}: put the checkout elsewhere, such as /opt"
        )


def become(account: pwd.struct_passwd) -> None:
    """Drop to the account for good; nothing when we are it."""
    if os.geteuid() == 0:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


def may_execute(account: pwd.struct_passwd, program: Path) -> bool:
    """Whether the account can run a program, through every directory on the way."""
    return _may(account, program, os.X_OK)


def give(account: pwd.struct_passwd, directory: Path) -> None:
    """Make a directory of the account's own."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0 and directory.stat().st_uid != account.pw_uid:
        os.chown(directory, account.pw_uid, account.pw_gid)
        for path in directory.rglob("*"):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _create_account(say: Say) -> pwd.struct_passwd:
    say(f"creating the system account {ACCOUNT}: nothing of ours runs as root")
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if useradd is None:
        raise AccountRefused(f"useradd is missing: create a system account called {ACCOUNT} yourself")
    words = ["--system", "--user-group", "--home-dir", str(_HOME), "--shell", "/usr/sbin/nologin", ACCOUNT]
    made = subprocess.run([useradd, *words], capture_output=True, text=True)
    if made.returncode != 0:
        raise AccountRefused(f"useradd failed: {made.stderr.strip()}")
    return pwd.getpwnam(ACCOUNT)


def _setfacl(entry: str, path: Path, recursive: bool) -> None:
    setfacl = shutil.which("setfacl")
    if setfacl is None:
        raise AccountRefused(
            f"setfacl is missing: run `apt-get install acl`, or make {path} readable for all"
        )
    words = [setfacl, *(["-R"] if recursive else []), "-m", entry, str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise AccountRefused(f"{path} cannot be opened to the account: {done.stderr.strip()}")


def _unreadable(account: pwd.struct_passwd, place: Path) -> Path | None:
    """The first file of ours that the account cannot read; .git and what others own are not ours."""

    def first() -> str:
        for directory, directories, files in os.walk(place, onerror=_raise):
            directories[:] = [name for name in directories if name not in _NOT_TO_READ]
            if directory.endswith("/.venv"):
                directories.clear()  # made by us, readable
            for name in files:
                path = os.path.join(directory, name)  # noqa: PTH118 - thousands of them
                if not os.access(path, os.R_OK) and not os.path.islink(path):  # noqa: PTH114
                    return path
        return ""

    answer = _as(account, first)
    return Path(answer) if answer else None


def _may(account: pwd.struct_passwd, path: Path, mode: int) -> bool:
    return _as(account, lambda: "yes" if os.access(path, mode) else "") == "yes"


def _raise(error: OSError) -> None:
    raise error


def _as(account: pwd.struct_passwd, question: Callable[[], str]) -> str:
    """Ask the kernel in a child that has become the account: ACLs, groups and mounts all count."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "?"
        try:
            become(account)
            answer = question()
        except OSError as error:
            answer = str(error.filename or "?")
        finally:
            os.write(writing, answer.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer
