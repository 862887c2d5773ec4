import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest

from agent_service.api.tokens import Signed, TokenGate, UsedTokens
from agent_service.contract import TOKEN_HEADER
from agent_service.errors import Overloaded, Unauthenticated
from tests.agent_service.calls import SERVICE_KEY, Caller, claims_for, sign, storing
from tests.agent_service.conftest import StartAgent
from tests.serving import PLAIN

BODY = b"{}"
PATH = "/vectors/list"


def send(url: str, token: str | None, *, path: str = PATH, body: bytes = BODY) -> httpx.Response:
    headers = {} if token is None else {TOKEN_HEADER: token}
    return httpx.post(url + path, content=body, headers=headers, verify=PLAIN)


def raw(header: Any, payload: Any, key: str = SERVICE_KEY, digest: str = "sha256") -> str:
    """A token of any content, correctly signed."""
    parts = [
        base64.urlsafe_b64encode(p if isinstance(p, bytes) else json.dumps(p).encode()).rstrip(b"=")
        for p in (header, payload)
    ]
    signature = hmac.digest(key.encode(), b".".join(parts), digest)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def claims(**changes: Any) -> dict[str, Any]:
    return claims_for("POST", PATH, BODY, **({"namespace": "n"} | changes))


HS256 = {"alg": "HS256", "typ": "JWT"}


def now() -> int:
    """When it is sent, not when this module was read: a run takes minutes."""
    return int(time.time())


FORGED: dict[str, Callable[[], str | None]] = {
    "missing": lambda: None,
    "empty": lambda: "",
    "no token at all": lambda: "hello",
    "two parts": lambda: ".".join(raw(HS256, claims()).split(".")[:2]),
    "five parts": lambda: raw(HS256, claims()) + ".a.b",
    "signature stripped": lambda: raw(HS256, claims()).rpartition(".")[0] + ".",
    "wrong key": lambda: raw(HS256, claims(), key="x" * 32),
    "empty key": lambda: raw(HS256, claims(), key=""),
    "alg none": lambda: jwt.encode(claims(), "", algorithm="none"),
    "alg nOnE": lambda: raw({"alg": "nOnE"}, claims()),
    "alg HS512": lambda: raw({"alg": "HS512"}, claims(), digest="sha512"),
    "alg RS256": lambda: raw({"alg": "RS256"}, claims()),
    "alg a number": lambda: raw({"alg": 1}, claims()),
    "no alg": lambda: raw({}, claims()),
    "kid a path": lambda: raw(HS256 | {"kid": ["../../dev/null"]}, claims()),
    "crit": lambda: raw(HS256 | {"crit": ["b64"], "b64": False}, claims()),
    "header a list": lambda: raw([], claims()),
    "header deep": lambda: raw(b"[" * 2000, claims()),
    "header not text": lambda: raw(b"\xff\xfe", claims()),
    "payload a list": lambda: raw(HS256, []),
    "payload not JSON": lambda: raw(HS256, b"\x00"),
    "payload deep": lambda: raw(HS256, b"[" * 2000),
    "1 MB": lambda: "a" * 60_000,
    "another issuer": lambda: raw(HS256, claims(iss="someone")),
    "another audience": lambda: raw(HS256, claims(aud="chatsphere-backend")),
    "a list of audiences": lambda: raw(HS256, claims(aud=["chatsphere-agent"])),
    "no expiry": lambda: raw(HS256, claims(exp=None)),
    "no issue time": lambda: raw(HS256, claims(iat=None)),
    "no id": lambda: raw(HS256, claims(jti=None)),
    "a short id": lambda: raw(HS256, claims(jti="abc")),
    "expiry a string": lambda: raw(HS256, claims(exp=str(now() + 30))),
    "expiry infinite": lambda: raw(HS256, json.dumps(claims()).replace(str(claims()["exp"]), "1e400").encode()),
    "expiry NaN": lambda: raw(HS256, claims(exp=float("nan"))),
    "expired": lambda: raw(HS256, claims(iat=now() - 40, exp=now() - 10)),
    "lives too long": lambda: raw(HS256, claims(exp=now() + 3600)),
    "expires before it begins": lambda: raw(HS256, claims(exp=int(time.time()) - 60)),
    "from the future": lambda: raw(HS256, claims(iat=now() + 600, exp=now() + 630)),
    "other method": lambda: raw(HS256, claims(method="GET")),
    "other path": lambda: raw(HS256, claims(path="/vectors/delete")),
    "other body": lambda: raw(HS256, claims(body=hashlib.sha256(b"other").hexdigest())),
    "body not ASCII": lambda: raw(HS256, claims(body="é" * 64)),
    "an unknown claim": lambda: raw(HS256, claims(admin=True)),
    "namespace empty": lambda: raw(HS256, claims(namespace="")),
    "namespace a list": lambda: raw(HS256, claims(namespace=["n"])),
    "namespace with NUL": lambda: raw(HS256, claims(namespace="a\x00b")),
    "user no UUID": lambda: raw(HS256, claims(user="1")),
}


