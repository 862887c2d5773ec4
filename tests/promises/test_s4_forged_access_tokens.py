"""S4: whatever somebody makes up instead of an access token gets 401, and never a 5xx."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from rest_framework.test import APIClient

from backend.users import services, tokens
from backend.users.models import User

KEY: str = settings.JWT_SIGNING_KEY
STRANGE_KEY = "some other key, also of thirty-two characters"
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}


class Removed:
    def __repr__(self) -> str:
        return "removed"  # the same in every process: the tests are named after it


REMOVED = Removed()


def odd(*values: Any) -> tuple[Any, ...]:
    return values


def b64(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def dump(claims: object) -> str:
    return json.dumps(claims, separators=(",", ":"))


def signed(payload: str, header: dict[str, Any] | str = HEADER, key: str = KEY) -> str:
    """A token with whatever text as its payload, under a signature that is right for `key`."""
    head = header if isinstance(header, str) else dump(header)
    text = f"{b64(head)}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(key.encode(), text.encode(), 'sha256'))}"


def with_claims(**changes: object) -> Callable[[dict[str, Any]], str]:
    """Correctly signed, so that only the claim itself can be why it is refused."""

    def forge(claims: dict[str, Any]) -> str:
        return signed(dump({k: v for k, v in {**claims, **changes}.items() if v is not REMOVED}))

    return forge


def with_text(old: str, new: str) -> Callable[[dict[str, Any]], str]:
    """Correctly signed over JSON that json.dumps would not write."""
    return lambda claims: signed(dump(claims).replace(old.format(**claims), new.format(**claims), 1))


def with_header(key: str = STRANGE_KEY, **changes: object) -> Callable[[dict[str, Any]], str]:
    return lambda claims: signed(dump(claims), {**HEADER, **changes}, key)


def unsigned(alg: object) -> Callable[[dict[str, Any]], str]:
    return lambda claims: f"{b64(json.dumps({'alg': alg, 'typ': 'JWT'}))}.{b64(json.dumps(claims))}."


def reshaped(change: Callable[[str], str]) -> Callable[[dict[str, Any]], str]:
    return lambda claims: change(tokens.write_access(tokens.Claims.model_validate_json(json.dumps(claims))))


def spare_bits(token: str) -> str:
    """Another spelling of the same signature: its last letter carries two bits that decoders ignore."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----"
FORGERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    **{f"alg {alg!r}": unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", "", None, 0, ["none"], "HS256")},
    **{f"alg {alg}, HMAC": with_header(KEY, alg=alg) for alg in ("RS256", "ES256", "EdDSA", "hs256", "none")},
    "alg HS512": lambda claims: jwt.encode(claims, KEY * 2, "HS512"),
    "alg HS512, our key": with_header(KEY, alg="HS512"),
    "signed with a public key": lambda claims: signed(dump(claims), key=PUBLIC_KEY),
    "signed with a strange key": with_header(),
    "signed with an empty key": with_header(""),
    "signed with the service key's name": with_header("SERVICE_KEY"),
    "kid ../../dev/null": with_header("", kid="../../../../dev/null"),
    "kid SQL": with_header(kid="' UNION SELECT 'x"),
    "kid number": with_header(KEY, kid=1),
    "kid with the right key": with_header(KEY, kid="1"),
    "jku": with_header(jku="http://127.0.0.1:9/jwks.json"),
    "x5u": with_header(x5u="http://127.0.0.1:9/x.pem"),
    "x5c": with_header(x5c=["MII"]),
    "jwk": with_header(jwk={"kty": "oct", "k": b64(STRANGE_KEY)}),
    "crit": with_header(KEY, crit=["exp"]),
    "b64 false": with_header(KEY, b64=False, crit=["b64"]),
    "header is a list": lambda claims: signed(dump(claims), "[]"),
    "header is nested 300 deep": lambda claims: signed(dump(claims), "[" * 300),
    "header is nested too deep to parse": lambda claims: signed("{}", "[" * 100_000),
    "header is not JSON": lambda claims: signed(dump(claims), "\x00\xff"),
    **{f"iss {value!r}": with_claims(iss=value) for value in odd("other", "", None, ["chatsphere"], REMOVED)},
    **{f"aud {value!r}": with_claims(aud=value) for value in odd("agent", "", None, ["chatsphere-api"], REMOVED)},
    **{f"typ {value!r}": with_claims(typ=value) for value in odd("refresh", "Access", None, True, REMOVED)},
    **{f"sub {value!r}": with_claims(sub=value) for value in odd("1", "", None, 7, {}, "' OR 1=1 --", REMOVED)},
    **{
        f"sid {value!r}": with_claims(sid=value)
        for value in odd("x", None, 0, [], "605e49cf-7293-4a52-bc31-670e53e27bcf", REMOVED)
    },
    **{f"jti {value!r}": with_claims(jti=value) for value in odd("x", None, REMOVED)},
    **{f"iat {value!r}": with_claims(iat=value) for value in odd("now", None, -1, 1.5, 2**70, REMOVED)},
    **{f"exp {value!r}": with_claims(exp=value) for value in odd(0, -1, None, True, [], 2**70, REMOVED)},
    "exp just now": with_claims(exp=int(time.time()) - 1),
    "exp a string": with_text('"exp":{exp}', '"exp":"{exp}"'),
    "exp 1e400": with_text('"exp":{exp}', '"exp":1e400'),
    "exp Infinity": with_text('"exp":{exp}', '"exp":Infinity'),
    "exp NaN": with_text('"exp":{exp}', '"exp":NaN'),
    "exp 5000 digits": with_text('"exp":{exp}', '"exp":' + "9" * 500),
    "nbf in the future": with_claims(nbf=int(time.time()) + 3600),
    "a claim of no use": with_claims(is_superuser=True),
    "dup exp": with_text('"exp":{exp}', '"exp":1,"exp":{exp}'),
    "dup sub": with_text('"sub":', '"sub":"00000000-0000-7000-8000-000000000000","sub":'),
    "dup typ": with_text('"typ":"access"', '"typ":"refresh","typ":"access"'),
    "sub in capitals": lambda claims: with_claims(sub=claims["sub"].upper())(claims),
    "sub without dashes": lambda claims: with_claims(sub=claims["sub"].replace("-", ""))(claims),
    "blanks in the payload": lambda claims: signed(json.dumps(claims, indent=1)),
    "payload a list": lambda _: signed("[]"),
    "payload a string": lambda _: signed('"access"'),
    "payload null": lambda _: signed("null"),
    "payload empty": lambda _: signed(""),
    "payload nested deeply": lambda _: signed("[" * 500),
    "payload not UTF-8": lambda _: signed("\udcff".encode("utf-8", "surrogatepass").decode("latin-1")),
    "signature stripped": reshaped(lambda token: token.rpartition(".")[0] + "."),
    "signature and dot stripped": reshaped(lambda token: token.rpartition(".")[0]),
    "signature cut by one": reshaped(lambda token: token[:-1]),
    "signature longer by one": reshaped(lambda token: token + "A"),
    "signature with padding": reshaped(lambda token: token + "="),
    "signature in another spelling": reshaped(spare_bits),
    "signature of another": lambda claims: with_claims()(claims).rpartition(".")[0] + "." + signed("{}").split(".")[2],
    "one part": reshaped(lambda token: token.split(".")[0]),
    "four parts": reshaped(lambda token: token + ".e30"),
    "five parts, like a JWE": reshaped(lambda token: token + ".e30.e30"),
    "dots only": lambda _: "..",
    "a megabyte": lambda claims: with_claims(pad="x" * 1_000_000)(claims),
    "a megabyte of dots": lambda _: "." * 1_000_000,
    "no token": lambda _: "",
    "null": lambda _: "null",
    "two tokens": reshaped(lambda token: f"{token}, {token}"),
    "token and a blank": reshaped(lambda token: f"{token} x"),
    "bytes beyond ASCII": reshaped(lambda token: token.replace(".", "\xa0.", 1)),
    "bytes beyond ASCII in the signature": reshaped(lambda token: f"{token[:-1]}\xe9{token[-1]}"),
}


