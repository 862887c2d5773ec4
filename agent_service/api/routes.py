"""The agent's addresses. Each reads its request, calls one function of the pipeline and answers in the contract's
words.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from agent_service.api.dependencies import Authenticated, Running
from agent_service.api.refusals import responses
from agent_service.api.streaming import EventStream, until_left
from agent_service.contract import (
    AgentsResponse,
    ChatRequest,
    ChatResponse,
    CountTokensRequest,
    CountTokensResponse,
    DeleteVectorsRequest,
    DeleteVectorsResponse,
    EmbedAndStoreRequest,
    EmbedAndStoreResponse,
    EmbedRequest,
    EmbedResponse,
    EstimateCostRequest,
    EstimateCostResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    ListVectorsRequest,
    ListVectorsResponse,
    ModelInfo,
    ModelsResponse,
    ProvidersResponse,
    ReadyResponse,
    RerankRequest,
    RerankResponse,
    RetrieveAcrossRequest,
    RetrieveRequest,
    RetrieveResponse,
)
from agent_service.pipeline.across import retrieve_across
from agent_service.pipeline.agents.analysing import looked_at
from agent_service.pipeline.answering import collected
from agent_service.pipeline.encoding import encoded
from agent_service.pipeline.facts import estimated_cost
from agent_service.pipeline.reranking import rerank
from agent_service.pipeline.retrieving import retrieve
from agent_service.pipeline.storing import delete_vectors, embed_and_store, list_namespaces, list_vectors

REQUESTS = (
    ChatRequest,
    CountTokensRequest,
    EstimateCostRequest,
    DeleteVectorsRequest,
    EmbedAndStoreRequest,
    EmbedRequest,
    ListNamespacesRequest,
    ListVectorsRequest,
    RerankRequest,
    RetrieveAcrossRequest,
    RetrieveRequest,
)

_REFUSALS = responses(401, 403, 408, 413, 422, 500, 502, 503, 504)

probes = APIRouter(tags=["probes"])
router = APIRouter(responses=_REFUSALS)


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """For the OpenAPI document: the body is read by the dependency, which has to see its raw bytes."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _whole(answer: BaseModel) -> Response:
    """As it is: FastAPI would check every hit once more."""
    return Response(answer.model_dump_json(), media_type="application/json")


@probes.get("/health")
async def health() -> dict[str, str]:
    """Whether the process runs."""
    return {"status": "ok"}


@probes.get("/readyz", response_model=ReadyResponse, responses={503: {"model": ReadyResponse}})
async def ready(running: Running) -> Response:
    """Whether it can do its work; names what it cannot do."""
    state = await running.ready()
    return JSONResponse(state.model_dump(), 200 if state.ready else 503, headers={"Cache-Control": "no-store"})


@router.get("/models", tags=["models"])
async def models(_: Authenticated, running: Running) -> ModelsResponse:
    return running.catalogue.listing()


@router.get("/models/{wanted:path}", tags=["models"], responses=responses(404))
async def model(wanted: str, _: Authenticated, running: Running) -> ModelInfo:
    """By id, or by the name that its vendor gives it."""
    return running.catalogue.named(wanted)


@router.get("/agents", tags=["agents"])
async def agents(_: Authenticated, running: Running) -> AgentsResponse:
    """The default one first."""
    return running.agents.listing()


@router.get("/providers", tags=["models"])
async def providers(_: Authenticated, running: Running) -> ProvidersResponse:
    return running.providers()


@router.post("/count-tokens", tags=["models"], openapi_extra=_body(CountTokensRequest))
async def count_tokens(call: Authenticated, running: Running, http: Request) -> CountTokensResponse:
    return await until_left(http.receive, running.count_tokens(call.read(CountTokensRequest)))


@router.post("/estimate-cost", tags=["models"], openapi_extra=_body(EstimateCostRequest))
async def estimate_cost(call: Authenticated, running: Running) -> EstimateCostResponse:
    """What the vendor would charge, and not what the product does."""
    request = call.read(EstimateCostRequest)
    running.catalogue.chat_model(request.model)
    return estimated_cost(request, running.catalogue.facts)


