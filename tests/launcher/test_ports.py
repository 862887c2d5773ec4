import os
import socket
import subprocess
import sys

import pytest

from launcher.errors import LauncherError
from launcher.ports import holder, require_free


def test_a_free_port_is_free(unused_tcp_port: int) -> None:
    require_free(unused_tcp_port, "PORT")
    assert holder(unused_tcp_port) == ""


SERVER = "import socket, sys; s = socket.create_server(('', 0)); print(s.getsockname()[1], flush=True); input()"


def test_a_taken_port_is_refused_with_who_has_it() -> None:
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        port = int(other.stdout.readline())
        with pytest.raises(LauncherError, match=rf"Port {port} is in use by python.* \(pid {other.pid}\); stop that$"):
            require_free(port)


def test_a_port_that_we_may_not_have_says_so() -> None:
    with pytest.raises(LauncherError, match=r"Port 8000 cannot be used: .*, or choose another: make run PORT=9000$"):
        require_free(8000, "PORT", host="203.0.113.1")


def test_the_holder_of_our_own_socket_is_us() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        assert holder(ours.getsockname()[1]).endswith(f"(pid {os.getpid()})")
