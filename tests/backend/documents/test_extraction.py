"""The parser in its process: what it gives, and what it is kept from."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from backend.documents import forking
from backend.documents.extraction import ExtractedPage, ExtractionFailed, extract
from backend.documents.parser import server
from tests.backend.documents.samples import docx, paragraph, pdf, poison_pdf
from tests.backend.documents.workers import eventually

MIB = 1024 * 1024


def no_tick(_done: int, _total: int | None) -> None:
    pass


def extracted(data: bytes, name: str, tick: Callable[[int, int | None], None] = no_tick) -> list[ExtractedPage]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return extract(file, format_name=name, tick=tick).pages


def why(data: bytes, name: str) -> ExtractionFailed:
    with pytest.raises(ExtractionFailed) as failure:
        extracted(data, name)
    return failure.value


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts other code in the reader's place, as a taken-over parser would run: it gets the `request`."""

    def put(code: str) -> None:
        work = f"def work(request):\n{textwrap.indent(code, '    ')}\n"
        monkeypatch.setattr(forking, "_PROGRAM", forking._PROGRAM.replace("main()", f"{work}main(work)"))
        forking.stop_server()

    yield put
    monkeypatch.undo()
    forking.stop_server()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (pdf(["Hello."]), "pdf"),
        (docx(paragraph("Hello.")), "docx"),
        (b"<p>Hello.", "html"),
        (b"Hello.", "markdown"),
        (b"Hel\x00lo.", "text"),
    ],
)
def test_every_format_is_read_in_its_process(data: bytes, name: str) -> None:
    assert [page.text for page in extracted(data, name)] == ["Hello."]


def test_an_encrypted_pdf_is_named(settings: Settings) -> None:
    failure = why(pdf(["x"], encrypted=True), "pdf")
    assert (failure.code, failure.crashed) == ("encrypted_pdf", False)


def test_a_crash_of_the_parser_is_a_crash_of_the_parser_only(settings: Settings) -> None:
    settings.PARSER_MEMORY_BYTES = 256 * MIB
    failure = why(poison_pdf(300), "pdf")
    assert (failure.code, failure.crashed) == ("parser_crashed", True)


def test_pages_and_text_are_limited(settings: Settings) -> None:
    settings.PAGES_LIMIT = 2
    assert why(pdf(["a", "b", "c"]), "pdf").code == "too_many_pages"
    settings.PAGES_LIMIT, settings.TEXT_LIMIT_CHARS = 10, 5
    assert why(b"123456", "text").code == "text_too_long"
    assert extracted(b"12345", "text")


def test_memory_is_limited(settings: Settings) -> None:
    settings.PARSER_MEMORY_BYTES = 100 * MIB
    assert why(b"x" * 60 * MIB, "text").code == "parser_memory"


def test_wall_time_is_limited_and_nothing_is_left_running(
    settings: Settings, program: Callable[[str], None], tmp_path: Any
) -> None:
    settings.PARSER_SECONDS = 1
    program(
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\n"
        "time.sleep(60)"
    )
    begun = time.monotonic()
    assert why(b"x", "text").code == "parser_timeout"
    assert time.monotonic() - begun < 5
    time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        _alive(int((tmp_path / "pid").read_text()))


def _alive(pid: int) -> None:
    """Raises ProcessLookupError also where only the entry of a dead process is left."""
    os.kill(pid, 0)
    if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
        raise ProcessLookupError


def test_cpu_time_is_limited(settings: Settings, program: Callable[[str], None]) -> None:
    program("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass")
    assert why(b"x", "text").code == "parser_timeout"


def test_an_endless_output_is_cut(settings: Settings, program: Callable[[str], None]) -> None:
    settings.TEXT_LIMIT_CHARS, settings.PAGES_LIMIT = 1000, 1
    program("import sys\nwhile True: sys.stdout.write('x' * 65536)")
    assert why(b"x", "text").code == "text_too_long"


def test_garbage_instead_of_pages_is_a_crash(program: Callable[[str], None]) -> None:
    program("print('hello')")
    assert why(b"x", "text").code == "parser_crashed"


