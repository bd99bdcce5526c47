"""Makes a machine ready and runs a command on it: `python3 callcenter/bootstrap.py run -- COMMAND …`.

Standard library only: this is the first thing that runs on a fresh machine. Steps that are done already cost
next to nothing and need no network. What was installed:

* Debian packages (Redis, PostgreSQL, s6, sox, …), no service of theirs started or enabled;
* Asterisk: the one on PATH or the system's package when recent enough, else Debian's, extracted into
  /var/cache/callcenter, where it disturbs nothing;
* in a checkout: `.venv` with the locked Python packages and this project.

    bootstrap.py install                  make ready
    bootstrap.py run -- COMMAND …         make ready, drop to the account that runs the centre, run COMMAND
    bootstrap.py tool -- COMMAND …        make ready, run COMMAND as whoever calls (it writes to the checkout)
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_HERE = Path(__file__).resolve().parent
if __name__ == "__main__":  # run by its path: find the package, not its modules one by one
    sys.path[0] = str(_HERE.parent)

from callcenter import accounts, debian, ports  # noqa: E402 - after sys.path
from callcenter.asterisk import MACHINE_CACHE, AsteriskMissing, find_asterisk  # noqa: E402 - after sys.path

_MINIMUM_PYTHON = (3, 11)
# Program: Debian package. Looked for on PATH and where Debian hides PostgreSQL.
_PROGRAMS = {
    "redis-server": "redis-server",
    "postgres": "postgresql",
    "s6-svscan": "s6",
    "sox": "sox",
    "espeak-ng": "espeak-ng",
    "sipp": "sip-tester",
    "setfacl": "acl",
}


class SetUpFailed(debian.DebianRefused):
    """A step failed; the text is for the person at the terminal."""


def main(words: Sequence[str]) -> int:
    """`install`, `run -- COMMAND` or `tool -- COMMAND`; 1 when the machine cannot be made ready."""
    verb, command = (words[0] if words else ""), list(words[1:])
    if command[:1] == ["--"]:
        del command[0]
    if verb not in ("install", "run", "tool") or (verb == "install") == bool(command):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    try:
        account = install()
        if verb == "install":
            _say(f"ready; the centre runs as {account.pw_name}")
            return 0
        _execute_for_good(command, account if verb == "run" else None)
    except (AsteriskMissing, debian.DebianRefused, accounts.AccountRefused) as error:
        sys.stderr.write(f"callcenter: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("callcenter: interrupted; run it again to go on\n")
    except PermissionError as error:
        sys.stderr.write(f"callcenter: {error.filename or ''}: permission denied; ")
        sys.stderr.write("run it as root, or in a checkout of your own\n")
    except OSError as error:
        sys.stderr.write(f"callcenter: {error.filename or ''}: {error.strerror}\n")
    return 1


def install() -> pwd.struct_passwd:
    """Make the machine ready; who runs the centre."""
    _install_packages()
    _install_asterisk()
    place = _checkout() or _HERE
    account = accounts.run_account(place, _say)
    if os.geteuid() == 0:
        accounts.give_passage(account, place, _say)
    if _checkout() is not None:
        for name in (".run", ".cache"):
            accounts.give(account, place / name)
        _install_python(place, account)
    return account


def _install_packages() -> None:
    missing = [package for program, package in _PROGRAMS.items() if not _installed(program)]
    if _checkout() is not None and _usable_python() is None:
        missing.append("python3-venv")
    if missing:
        debian.install_packages(missing, _execute)


def _installed(program: str) -> bool:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    if shutil.which(program, path=path):
        return True
    return program == "postgres" and any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def _install_asterisk() -> None:
    try:
        find_asterisk()
        return
    except AsteriskMissing as error:
        if os.environ.get("CALLCENTER_ASTERISK_ROOT"):
            raise
        missing = error
    if debian.packaged_asterisk():
        debian.install_packages(["asterisk"], _execute)
    elif not Path("/etc/debian_version").exists():
        raise missing
    else:
        if not _installed("mmdebstrap"):
            debian.install_packages(["mmdebstrap"], _execute)
        debian.extract_asterisk(MACHINE_CACHE / "asterisk-22", _execute)
    _say(f"Asterisk {find_asterisk().version} is ready")


def _install_python(checkout: Path, account: pwd.struct_passwd) -> None:
    """`.venv` from the lock file. The stamp tells by which lock and interpreter it was made."""
    venv = checkout / ".venv"
    python = _usable_python(account)
    if python is None:
        raise SetUpFailed(
            f"no Python {_MINIMUM_PYTHON[0]}.{_MINIMUM_PYTHON[1]} or later with venv was found that "
            f"{account.pw_name} may run: apt-get install python3-venv"
        )
    stamp = venv / ".complete"
    wanted = _fingerprint(checkout, python)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not os.access(checkout, os.W_OK):
        raise SetUpFailed(f"{checkout} is not writable: run this once as its owner")
    made_by = stamp.read_text().split(" ")[1:] if stamp.exists() else None
    stamp.unlink(missing_ok=True)
    if made_by != wanted.split(" ")[1:]:  # else in place: what runs from it goes on
        _execute("making .venv", [str(python), "-m", "venv", "--clear", str(venv)])
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    pip += ["--progress-bar", "off"]
    lock = ["--require-hashes", "--only-binary", ":all:", "-r", str(checkout / "requirements.lock")]
    _execute("installing the locked Python packages", [*pip, *lock])
    # The lock holds the build backend: nothing is fetched here.
    own = ["--no-build-isolation", "--no-deps", "--no-index", "-e", str(checkout)]
    _execute("installing this project into .venv", [*pip, *own], environment={"PIP_FIND_LINKS": ""})
    if os.geteuid() == 0:
        _execute("making .venv readable", ["chmod", "-R", "a+rX", str(venv)])
    stamp.write_text(wanted)
    stamp.chmod(0o644)


def _fingerprint(checkout: Path, python: Path) -> str:
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((checkout / name).read_bytes())
    return f"{digest.hexdigest()} {python} {checkout}"


def _usable_python(account: pwd.struct_passwd | None = None) -> Path | None:
    """An interpreter that is recent enough, has venv, and that the account may run (not pyenv's in /root)."""
    versions = [f"python3.{minor}" for minor in (11, 12, 13, 14)]
    named = [Path(directory, name) for name in versions for directory in ("/usr/bin", "/usr/local/bin")]
    for python in [*named, Path(os.path.realpath(sys.executable))]:
        if not python.exists() or (account is not None and not accounts.may_execute(account, python)):
            continue
        question = f"import sys, venv, ensurepip; sys.exit(sys.version_info < {_MINIMUM_PYTHON})"
        if subprocess.run([python, "-I", "-c", question], capture_output=True).returncode == 0:
            return python
    return None


def _execute_for_good(command: list[str], account: pwd.struct_passwd | None) -> NoReturn:
    """Become the account, if one is given, and turn into the command."""
    checkout = _checkout()
    environment = _environment(checkout, account)
    if account is not None:
        accounts.become(account)
    os.umask(0o022 if account is None else 0o077)
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise SetUpFailed(f"{command[0]}: there is no such command")
    os.execve(program, command, environment)  # noqa: S606 - what the caller asked for, no shell


def _environment(checkout: Path | None, account: pwd.struct_passwd | None) -> dict[str, str]:
    """The caller's, without what belongs to root alone; caches go where the account may write."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    environment = dict(os.environ)
    if account is not None and os.geteuid() == 0:
        dropped = ("SUDO_", "XDG_", "PIP_", "UV_", "SSH_", "DBUS_", "PYENV_")
        environment = {key: value for key, value in environment.items() if not key.startswith(dropped)}
        environment |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
        environment[ports.SEEN_BY_ROOT] = ports.listeners()
        path = ":".join(part for part in path.split(":") if accounts.may_execute(account, Path(part or ".")))
    if checkout is not None:
        cache = checkout / ".cache"
        path = f"{checkout / '.venv/bin'}:{path}"
        environment["VIRTUAL_ENV"] = str(checkout / ".venv")
        if account is not None:
            environment |= {
                "PYTHONPYCACHEPREFIX": str(cache / "pycache"),
                "RUFF_CACHE_DIR": str(cache / "ruff"),
                "MYPY_CACHE_DIR": str(cache / "mypy"),
                "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
                "PYTEST_ADDOPTS": f"-o cache_dir={cache / 'pytest'} {os.environ.get('PYTEST_ADDOPTS', '')}",
            }
    return environment | {"PATH": path}


def _checkout() -> Path | None:
    """The checkout that this file is in; None in an installed wheel."""
    root = _HERE.parent
    return root if (root / "requirements.lock").exists() and (root / "pyproject.toml").exists() else None


def _execute(what: str, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run one step: says what it does, shows that it goes on, and its last lines when it fails."""
    began = time.monotonic()
    _say(what)
    with subprocess.Popen(
        words,
        stdin=None if words[0] == "sudo" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        told = began
        for line in process.stdout:
            lines.append(line.rstrip())
            if time.monotonic() - told > 2 and line.strip():
                told = time.monotonic()
                _say(f"  {told - began:3.0f} s  {line.strip()[:90]}")
    if process.returncode != 0:
        tail = "\n".join(f"    {line}" for line in lines[-12:])
        raise SetUpFailed(f"{what} failed (exit code {process.returncode}):\n{tail}")


def _say(text: str) -> None:
    sys.stdout.write(f"[set-up] {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
