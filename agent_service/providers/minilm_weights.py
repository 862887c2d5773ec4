"""The weights and the vocabulary of all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0), from a package that carries
them. Nothing of the package is run, and only the very files that are pinned here are taken.
"""

import hashlib
import json
import struct
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent_service.errors import Misconfigured

PACKAGE, ARCHIVE = "all_minilm_l6_v2", "model.zip"
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
SHA256 = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_HEAD = struct.Struct("<Q")


def archive() -> Path:
    """Raises Misconfigured where the package is not installed."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise Misconfigured("LOCAL_NEURAL needs packages that are not there: `make setup-neural` installs them")
    return Path(found.origin).parent / ARCHIVE


def read(path: Path, name: str) -> bytes:
    """Raises Misconfigured for anything but the file that is pinned."""
    with zipfile.ZipFile(path) as files:
        content = files.read(name)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise Misconfigured(f"{name} of {path.name} is not the one that is pinned")
    return content


def tensors(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Of a safetensors file: a header in JSON after its length, then the numbers. Those that are no floats are left
    out.
    """
    (length,) = _HEAD.unpack_from(content)
    start = _HEAD.size + length
    head = json.loads(content[_HEAD.size : start])
    found = {name: about for name, about in head.items() if about.get("dtype") == "F32"}
    return {
        name: np.ndarray(about["shape"], "<f4", content, start + about["data_offsets"][0])
        for name, about in found.items()
    }
