"""The emulators on fixed ports, until Ctrl-C: `python -m tests.emulators --gemini-port 9101 --pinecone-port 9102`, and
those of OpenAI and Anthropic where they are given a port.

Scripted over HTTP: `curl -d '{"faults": [{"route": "query", "kind": "429", "times": 2}]}' localhost:9102/__control`
"""

import argparse
import asyncio
import contextlib

from tests.emulators.anthropic import AnthropicEmulator
from tests.emulators.gemini import GeminiEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.emulators.pinecone import PineconeEmulator
from tests.emulators.server import Bound


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulators", description="Emulators of vendors")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--gemini-port", type=int, default=9101)
    parser.add_argument("--pinecone-port", type=int, default=9102)
    parser.add_argument("--openai-port", type=int, default=None)
    parser.add_argument("--anthropic-port", type=int, default=None)
    parser.add_argument("--api-key", default=None, help="the only key accepted; without it any key is")
    parser.add_argument("--index", default="chatsphere", help="an index that exists from the start; empty for none")
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--lag", type=float, default=0.0, help="seconds until Pinecone's reads see a write")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    gemini = GeminiEmulator(options.api_key)
    pinecone = PineconeEmulator(options.api_key, options.index or None, options.dimension, options.lag)
    servers = [Bound(gemini, options.host, options.gemini_port), Bound(pinecone, options.host, options.pinecone_port)]
    print(f"Gemini   {servers[0].url}  (control at /__control)", flush=True)
    print(f"Pinecone {servers[1].url}  (control at /__control)", flush=True)
    for name, emulator, port in (
        ("OpenAI  ", OpenAIEmulator(options.api_key), options.openai_port),
        ("Anthropic", AnthropicEmulator(options.api_key), options.anthropic_port),
    ):
        if port is not None:
            servers.append(Bound(emulator, options.host, port))
            print(f"{name} {servers[-1].url}  (control at /__control)", flush=True)
    await asyncio.gather(*(server.serve() for server in servers))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments()))
