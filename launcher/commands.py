"""`exec`, `admin` and `env`: single commands in the environment that `run` gives its processes."""

import contextlib
import getpass
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

from launcher import environment
from launcher.binaries import ends_with_us
from launcher.environment import Environment
from launcher.errors import LauncherError
from launcher.keeper import running

_MANAGE = ("python", "manage.py")


def execute(command: Sequence[str], *, stdin: str | None = None) -> int:
    """The command's exit status, as a shell gives it."""
    environment.ensure_secrets()
    env = environment.read()
    with contextlib.ExitStack() as stack:
        if env.embedded:
            stack.enter_context(running(env.data_dir, note=lambda text: print(text, file=sys.stderr)))
        return _wait(_start(command, env, stdin=stdin), stdin)


def _start(command: Sequence[str], env: Environment, *, stdin: str | None) -> "subprocess.Popen[str]":
    try:
        words = [*map(str, ends_with_us("TERM")), *command]
        return subprocess.Popen(
            words, env=dict(env.variables), text=True, stdin=None if stdin is None else subprocess.PIPE
        )
    except OSError as error:
        raise LauncherError(f"{command[0]} cannot be run: {error.strerror}") from error


def _wait(process: "subprocess.Popen[str]", stdin: str | None) -> int:
    """Ctrl-C reaches the command by itself, the terminal sends it to all; SIGTERM we pass on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    process.communicate(stdin)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def make_admin(email: str | None) -> int:
    """Asks for what was not given. From a pipe, one line is the password."""
    email = email or input("E-mail of the administrator: ").strip()
    password = _ask_password() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if status := execute([*_MANAGE, "migrate", "--no-input", "-v", "0"]):  # this may be the first thing done here
        return status
    return execute([*_MANAGE, "create_admin", "--email", email, "--password-stdin"], stdin=f"{password}\n")


def _ask_password() -> str:
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise LauncherError("The two passwords differ; nothing was made")
    return password


def show_environment() -> int:
    """Lines for `eval`: what differs from the shell's own environment, secrets included."""
    environment.ensure_secrets()
    for name, value in sorted(environment.read().variables.items()):
        if os.environ.get(name) != value:
            print(f"export {name}={shlex.quote(value)}")
    return 0
