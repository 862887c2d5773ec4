"""R31, of streams that only tell what happens: they do not hold up a restart, and say why they end."""

import signal
import time

from tests.stack import Stack

SECONDS = 10.0  # of a busy machine; what is waited for otherwise is SHUTDOWN_GRACE, 20


def test_an_open_stream_of_documents_ends_at_once_when_the_web_process_is_to_stop(stack: Stack) -> None:
    watcher = stack.person("watcher@example.com")
    bot = watcher.make_bot()
    with watcher.http.stream("GET", f"bots/{bot}/documents/events/", timeout=30) as response:
        lines = response.iter_lines()
        assert any(line == "event: open" for line in lines)
        begun = time.monotonic()
        stack.kill("web", signal.SIGTERM)
        seconds = time.monotonic() - begun
        told = list(lines)
    stack.restart("web")
    print(f"it stopped after {seconds:.1f} s")
    assert "event: end" in told
    assert 'data: {"code":"restarting"}' in told
    assert seconds < SECONDS