@router.post("/embed_and_store", tags=["vectors"], openapi_extra=_body(EmbedAndStoreRequest))
async def store(call: Authenticated, running: Running) -> EmbedAndStoreResponse:
    """Embeds what is missing. Runs to its end also when the caller leaves: what was paid for is kept for the next
    try.
    """
    request = call.read(EmbedAndStoreRequest)
    namespace = call.namespace()
    reader, shelf = running.reader(request.embedding), running.shelf()
    return await embed_and_store(request, namespace=namespace, reader=reader, shelf=shelf, turnstile=running.turnstile)


@router.post("/embed", tags=["vectors"], openapi_extra=_body(EmbedRequest))
async def embed(call: Authenticated, running: Running, http: Request) -> EmbedResponse:
    """Texts as vectors, which are kept nowhere."""
    request = call.read(EmbedRequest)
    return await until_left(http.receive, encoded(request.texts, reader=running.reader(request.embedding)))


@router.post("/retrieve", tags=["vectors"], response_model=RetrieveResponse, openapi_extra=_body(RetrieveRequest))
async def search(call: Authenticated, running: Running, http: Request) -> Response:
    request = call.read(RetrieveRequest)
    namespace = call.namespace()
    reader, shelf, speaker = running.reader(request.embedding), running.shelf(), running.rewriter(request)

    async def finding() -> RetrieveResponse:
        seen, asked = await looked_at(request, agent=running.agents.get(request.agent), speaker=speaker)
        found = await retrieve(seen, namespace=namespace, reader=reader, shelf=shelf, speaker=speaker)
        return found.model_copy(update={"rewriting": asked}) if asked else found

    return _whole(await until_left(http.receive, finding()))


@router.post(
    "/retrieve/across",
    tags=["vectors"],
    response_model=RetrieveResponse,
    responses=responses(409),
    openapi_extra=_body(RetrieveAcrossRequest),
)
async def search_across(call: Authenticated, running: Running, http: Request) -> Response:
    """In many namespaces, which the token names by their hash."""
    request = call.read(RetrieveAcrossRequest)
    call.require_namespaces([told.sha256 for told in request.sets])
    shelves, shelf, speaker = running.shelves(request), running.shelf(), running.rewriter(request)
    finding = retrieve_across(request, shelves=shelves, shelf=shelf, speaker=speaker)
    return _whole(await until_left(http.receive, finding))


@router.post("/rerank", tags=["vectors"], openapi_extra=_body(RerankRequest))
async def sort_again(call: Authenticated, running: Running, http: Request) -> RerankResponse:
    """In the order of a reranker; as they came, where it fails."""
    request = call.read(RerankRequest)
    call.require_person()
    return await until_left(http.receive, rerank(request, speaker=running.reranker(request)))


@router.post(
    "/chat",
    tags=["chat"],
    response_model=ChatResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "The answer, whole or as events"}},
    openapi_extra=_body(ChatRequest),
)
async def chat(call: Authenticated, running: Running, http: Request) -> Response:
    request = call.read(ChatRequest)
    call.require_person_and_bot()
    events = running.chat(request, budget=call.claims.max_output_tokens)
    if request.stream:
        settings = running.settings
        return EventStream(events, heartbeat=settings.agent_heartbeat_seconds, patience=settings.agent_reader_seconds)
    whole = await until_left(http.receive, collected(events))
    return Response(whole.model_dump_json(), media_type="application/json")


@router.post("/vectors/delete", tags=["vectors"], openapi_extra=_body(DeleteVectorsRequest))
async def delete(call: Authenticated, running: Running) -> DeleteVectorsResponse:
    """Deletes, then counts what is left."""
    return await delete_vectors(call.read(DeleteVectorsRequest), namespace=call.namespace(), shelf=running.shelf())


@router.post("/vectors/list", tags=["vectors"], openapi_extra=_body(ListVectorsRequest))
async def listing(call: Authenticated, running: Running) -> ListVectorsResponse:
    return await list_vectors(call.read(ListVectorsRequest), namespace=call.namespace(), shelf=running.shelf())


@router.post("/vectors/namespaces", tags=["vectors"], openapi_extra=_body(ListNamespacesRequest))
async def namespaces(call: Authenticated, running: Running) -> ListNamespacesResponse:
    """Names alone, of everybody's: a token that is meant for one namespace, bot or person is refused."""
    call.require_nobody()
    return await list_namespaces(call.read(ListNamespacesRequest), shelf=running.shelf())
