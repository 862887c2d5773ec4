"""Two short passages to ask about."""

from uuid import uuid4

from agent_service.contract import Passage

PASSAGES = [
    Passage(id=uuid4(), title="Cats", text="The cat is black and sleeps all day."),
    Passage(id=uuid4(), title="Dogs", page=3, text="The dog weighs 12 kg. It likes bones."),
]
