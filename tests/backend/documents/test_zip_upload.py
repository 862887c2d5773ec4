"""A ZIP of documents: each file by itself, none of them able to write anywhere or to grow without end."""

import io
import stat
import zipfile
from collections.abc import Callable

import pytest

from backend.documents.parser.reading import Unreadable
from backend.documents.parser.zip_upload import MAX_FILES, ZipUpload
from tests.backend.documents import hostile
from tests.backend.documents.hostile import Part, inflating, part
from tests.backend.documents.samples import archive


def expanded(data: bytes) -> dict[str, tuple[str, str]]:
    """Name in the archive to file name and reason."""
    return {entry.name: (entry.filename, entry.reason) for entry in ZipUpload(io.BytesIO(data)).entries}


def why(data: bytes) -> str:
    with pytest.raises(Unreadable) as refusal:
        read_all(data)
    return refusal.value.code


def read_all(data: bytes) -> list[bytes]:
    upload = ZipUpload(io.BytesIO(data))
    return [upload.read(entry) for entry in upload.entries]


def test_files_come_in_order_with_their_bytes() -> None:
    upload = ZipUpload(io.BytesIO(archive({"a.txt": "first", "folder/b.md": "second"})))
    assert [(entry.name, entry.filename, entry.size) for entry in upload.entries] == [
        ("a.txt", "a.txt", 5),
        ("folder/b.md", "b.md", 6),
    ]
    assert [upload.read(entry) for entry in upload.entries] == [b"first", b"second"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.txt", "etc/passwd.txt"),
        ("/etc/shadow.txt", "etc/shadow.txt"),
        ("C:\\windows\\a.txt", "windows/a.txt"),
        ("a/./b/../c.txt", "a/b/c.txt"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("a\nb.txt", "a b.txt"),
    ],
)
def test_a_path_is_harmless(name: str, shown: str) -> None:
    assert list(expanded(archive({name: "x"}))) == [shown]


def test_what_operating_systems_add_is_left_out() -> None:
    data = archive(
        dict.fromkeys(["__MACOSX/._a.txt", ".DS_Store", "x/Thumbs.db", ".git/config", "folder/", "a.txt"], "x")
    )
    assert list(expanded(data)) == ["a.txt"]


def test_a_name_in_utf8_that_does_not_say_so_is_read_as_utf8() -> None:
    assert list(expanded(hostile.archive(part("grüße.txt", "x")))) == ["grüße.txt"]


def test_what_cannot_be_taken_says_why() -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(link, "/etc/passwd")
        packed.writestr("inner.zip", archive({"a": "b"}))
        packed.writestr("empty.txt", "")
        packed.writestr("good.txt", "x")
    reasons = {name: reason for name, (_, reason) in expanded(out.getvalue()).items()}
    assert reasons["good.txt"] == ""
    assert "link" in reasons["link.txt"]
    assert "inside archives" in reasons["inner.zip"]
    assert reasons["empty.txt"] == "It is empty."


def test_one_file_with_a_password_does_not_cost_the_others() -> None:
    data = hostile.archive(Part("secret.txt", b"x", 1, method=0, flags=1), part("open.txt", "x"))
    assert expanded(data) == {"secret.txt": ("secret.txt", "It asks for a password."), "open.txt": ("open.txt", "")}
    assert why(hostile.archive(Part("secret.txt", b"x", 1, method=0, flags=1))) == "encrypted_file"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: b"PK\x03\x04 no archive", "corrupt_file"),
        (lambda: archive({"a.txt": "x"})[:-10], "corrupt_file"),
        (lambda: archive({f"{number}.txt": "x" for number in range(MAX_FILES + 1)}), "too_many_files"),
        (lambda: hostile.archive(inflating("a.txt", 1024)), "zip_bomb"),
        (hostile.CORPUS["bomb-directory-only.docx"].make, "zip_bomb"),
        (hostile.CORPUS["bomb-overlapping.docx"].make, "zip_bomb"),
    ],
    ids=["broken", "truncated", "files", "bomb", "directory", "overlapping"],
)
def test_an_archive_that_is_none_or_a_bomb_is_refused(make: Callable[[], bytes], code: str) -> None:
    assert why(make()) == code


def test_a_file_never_gives_more_than_the_directory_promised() -> None:
    upload = ZipUpload(io.BytesIO(hostile.archive(inflating("a.txt", 300, says=1000))))
    assert len(upload.read(upload.entries[0])) == upload.entries[0].size == 1000
