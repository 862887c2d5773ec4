"""One index of Pinecone: found or created, called in threads, its failures translated. The SDKs are imported here
only."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from langchain_core.embeddings import Embeddings
from langchain_pinecone import PineconeVectorStore
from pinecone import Pinecone, ServerlessSpec
from pinecone.exceptions import PineconeApiException, PineconeException

from agent_service.errors import UpstreamError
from agent_service.ports import Vector
from agent_service.providers.pinecone_rest import BoundedRest, OpenRequest, current_request
from agent_service.providers.vendor_faults import VendorFault, kind_of, seconds_to_wait
from agent_service.settings import Settings

T = TypeVar("T")

UPSTREAM = "pinecone"
THREADS = 32

WRITTEN = "x-pinecone-request-lsn"
SEEN = "x-pinecone-max-indexed-lsn"

_FAILURES = (PineconeException, OSError, ValueError, TypeError, AttributeError, LookupError)
"""The last four are how the SDK, or our reading of what it gives, fails on an answer of another shape."""


class PineconeIndex:
    """`dimension` is that of the index to create where there is none yet; without it a missing index is an error."""

    def __init__(self, settings: Settings, dimension: int | None) -> None:
        self._settings = settings
        self._dimension = dimension
        self._rest = BoundedRest(
            connect_seconds=settings.vector_connect_seconds, seconds=settings.vector_seconds, connections=THREADS
        )
        key = settings.pinecone_api_key.get_secret_value()
        self._client = Pinecone(api_key=key, host=settings.pinecone_control_url or None, pool_threads=1)
        _use(self._client.db._index_api.api_client, self._rest)  # noqa: SLF001 - the SDK offers no other place
        self._threads = anyio.CapacityLimiter(THREADS)
        self._opening = asyncio.Lock()
        self._store: PineconeVectorStore | None = None
        self._probe: Vector | None = None

    async def store(self) -> PineconeVectorStore:
        """LangChain's store over the index; `store.index` is the SDK's."""
        async with self._opening:
            if self._store is None:
                host = self._settings.pinecone_host or await self._host()
                self._store = await self.call(lambda: self._opened(host))
        return self._store

    async def probe(self) -> Vector:
        """Any vector of the index's dimension: a query needs one, also where only its filter matters."""
        if self._probe is None:
            self._probe = await self._described()
        return self._probe

    async def check(self) -> None:
        """Raises UpstreamError where the index cannot be reached or is not there."""
        self._probe = await self._described()

    async def call(self, work: Callable[[], T]) -> T:
        """One request of the blocking SDK, in a thread; when the time is up, or the caller leaves, its connection is
        closed."""
        request = OpenRequest()
        current_request.set(request)
        with _translated(self._settings):
            try:
                async with asyncio.timeout(self._settings.vector_seconds):
                    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
            except (TimeoutError, asyncio.CancelledError):
                request.abandon()
                raise

    def lsn(self, header: str) -> int | None:
        """A log sequence number of the last answer in this thread: asked from within `work`."""
        value = self._rest.headers.get(header)
        return int(value) if value is not None else None

    def close(self) -> None:
        self._rest.close()

    async def _described(self) -> Vector:
        index = (await self.store()).index
        dimension = await self.call(lambda: int(index.describe_index_stats().dimension))
        return [1.0] + [0.0] * (dimension - 1)

    async def _host(self) -> str:
        name = self._settings.pinecone_index
        try:
            described = await self.call(lambda: self._client.describe_index(name))
        except UpstreamError as error:
            if error.upstream_status != 404 or self._dimension is None:
                raise
            described = await self._create(name, self._dimension)
        return str(described.host)

    async def _create(self, name: str, dimension: int) -> Any:
        spec = ServerlessSpec(cloud=self._settings.pinecone_cloud, region=self._settings.pinecone_region)
        create = self._client.create_index
        return await self.call(lambda: create(name=name, dimension=dimension, metric="cosine", spec=spec, timeout=-1))

    def _opened(self, host: str) -> PineconeVectorStore:
        index = self._client.Index(host=host, pool_threads=1)
        _use(index._vector_api.api_client, self._rest)  # noqa: SLF001 - the SDK offers no other place
        # To LangChain the text of what is found is its document's id: more is not there, and more is not needed.
        return PineconeVectorStore(index=index, embedding=_NoEmbeddings(), text_key="document")


class _NoEmbeddings(Embeddings):
    """LangChain's store wants an embedder; ours are asked elsewhere, and this one is never."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError


def _use(api_client: Any, rest: BoundedRest) -> None:
    api_client.rest_client = rest


@contextmanager
def _translated(settings: Settings) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _upstream_error(error) from VendorFault(error, [settings.pinecone_api_key])


def _upstream_error(error: Exception) -> UpstreamError:
    if isinstance(error, PineconeApiException):
        status = int(error.status)
        retry_after = seconds_to_wait((error.headers or {}).get("retry-after"))
        return UpstreamError(kind_of(status), UPSTREAM, status=status, retry_after=retry_after)
    if isinstance(error, TimeoutError):
        return UpstreamError("timeout", UPSTREAM)
    if isinstance(error, OSError):
        return UpstreamError("unreachable", UPSTREAM)
    return UpstreamError("garbage", UPSTREAM)
