"""Counting tokens where no vendor does it for us."""

from agent_service.contract import IMAGE_TOKENS, Usage

BYTES_PER_TOKEN = 4
"""Four letters of English; as bytes of UTF-8 it also comes close for scripts that need two or three bytes a letter."""


def estimated_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def split_model(model_id: str) -> tuple[str, str]:
    """`provider:model` as its two parts."""
    provider, _, model = model_id.partition(":")
    return provider, model


def no_usage(model_id: str) -> Usage:
    provider, model = split_model(model_id)
    return Usage(provider=provider, model=model, input_tokens=0, output_tokens=0)


def estimated_usage(model_id: str, read: str, written: str = "", *, images: int = 0) -> Usage:
    provider, model = split_model(model_id)
    return Usage(
        provider=provider,
        model=model,
        input_tokens=estimated_tokens(read) + images * IMAGE_TOKENS,
        output_tokens=estimated_tokens(written),
        estimated=True,
    )


def together(first: Usage, second: Usage) -> Usage:
    """Of two calls of one model."""
    return first.model_copy(
        update={
            "input_tokens": first.input_tokens + second.input_tokens,
            "output_tokens": first.output_tokens + second.output_tokens,
            "estimated": first.estimated or second.estimated,
        }
    )
