"""Scripted misbehaviour: which request, which of its calls, what happens instead of an answer."""

import threading
from dataclasses import dataclass, field


class RpcFault(Exception):
    """An error as Telegram answers it, such as 420 FLOOD_WAIT_37."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Fault:
    """`request` is a class of Telethon's without "Request". The first `after` calls are answered, then `times` calls
    misbehave, then all is fine again; None is for ever. `does` is an RPC error with its code, such as
    "420 FLOOD_WAIT_37", or one of

    - `drop`: the connection is closed, and nothing answered
    - `half`: it is closed in the middle of the answer
    - `silence`: nothing is answered, and the connection stays
    - `short`: a page of history has three messages though there are more
    - `empty`: a page of history has none though there are some
    """

    request: str
    does: str
    after: int = 0
    times: int | None = 1


@dataclass(slots=True)
class Script:
    faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, request: str, does: str, *, after: int = 0, times: int | None = 1) -> None:
        with self._lock:
            self.faults.append(Fault(request, does, after, times))

    def clear(self) -> None:
        with self._lock:
            self.faults.clear()

    def next(self, request: str) -> str:
        """What this call is to do; empty where it is to be answered."""
        with self._lock:
            fault = next((f for f in self.faults if f.request == request and f.times != 0), None)
            if fault is None:
                return ""
            if fault.after:
                fault.after -= 1
                return ""
            if fault.times is not None:
                fault.times -= 1
            return fault.does


def rpc_fault(does: str) -> RpcFault:
    code, _, message = does.partition(" ")
    return RpcFault(int(code), message)