@pytest.mark.parametrize("forged", FORGED)
def test_what_is_not_exactly_right_is_refused(keyless_url: str, forged: str) -> None:
    response = send(keyless_url, FORGED[forged]())
    assert response.status_code == 401, response.text
    assert response.json()["code"] == "service_token_invalid"


def test_a_right_token_is_let_in(keyless_url: str) -> None:
    assert send(keyless_url, raw(HS256, claims())).status_code == 200


def test_a_token_is_good_once(keyless_url: str) -> None:
    token = sign("POST", PATH, BODY, namespace="n")
    assert [send(keyless_url, token).status_code for _ in range(3)] == [200, 401, 401]


def test_a_token_tried_on_another_request_is_not_used_up(keyless_url: str) -> None:
    token = sign("POST", PATH, BODY, namespace="n")
    assert send(keyless_url, token, body=b'{"limit": 1}').json()["details"] == {"reason": "other_body"}
    assert send(keyless_url, token, path="/vectors/delete").json()["details"] == {"reason": "other_request"}
    assert send(keyless_url, token).status_code == 200


def test_the_method_is_bound(keyless_url: str) -> None:
    token = sign("POST", "/models")
    assert httpx.get(f"{keyless_url}/models", headers={TOKEN_HEADER: token}, verify=PLAIN).status_code == 401


def test_every_address_but_the_probes_asks_for_a_token(keyless_url: str) -> None:
    document = httpx.get(f"{keyless_url}/openapi.json", verify=PLAIN).json()
    operations = [(method, path) for path, item in document["paths"].items() for method in item]
    open_ones = {
        path
        for method, path in operations
        if httpx.request(method, keyless_url + path, verify=PLAIN).status_code != 401
    }
    assert open_ones == {"/health", "/readyz"}


@pytest.mark.parametrize(
    ("path", "request_body", "claim"),
    [
        ("/embed_and_store", storing("x", embedding="local:wordllama:256"), "namespace"),
        ("/retrieve", {"embedding": "local:wordllama:256", "query": "x", "limit": 1}, "namespace"),
        ("/vectors/delete", {}, "namespace"),
        ("/vectors/list", {}, "namespace"),
        (
            "/chat",
            {
                "model": "local:extractive",
                "temperature": 0,
                "strictness": "free",
                "question": "x",
                "max_output_tokens": 5,
            },
            "user",
        ),
        (
            "/chat",
            {
                "model": "local:extractive",
                "temperature": 0,
                "strictness": "free",
                "question": "x",
                "max_output_tokens": 5,
            },
            "bot",
        ),
    ],
)
def test_a_token_that_names_no_scope_is_forbidden(keyless: Caller, path: str, request_body: Any, claim: str) -> None:
    response = keyless.post(path, request_body, claims={claim: None})
    assert response.status_code == 403
    assert response.json()["details"] == {"claim": claim}


def gate(used: UsedTokens, now: float) -> TokenGate:
    return TokenGate(SERVICE_KEY, 5, used, clock=lambda: now)


def test_used_tokens_are_forgotten_when_they_have_expired() -> None:
    used = UsedTokens(most=10)
    for second in range(100):
        token = sign("GET", "/models", iat=1000 + second, exp=1003 + second)
        gate(used, 1000 + second).admit(token, Signed("GET", "/models", b""))
        assert len(used) <= 4


def test_when_too_many_tokens_are_in_use_it_refuses_rather_than_forgets() -> None:
    used = UsedTokens(most=2)
    tokens = [sign("GET", "/models", iat=1000, exp=1030) for _ in range(3)]
    signed = Signed("GET", "/models", b"")
    for token in tokens[:2]:
        gate(used, 1000).admit(token, signed)
    with pytest.raises(Overloaded):
        gate(used, 1001).admit(tokens[2], signed)
    with pytest.raises(Unauthenticated):
        gate(used, 1002).admit(tokens[0], signed)
    gate(used, 1031).admit(sign("GET", "/models", iat=1031, exp=1040), signed)


def test_a_clock_a_little_ahead_is_tolerated_and_no_more() -> None:
    signed = Signed("GET", "/models", b"")
    gate(UsedTokens(9), 1000).admit(sign("GET", "/models", iat=1005, exp=1030), signed)
    with pytest.raises(Unauthenticated) as caught:
        gate(UsedTokens(9), 1000).admit(sign("GET", "/models", iat=1006, exp=1030), signed)
    assert caught.value.details == {"reason": "not_yet_valid"}


def test_at_its_expiry_a_token_is_over() -> None:
    signed = Signed("GET", "/models", b"")
    with pytest.raises(Unauthenticated) as caught:
        gate(UsedTokens(9), 1030).admit(sign("GET", "/models", iat=1000, exp=1030), signed)
    assert caught.value.details == {"reason": "expired"}


def test_too_many_tokens_at_once_is_told_as_overload(start_agent: StartAgent) -> None:
    caller = start_agent(token_memory=2)
    assert [caller.get("/models").status_code for _ in range(2)] == [200, 200]
    refused = caller.get("/models")
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "overloaded", "1")