@pytest.fixture
def victim(owner: User) -> tuple[User, dict[str, Any], str]:
    pair = services.open_session(user=owner, user_agent="")
    return owner, tokens.read_access(pair.access).model_dump(mode="json"), pair.refresh


def test_there_are_enough_of_them() -> None:
    assert len(FORGERIES) >= 40


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_refused(name: str, victim: tuple[User, dict[str, Any], str]) -> None:
    _, claims, _ = victim
    answer = APIClient().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {FORGERIES[name](claims)}")
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_token"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_genuine_token_of_the_same_claims_is_honoured(victim: tuple[User, dict[str, Any], str]) -> None:
    user, claims, _ = victim
    genuine = reshaped(str)(claims)
    answer = APIClient().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {genuine}")
    assert answer.json()["id"] == str(user.pk)
    assert json.loads(base64.urlsafe_b64decode(genuine.split(".")[1] + "==")) == claims


def test_refresh_token_is_no_access_token(victim: tuple[User, dict[str, Any], str]) -> None:
    answer = APIClient().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {victim[2]}")
    assert answer.status_code == 401


def test_access_token_is_no_refresh_token(victim: tuple[User, dict[str, Any], str]) -> None:
    access = reshaped(str)(victim[1])
    answer = APIClient().post("/api/v1/auth/refresh/", {"refresh": access})
    assert answer.status_code in {400, 401}


def test_session_of_another_user_is_refused(victim: tuple[User, dict[str, Any], str], stranger: User) -> None:
    forged = with_claims(sub=str(stranger.pk))(victim[1])
    assert APIClient().get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {forged}").status_code == 401


@pytest.mark.parametrize("scheme", ["Basic", "Token", "JWT", "Bearer\t", ""])
def test_other_scheme_is_not_signed_in(scheme: str, victim: tuple[User, dict[str, Any], str]) -> None:
    header = f"{scheme} {reshaped(str)(victim[1])}"
    assert APIClient().get("/api/v1/me/", HTTP_AUTHORIZATION=header).status_code == 401


CLAIMS = tokens.Claims(sub=uuid4(), sid=uuid4(), jti=uuid4(), iat=1, exp=2**52)


@limits(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_changing_any_letters_of_a_token_breaks_it(data: st.DataObject) -> None:
    token = tokens.write_access(CLAIMS)
    at = data.draw(st.integers(0, len(token)))
    until = data.draw(st.integers(at, min(len(token), at + 3)))
    changed = token[:at] + data.draw(st.text(max_size=3)) + token[until:]
    if changed == token:
        assert tokens.read_access(changed) == CLAIMS
        return
    with pytest.raises(tokens.InvalidAccessToken):
        tokens.read_access(changed)


@limits(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)))
def test_any_signed_payload_is_either_ours_or_refused(payload: object) -> None:
    with pytest.raises(tokens.InvalidAccessToken):
        tokens.read_access(signed(dump(payload)))
