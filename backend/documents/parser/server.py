"""The warm process that parsers are forked from: what they import is imported once, and each file has a process.

On standard input is a socket. Each request on it is one JSON object with three descriptors: the file, where the parser
writes, and a channel. The channel says `{"pid": n}` once the parser runs, and `{"code": n}` when nothing is left of it
or of what it started; the code is negative for a signal. Whoever closes the channel's other end stops the parser. The
server ends, and all its parsers with it, when the socket does.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from backend.documents.parser import child

IDLE_SECONDS = 60.0
"""Without a request for so long the server ends: at rest it is not worth its memory."""
_REQUEST_BYTES = 64 * 1024
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

Work = Callable[[dict[str, Any]], None]


def main(work: Work = child.read) -> None:
    Server(socket.socket(fileno=0), work).run()


class Server:
    def __init__(self, control: socket.socket, work: Work) -> None:
        self._control = control
        self._work = work
        self._imported: set[str] = set()
        self._channels: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._take)
        self._died, wakes = socket.socketpair()
        for end in (self._died, wakes):
            end.setblocking(False)
        self._wakes = wakes
        self._selector.register(self._died, selectors.EVENT_READ, self._reap)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        try:
            while True:
                ready = self._selector.select(IDLE_SECONDS)
                if not ready and not self._channels:
                    return
                for key, _ in ready:
                    key.data()
        except EOFError:
            return
        finally:
            for pid in self._channels:
                _kill(pid)

    def _take(self) -> None:
        message, descriptors, *_ = socket.recv_fds(self._control, _REQUEST_BYTES, 3)
        if not message:
            raise EOFError
        request = json.loads(message)
        self._import(request["format"])
        self._fork(request, *descriptors)

    def _import(self, name: str) -> None:
        """What cannot be imported the parser is to say."""
        if name in self._imported or not name.isidentifier():
            return
        self._imported.add(name)
        with contextlib.suppress(ImportError):
            reader = importlib.import_module(f"{child.PACKAGE}.{name}")
            if warm := getattr(reader, "warm", None):
                warm()
        gc.collect()
        gc.freeze()  # so that a parser's collections do not copy our pages

    def _fork(self, request: dict[str, Any], file: int, output: int, channel: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            _run(self._work, request, file, output, parent)
        os.close(file)
        os.close(output)
        theirs = socket.socket(fileno=channel)
        self._channels[pid] = theirs
        self._selector.register(theirs, selectors.EVENT_READ, lambda: self._stop(pid))
        _tell(theirs, pid=pid)

    def _stop(self, pid: int) -> None:
        """Nobody listens any more. The rest is done when it has died."""
        if pid in self._channels:
            self._selector.unregister(self._channels[pid])
            _kill(pid)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._died.recv(4096):
                pass
        for pid in list(self._channels):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._bury(pid)

    def _bury(self, pid: int) -> None:
        """Its number is its group's, and nobody else's until it is waited for."""
        _kill(pid)
        _, status = os.waitpid(pid, 0)
        channel = self._channels.pop(pid)
        with contextlib.suppress(KeyError):
            self._selector.unregister(channel)
        _tell(channel, code=os.waitstatus_to_exitcode(status))
        channel.close()


def _tell(channel: socket.socket, **message: int) -> None:
    with contextlib.suppress(OSError):  # whoever asked is gone
        channel.sendall(json.dumps(message).encode() + b"\n")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not have made its group yet


def _run(work: Work, request: dict[str, Any], file: int, output: int, parent: int) -> NoReturn:
    """In the new process: nothing is left of ours but the code."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor, place in ((file, 0), (output, 1), (os.open(os.devnull, os.O_WRONLY), 2)):
            os.dup2(descriptor, place)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        end_with(parent)
        leave_the_network()
        work(request)
        sys.stdout.flush()
        code = 0
    finally:
        os._exit(code)


def end_with(parent: int) -> None:
    """Nobody reads what an orphan finds out; the kernel ends us with our parent, also when it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("The parent is gone.")


def leave_the_network() -> None:
    """An empty network of our own, where the kernel allows it."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
