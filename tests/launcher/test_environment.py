import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from launcher import environment
from launcher.environment import SECRETS, ensure_secrets
from launcher.errors import LauncherError

GIVEN = {"PATH": "/bin"}


def dotenv(root: Path) -> dict[str, str]:
    lines = [line for line in (root / ".env").read_text().splitlines() if "=" in line]
    return dict(line.split("=", 1) for line in lines)


def test_first_secrets_are_long_different_and_private(tmp_path: Path) -> None:
    assert ensure_secrets(root=tmp_path, given={}) == list(SECRETS)
    values = dotenv(tmp_path)
    assert set(values) == set(SECRETS)
    assert len(set(values.values())) == 3
    assert min(map(len, values.values())) >= 32
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# mine\nSECRET_KEY=chosen\nJWT_SIGNING_KEY=")
    assert ensure_secrets(root=tmp_path, given={"SERVICE_KEY": "given"}) == ["JWT_SIGNING_KEY"]
    text = (tmp_path / ".env").read_text()
    assert text.startswith("# mine\nSECRET_KEY=chosen\nJWT_SIGNING_KEY=\nJWT_SIGNING_KEY=")
    assert ensure_secrets(root=tmp_path, given={"SERVICE_KEY": "given"}) == []
    assert (tmp_path / ".env").read_text() == text


def test_two_first_starts_agree_on_the_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ensure_secrets(root=tmp_path, given={}), range(8)))
    assert made.count(list(SECRETS)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8100\nAGENT_PORT=8101\nLOG_LEVEL=DEBUG\n")
    env = environment.read(root=tmp_path, given=GIVEN | {"PORT": "8200"})
    assert (env.url, env.agent_url) == ("http://127.0.0.1:8200", "http://127.0.0.1:8101")
    assert env.variables["LOG_LEVEL"] == "DEBUG"
    assert env.variables["SITE_URL"] == env.url
    assert env.variables["AGENT_URL"] == env.agent_url


def test_without_a_database_url_the_embedded_one_is_meant(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=\n")
    env = environment.read(root=tmp_path, given=GIVEN)
    assert env.embedded
    assert env.data_dir == tmp_path / ".data"
    assert env.variables["DATABASE_URL"].startswith("postgres://postgres@")


def test_a_database_of_one_s_own_is_used_as_it_is(tmp_path: Path) -> None:
    env = environment.read(
        root=tmp_path, given=GIVEN | {"DATABASE_URL": "postgres://elsewhere/db", "SITE_URL": "https://a"}
    )
    assert not env.embedded
    assert env.variables["DATABASE_URL"] == "postgres://elsewhere/db"
    assert env.variables["SITE_URL"] == "https://a"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "8000.5"])
def test_a_port_must_be_one(tmp_path: Path, port: str) -> None:
    with pytest.raises(LauncherError, match="PORT is"):
        environment.read(root=tmp_path, given=GIVEN | {"PORT": port})


def test_a_dotenv_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LauncherError, match="not a UTF-8 text file"):
        environment.read(root=tmp_path, given=GIVEN)
