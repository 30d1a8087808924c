#!/usr/bin/env python3
"""Writes small headers of GGUF files for the fuzzer to begin with, and the words it may put in.

Usage: fuzz/seeds.py FOLDER    fills FOLDER/seeds and writes FOLDER/dictionary
"""

import struct
import sys
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY, U64, I64, F64 = range(13)
NUMBERS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def of_kind(kind, value):
    return text(value) if kind == TEXT else struct.pack("<" + NUMBERS[kind], value)


def entry(key, kind, value):
    if isinstance(value, list):
        head = struct.pack("<IIQ", ARRAY, kind, len(value))
        return text(key) + head + b"".join(of_kind(kind, item) for item in value)
    return text(key) + struct.pack("<I", kind) + of_kind(kind, value)


def tensor(name, dimensions, kind, offset):
    sizes = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + sizes + struct.pack("<IQ", kind, offset)


MODEL = {
    "general.architecture": (TEXT, "llama"),
    "general.name": (TEXT, "Tiny"),
    "general.file_type": (U32, 15),
    "llama.block_count": (U32, 1),
    "llama.context_length": (U32, 64),
    "llama.embedding_length": (U32, 32),
    "llama.attention.head_count": (U32, 4),
    "llama.attention.head_count_kv": (U32, 2),
    "tokenizer.ggml.model": (TEXT, "gpt2"),
    "tokenizer.ggml.tokens": (TEXT, ["a", "b", ""]),
    "tokenizer.ggml.bos_token_id": (U32, 1),
    "tokenizer.chat_template": (TEXT, "{{ messages }}"),
}
# Others that the checks look at, once in each seed.
EXTRAS = [
    {},
    {"general.alignment": (U32, 64)},
    {"general.type": (TEXT, "model"), "general.size_label": (TEXT, "1K")},
    {"llama.attention.head_count_kv": (U32, [1, 2]), "llama.attention.key_length": (U32, 8)},
    {"llama.attention.value_length": (U16, 8), "llama.nextn_predict_layers": (U8, 1)},
    {"llama.expert_count": (U32, 8), "llama.expert_used_count": (U32, 2)},
    {"llama.expert_count": (U32, 8), "llama.expert_used_count": (U32, 2), "llama.expert_group_count": (U32, 2),
     "llama.expert_group_used_count": (U32, 1)},
    {"llama.rope.scaling.type": (TEXT, "yarn"), "llama.rope.freq_base": (F32, 1e4)},
    {"tokenizer.ggml.add_bos_token": (BOOL, True), "tokenizer.ggml.merges": (TEXT, ["a b"])},
    {"tokenizer.ggml.model": (TEXT, "gemma4"), "tokenizer.ggml.scores": (F32, [0.0, -1.0, 1.0])},
    {"split.no": (U16, 0), "split.count": (U16, 2), "split.tensors.count": (I32, 1)},
    {"a": (I8, -1), "b": (I16, [-1, 1]), "c": (I64, -1), "d": (F64, 0.5), "e": (U64, [2**63]), "f": (BOOL, [True])},
]
TENSORS = [
    ("token_embd.weight", [256, 3], 12, 432),
    ("blk.0.attn_q.weight", [32, 32], 0, 4096),
    ("blk.0.attn_norm.weight", [32], 1, 64),
    ("output.weight", [32, 1, 2, 2], 8, 136),
]


def header(metadata, version=3, weights=True):
    alignment = metadata.get("general.alignment", (U32, 32))[1]
    tensors, offset = [], 0
    for name, dimensions, kind, size in TENSORS:
        tensors.append(tensor(name, dimensions, kind, offset))
        offset += -(-size // alignment) * alignment
    parts = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    parts += [entry(key, *value) for key, value in metadata.items()] + tensors
    whole = b"".join(parts)
    whole += bytes(-len(whole) % alignment)
    return whole + bytes(offset if weights else 0)


def main(folder):
    seeds = Path(folder) / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for number, extras in enumerate(EXTRAS):
        (seeds / f"{number}-whole.gguf").write_bytes(header(MODEL | extras))
        (seeds / f"{number}-header.gguf").write_bytes(header(MODEL | extras, weights=False))
    (seeds / "version-2.gguf").write_bytes(header(MODEL, version=2))
    (seeds / "big-endian.gguf").write_bytes(b"GGUF" + struct.pack(">I", 3))
    words = [name for name, *_ in TENSORS]
    for metadata in (MODEL, *EXTRAS):
        for key, (_, value) in metadata.items():
            words += [key, *([value] if isinstance(value, str) else [])]
    words += ["none", "linear", "longrope", "mmproj", "adapter", "clip", "hunyuan-moe", "no_vocab", "t5"]
    lengths = [number.to_bytes(8, "little") for number in (0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)]
    quoted = ["".join(f"\\x{byte:02x}" for byte in word) for word in [text(word) for word in words] + lengths]
    (Path(folder) / "dictionary").write_text("".join(f'"{word}"\n' for word in dict.fromkeys(quoted)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