def test_an_error_in_python_is_a_broken_file(program: Callable[[str], None]) -> None:
    program("raise KeyError")
    failure = why(b"x", "text")
    assert (failure.code, failure.crashed) == ("corrupt_file", False)


def test_progress_is_told_and_may_end_the_work(program: Callable[[str], None]) -> None:
    class Enough(Exception):
        pass

    def tick(_done: int, _total: int | None) -> None:
        raise Enough

    program("import time; time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(Enough):
        extracted(b"x", "text", tick)
    assert time.monotonic() - begun < 5


CONFINED = """
import json, os, resource, signal, socket
from backend.documents.parser import child
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{before}
child.limit(memory=1 << 30, seconds=5, descriptors=3)
facts = dict(environment=dict(os.environ), core=resource.getrlimit(resource.RLIMIT_CORE)[1])
try:
    {attempt}
    facts['outcome'] = 'done'
except OSError as exc:
    facts['outcome'] = type(exc).__name__
print(json.dumps(dict(label=json.dumps(facts), text='')))
print(json.dumps(dict(done=True)))
"""


@pytest.mark.parametrize(
    ("before", "attempt"),
    [
        ("", "socket.socket()"),
        ("s = socket.socket()", "s.connect(('127.0.0.1', {port}))"),
        ("", "open('/etc/hostname')"),
        ("f = open('{path}', 'wb', buffering=0)", "f.write(b'x' * 10)"),
    ],
)
def test_a_taken_over_parser_reaches_nothing(
    program: Callable[[str], None], tmp_path: Any, before: str, attempt: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        names = {"port": listener.getsockname()[1], "path": tmp_path / "out"}
        program(CONFINED.format(before=before.format(**names), attempt=attempt.format(**names)))
        label = extracted(b"x", "text")[0].label
    assert '"outcome": "OSError"' in label or "Error" in label.partition('"outcome": ')[2]
    assert '"core": 0' in label


def test_the_parser_sees_no_environment(program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary")
    program("import os, json; print(json.dumps(dict(label=str(dict(os.environ)), text=''))); print('{\"done\": true}')")
    assert "canary" not in extracted(b"x", "text")[0].label


def test_neither_a_parser_nor_its_server_writes_where_the_worker_does(program: Callable[[str], None]) -> None:
    """What a library says of a file belongs in nobody's log."""
    program(
        "import json, os\n"
        "places = [(os.getpid(), 2), (os.getppid(), 1), (os.getppid(), 2)]\n"
        "found = [os.readlink(f'/proc/{pid}/fd/{number}') for pid, number in places]\n"
        "print(json.dumps(dict(label=' '.join(found), text='')))\nprint('{\"done\": true}')"
    )
    assert extracted(b"x", "text")[0].label == "/dev/null /dev/null /dev/null"


def test_a_parser_has_no_descriptor_but_its_own(program: Callable[[str], None]) -> None:
    program(
        "import json, os\n"
        "found = [name for name in range(3, 256) if os.path.exists(f'/proc/self/fd/{name}')]\n"
        "print(json.dumps(dict(label=str(found), text='')))\nprint('{\"done\": true}')"
    )
    assert extracted(b"x", "text")[0].label == "[]"


@pytest.mark.parametrize("name", ["webpage", "links"])
def test_what_short_pages_need_is_loaded_once_and_not_for_each_page(program: Callable[[str], None], name: str) -> None:
    program(
        "import json\nfrom trafilatura import external\n"
        "print(json.dumps(dict(label=str(bool(external.JT_STOPLIST)), text='')))\nprint('{\"done\": true}')"
    )
    assert extracted(b"x", name)[0].label == "True"


def test_reading_leaves_no_descriptor_open(settings: Settings) -> None:
    """Neither in the worker nor in its server, nor where the parser is given up."""

    def opened() -> dict[str, int]:
        pids = {"worker": os.getpid(), "server": forking._running().process.pid}
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}  # noqa: PTH208 - links to nowhere

    def give_up(_done: int, _total: int | None) -> None:
        raise InterruptedError

    def none_more() -> bool:
        """Fewer may be open than before: of the first reading something may not have been closed yet."""
        return all(now <= before[name] for name, now in opened().items())

    extracted(b"one", "text")
    before = opened()
    for _ in range(3):
        extracted(b"one", "text")
        with pytest.raises(InterruptedError):
            extracted(b"one", "text", give_up)
    assert eventually(none_more, seconds=5), (before, opened())


def test_a_parser_leaves_nothing_to_the_next(program: Callable[[str], None]) -> None:
    """Each file has a process of its own, forked from one that has read none."""
    program(
        "import builtins, json, sys\n"
        "seen = getattr(builtins, 'seen', '')\nbuiltins.seen = sys.stdin.read()\n"
        "print(json.dumps(dict(label=seen, text='')))\nprint('{\"done\": true}')"
    )
    assert [extracted(data, "text")[0].label for data in (b"one", b"two")] == ["", ""]


def test_what_a_parser_started_is_gone_though_the_parser_ended_well(
    program: Callable[[str], None], tmp_path: Path
) -> None:
    program(
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdout=subprocess.DEVNULL)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\n"
        "print('{\"done\": true}')"
    )
    extracted(b"x", "text")
    time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        _alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "stuck"])
