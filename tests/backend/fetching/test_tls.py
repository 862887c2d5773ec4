"""Encryption keeps the name, though an address is dialled."""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from backend import fetching
from backend.fetching import FetchFailed, fetcher
from tests.websites import Page, Website, website

NAME = "harbour.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of NAME in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "site.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def site(certificate: Path, settings: Settings) -> Iterator[Website]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with website(tls=context) as site:
        settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32"]
        settings.FETCH_PORTS = [site.port]
        site.pages["/"] = lambda request: Page(request.headers["host"].encode())
        yield site


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As an operator's own authority is, through what OpenSSL reads of the environment."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetcher._tls.cache_clear()
    yield
    fetcher._tls.cache_clear()


@pytest.fixture
def at(site: Website) -> Callable[[str], fetching.Answer]:
    return lambda name: fetching.get(f"https://{name}:{site.port}/", resolver=lambda host, port: ["127.0.0.1"])


def test_the_certificate_is_that_of_the_name(
    at: Callable[[str], fetching.Answer], trusted: None, site: Website
) -> None:
    assert at(NAME).content == f"{NAME}:{site.port}".encode()


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
def test_that_of_another_name_is_refused(at: Callable[[str], fetching.Answer], trusted: None, name: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        at(name)
    assert failed.value.code == "tls_failed"


def test_one_that_nobody_vouches_for_is_refused(at: Callable[[str], fetching.Answer], site: Website) -> None:
    with pytest.raises(FetchFailed) as failed:
        at(NAME)
    assert failed.value.code == "tls_failed"
    assert site.requests == []
