"""`make bench`: everything in one run, the product beside a direct call to the same emulated model."""

import asyncio

from bench import answers, forwarding, ingestion, searching
from bench.product import last_prompt, product
from tests.real_data import FOLDER


def main() -> None:
    with product() as target:
        answers.fill(target)
        asyncio.run(answers.measure(target))
        asyncio.run(answers.statements(target))
        asyncio.run(answers.open_streams(target))
        asyncio.run(forwarding.measure(target, last_prompt(target)))
        asyncio.run(searching.measure(target))
        if FOLDER.is_dir():
            ingestion.measure(target, label="Gemini embeddings (emulated)")
        else:
            print("\ningestion: skipped, ../shared/data with its real PDF files is not here")


if __name__ == "__main__":
    main()
