from tests.backend.documents.fixtures import (
    agent,
    agent_server,
    api,
    bot,
    empty_queue,
    empty_storage,
    fresh_process,
    ingested,
    run_jobs,
    upload,
)

__all__ = [
    "agent",
    "agent_server",
    "api",
    "bot",
    "empty_queue",
    "empty_storage",
    "fresh_process",
    "ingested",
    "run_jobs",
    "upload",
]