def test_a_parser_server_that_does_not_answer_is_replaced(how: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "START_SECONDS", 1.0)
    assert extracted(b"one", "text")
    before = forking._running().process.pid
    os.kill(before, how)
    assert [page.text for page in extracted(b"two", "text")] == ["two"]
    assert forking._running().process.pid != before
    with pytest.raises(ProcessLookupError):
        _alive(before)


def test_a_file_whose_server_died_under_it_is_read_by_the_next(program: Callable[[str], None], tmp_path: Path) -> None:
    """From its beginning: where the first was in the file, the second would go on."""
    program(
        "import json, os, signal, sys, time\n"
        f"mark = {str(tmp_path / 'mark')!r}\n"
        "read = sys.stdin.read()\n"
        "if not os.path.exists(mark):\n"
        "    open(mark, 'w').close()\n    os.kill(os.getppid(), signal.SIGKILL)\n    time.sleep(60)\n"
        "print(json.dumps(dict(label=read, text='')))\nprint('{\"done\": true}')"
    )
    assert extracted(b"all of it", "text")[0].label == "all of it"


def test_a_file_that_kills_the_server_each_time_has_crashed_the_parser(program: Callable[[str], None]) -> None:
    program("import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)")
    failure = why(b"x", "text")
    assert (failure.code, failure.crashed) == ("parser_crashed", True)


def test_files_are_read_at_once(program: Callable[[str], None]) -> None:
    program("import time; time.sleep(1); print('{\"done\": true}')")
    begun = time.monotonic()
    threads = [threading.Thread(target=extracted, args=(b"x", "text")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 6


def test_the_parser_and_its_server_end_with_their_worker() -> None:
    """kill -9 of the worker leaves nothing behind."""
    code = f"""
import sys, tempfile, time, threading
sys.path.insert(0, {forking._ROOT!r})
from django.conf import settings
settings.configure(ROOT={forking._ROOT!r})
from backend.documents import forking
forking._PROGRAM = forking._PROGRAM.replace("main()", "import os, time; main(lambda r: (print(os.getpid(), flush=True), time.sleep(60)))")
parser = forking.start_parser({{"format": "text"}}, tempfile.TemporaryFile())
print(forking._running().process.pid, open(parser.output).readline(), flush=True)
time.sleep(60)
"""  # noqa: E501
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    server, parser = map(int, worker.stdout.readline().split())
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    time.sleep(0.5)
    for pid in (server, parser):
        with pytest.raises(ProcessLookupError):
            _alive(pid)


def test_a_server_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = "import backend.documents.parser.server as server\nserver.IDLE_SECONDS = 0.2\nmain()"
    monkeypatch.setattr(forking, "_PROGRAM", forking._PROGRAM.replace("main()", idle))
    forking.stop_server()
    assert extracted(b"one", "text")
    forking._running().process.wait(10)
    assert [page.text for page in extracted(b"two", "text")] == ["two"]
    forking.stop_server()


def test_an_orphan_does_not_begin() -> None:
    with pytest.raises(SystemExit):
        server.end_with(1)
