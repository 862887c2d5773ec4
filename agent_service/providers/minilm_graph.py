"""all-MiniLM-L6-v2 (BERT with six layers of 384; mean of all tokens, unit length) as an ONNX graph with weights of one
byte: a quarter of the size, and twice as fast.

One text goes through it at a time. What it computes with is rounded by the largest number in the call, so that beside
other texts a text would come out differently; and texts of different lengths would compute their padding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

LAYERS, HEADS, WIDTH = 6, 12, 384
HEAD = WIDTH // HEADS
LARGEST = 63
"""Of a weight: seven bits, for with eight some processors add up two products beyond what they can hold."""
IDS, VECTOR = "ids", "vector"

Weights = Mapping[str, NDArray[np.float32]]


def built(weights: Weights) -> ModelProto:
    """Input `ids`: the tokens, int64 (1, n). Output `vector`: float (1, WIDTH)."""
    graph = _Graph(weights)
    state = graph.embedded()
    for number in range(LAYERS):
        state = graph.layer(state, f"encoder.layer.{number}")
    mean = graph.node("ReduceMean", state, graph.constant(np.array([1])), keepdims=0)
    graph.node("LpNormalization", mean, axis=-1, p=2, output=VECTOR)
    return graph.model()


class _Graph:
    """Nodes are named after the numbers of what they give; each method returns the name of its result."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def embedded(self) -> str:
        """Of each token its word's row, its place's and that of the only segment, normed."""
        rows, scales = _rounded(self._weights["embeddings.word_embeddings.weight"], axis=1)
        words = self.node(
            "Mul",
            self.node("Cast", self.node("Gather", self.constant(rows), IDS), to=TensorProto.FLOAT),
            self.node("Gather", self.constant(scales), IDS),
        )
        segment = self._weights["embeddings.token_type_embeddings.weight"][0]
        places = self.constant(self._weights["embeddings.position_embeddings.weight"] + segment)
        start, axis, length = self.constant(np.array([0])), self.constant(np.array([0])), self._length()
        summed = self.node("Add", words, self.node("Slice", places, start, length, axis))
        return self._normed(summed, "embeddings.LayerNorm")

    def layer(self, state: str, name: str) -> str:
        attended = self._linear(self._attention(state, f"{name}.attention.self"), f"{name}.attention.output.dense")
        state = self._normed(self.node("Add", attended, state), f"{name}.attention.output.LayerNorm")
        wide = self.node("Gelu", self._linear(state, f"{name}.intermediate.dense"))
        narrow = self._linear(wide, f"{name}.output.dense")
        return self._normed(self.node("Add", narrow, state), f"{name}.output.LayerNorm")

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def model(self) -> ModelProto:
        ids = helper.make_tensor_value_info(IDS, TensorProto.INT64, [1, "length"])
        vector = helper.make_tensor_value_info(VECTOR, TensorProto.FLOAT, [1, WIDTH])
        graph = helper.make_graph(self._nodes, "minilm", [ids], [vector], self._constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def _attention(self, state: str, name: str) -> str:
        """All heads, side by side. The query is scaled in its weights."""
        parts = [(f"{name}.query", HEAD**-0.5), (f"{name}.key", 1.0), (f"{name}.value", 1.0)]
        matrix = np.concatenate([self._weights[f"{part}.weight"].T * scale for part, scale in parts], axis=1)
        bias = np.concatenate([self._weights[f"{part}.bias"] * scale for part, scale in parts])
        together = self._multiplied(state, matrix.astype(np.float32), bias.astype(np.float32))
        apart = self.node("Reshape", together, self.constant(np.array([1, -1, 3, HEADS, HEAD])))
        heads = self.node("Transpose", apart, perm=[2, 0, 3, 1, 4])
        query, key, value = (self.node("Gather", heads, self._number(one), axis=0) for one in range(3))
        likeness = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        mixed = self.node("MatMul", self.node("Softmax", likeness, axis=-1), value)
        side_by_side = self.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.node("Reshape", side_by_side, self.constant(np.array([1, -1, WIDTH])))

    def _linear(self, state: str, name: str) -> str:
        return self._multiplied(state, self._weights[f"{name}.weight"].T, self._weights[f"{name}.bias"])

    def _multiplied(self, state: str, matrix: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        rounded, scales = _rounded(matrix, axis=0)
        zeros = np.zeros(matrix.shape[1], np.int8)
        inputs = [self.constant(values) for values in (rounded, scales.ravel(), zeros, bias)]
        return self.node("DynamicQuantizeMatMul", state, *inputs, domain="com.microsoft")

    def _normed(self, state: str, name: str) -> str:
        scale, bias = (self.constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", state, scale, bias, axis=-1, epsilon=1e-12)

    def _length(self) -> str:
        return self.node("Gather", self.node("Shape", IDS), self.constant(np.array([1])))

    def _number(self, value: int) -> str:
        """Without an axis of its own, which `constant` would keep."""
        name = f"c{len(self._constants)}"
        self._constants.append(helper.make_tensor(name, TensorProto.INT64, [], [value]))
        return name


def _rounded(matrix: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Each row or column (what `axis` runs along) by its own largest number, and what its steps are worth."""
    scales = np.maximum(np.abs(matrix).max(axis=axis, keepdims=True), 1e-12) / LARGEST
    return np.clip(np.round(matrix / scales), -LARGEST, LARGEST).astype(np.int8), scales.astype(np.float32)
