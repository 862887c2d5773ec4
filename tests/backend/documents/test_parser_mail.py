from tests.backend.documents.reading import pages, refused, written

HEAD = b"From: Ada <ada@example.org>\nDate: Tue, 7 May 2024 23:30:00 -0200\nSubject: Hello\n"


def test_a_message_tells_who_wrote_it_and_when() -> None:
    (page,) = pages(HEAD + b"\nThe words.", "eml")
    assert page.label == "Message of 2024-05-08"
    assert (page.author, page.dated) == ("Ada <ada@example.org>", "2024-05-08T01:30:00+00:00")
    assert page.text.endswith("Subject: Hello\n\nThe words.")


def test_a_date_that_is_none_is_left_out() -> None:
    (page,) = pages(b"Date: Mon, 99 Foo 99999\n\nwords", "eml")
    assert (page.label, page.dated) == ("Message", "")


def test_raw_and_encoded_headers_are_read() -> None:
    (page,) = pages("Subject: Grüße\nFrom: =?iso-8859-1?q?J=FCrgen?=\nTo: =?no-such?q?x?=\n\nx".encode(), "eml")
    assert "Subject: Grüße" in page.text
    assert page.author == "Jürgen"


def test_a_text_that_comes_twice_is_read_once() -> None:
    assert pages(written("departure.eml"), "eml")[0].text.count("05:45") == 1


def test_a_body_of_html_is_read_as_a_page() -> None:
    (page,) = pages(HEAD + b"Content-Type: text/html; charset=iso-8859-1\n\n<p>Gr\xfc\xdfe<style>x{}</style>", "eml")
    assert page.text.endswith("\n\nGrüße")


def test_an_attachment_is_read_or_named() -> None:
    assert refused(written("departure.eml"), "eml") == {
        "Attachment chart.pdf": "Attachments of this type are not read with the message. Upload it by itself."
    }


def test_an_attachments_name_is_harmless_and_its_lie_is_told() -> None:
    mail = (
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Disposition: attachment; filename*=utf-8''..%%2F%s\n\n%s\n"
    )
    assert pages(mail % (b"notes.txt", b"words"), "eml")[1].label == "Attachment notes.txt"
    (reason,) = refused(mail % (b"%E2%80%AEfdp.pdf", b"words"), "eml").items()
    assert reason == ("Attachment fdp.pdf", "The name says PDF, the content does not: it looks like plain text.")


def test_a_forwarded_message_has_its_own_author_and_date() -> None:
    mail = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee below.\n--b\nContent-Type: message/rfc822\n\n" + HEAD
    )
    first, second = pages(mail + b"\nThe words.\n--b--\n", "eml")
    assert first.text == "See below."
    assert second.author == "Ada <ada@example.org>"
