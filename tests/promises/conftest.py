from collections.abc import Iterator

import pytest

from tests.backend.conversations.conftest import agent, client_of, conversation, knowledge, web
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.server import Running
from tests.stack import Stack, running_stack

__all__ = ["agent", "client_of", "conversation", "knowledge", "web"]

KEY = "emulated-key"
QUICK = {
    "TURN_LEASE_SECONDS": "3",
    "TURN_HEARTBEAT_SECONDS": "0.5",
    "TURN_ABANDON_GRACE_SECONDS": "0.5",
    "SWEEP_SECONDS": "1",
    "MODEL_FIRST_BYTE_SECONDS": "1.5",
    "MODEL_IDLE_SECONDS": "1.5",
    "MODEL_TOTAL_SECONDS": "4",
    "MODEL_RETRIES": "0",
    "BREAKER_FAILURES": "1000",
    "SIGNUP_GRANT": "100000",
    "AGENT_CHAT_SECONDS": "10",
}


@pytest.fixture(scope="session")
def gemini() -> Iterator[GeminiEmulator]:
    with Running(GeminiEmulator(KEY)) as running:
        running.emulator.base_url = running.url  # type: ignore[attr-defined]
        yield running.emulator


@pytest.fixture(scope="session")
def stack(gemini: GeminiEmulator) -> Iterator[Stack]:
    """The whole product against an emulated Gemini, with every period cut short."""
    url: str = gemini.base_url  # type: ignore[attr-defined]
    with running_stack(GOOGLE_API_KEY=KEY, GOOGLE_BASE_URL=url, **QUICK) as running:
        yield running
