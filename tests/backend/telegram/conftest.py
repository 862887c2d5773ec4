from tests.backend.documents.fixtures import bot
from tests.backend.telegram.fixtures import account, data_centre, follow, harbour, session, telegram

__all__ = ["account", "bot", "data_centre", "follow", "harbour", "session", "telegram"]
