"""Every request of the backend to an address that somebody else has named goes through here."""

from backend.fetching.dialling import Resolver
from backend.fetching.errors import FetchFailed
from backend.fetching.fetcher import ROBOT, Answer, check_url, exchange, get, post, user_agent

__all__ = ["ROBOT", "Answer", "FetchFailed", "Resolver", "check_url", "exchange", "get", "post", "user_agent"]
