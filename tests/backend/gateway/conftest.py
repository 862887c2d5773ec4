from tests.backend.conversations.conftest import agent, client_of, conversation, knowledge, web

__all__ = ["agent", "client_of", "conversation", "knowledge", "web"]
