#!/usr/bin/env python3
"""Writes small files for the fuzzer to begin with, and the words it may put in.

Usage: fuzz/seeds.py FOLDER    fills FOLDER/seeds/TARGET and writes FOLDER/TARGET.dict for each target
"""

import json
import re
import sqlite3
import struct
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

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


def gguf_headers():
    """Seeds by name, and words."""
    seeds = {}
    for number, extras in enumerate(EXTRAS):
        seeds[f"{number}-whole"] = header(MODEL | extras)
        seeds[f"{number}-header"] = header(MODEL | extras, weights=False)
    seeds["version-2"] = header(MODEL, version=2)
    seeds["big-endian"] = b"GGUF" + struct.pack(">I", 3)
    words = [name for name, *_ in TENSORS]
    for metadata in (MODEL, *EXTRAS):
        for key, (_, value) in metadata.items():
            words += [key, *([value] if isinstance(value, str) else [])]
    words += ["none", "linear", "longrope", "mmproj", "adapter", "clip", "hunyuan-moe", "no_vocab", "t5"]
    lengths = [number.to_bytes(8, "little") for number in (0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)]
    return seeds, [text(word) for word in words] + lengths


def chatgpt():
    """A conversation as ChatGPT exports it: an edited question, thoughts, a tool."""
    def node(parent, children, role=None, content=None, **more):
        message = role and {"author": {"role": role}, "create_time": 1.5, "content": content, **more}
        return {"message": message, "parent": parent, "children": children}

    def said(*parts):
        return {"content_type": "text", "parts": list(parts)}

    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "Algae"}]}
    mapping = {
        "root": node(None, ["s"]),
        "s": node("root", ["q", "r"], "system", said("")),
        "q": node("s", ["a"], "user", said("Why?")),
        "a": node("q", [], "assistant", said("Air."), metadata={"model_slug": "gpt-4o"}),
        "r": node("s", ["t"], "user", {"content_type": "multimodal_text", "parts": [{"asset_pointer": "x"}, "And?"]}),
        "t": node("r", ["u"], "assistant", thoughts),
        "u": node("t", ["v"], "tool", {"content_type": "execution_output", "text": "1"}),
        "v": node("u", [], "assistant", said("Sea."), recipient="all"),
    }
    return {"title": "Sky", "create_time": 1.25, "update_time": 2.5, "current_node": "v", "is_archived": True,
            "mapping": mapping}


def own_chat():
    """A chat as `tuichat chats export` writes it."""
    def message(number, parent, role, **more):
        return {"id": number, "parent": parent, "role": role, "content": f"{role} {number}", **more}

    return {"tuichat": 1, "title": "Trees", "created_at": "2026-11-27T09:31:00Z", "updated_at": "2026-11-27T09:32:00Z",
            "tags": ["work"], "archived": True, "leaf": 4, "messages": [
                message(1, None, "system"), message(2, 1, "user", pinned=True, folds="[]"),
                message(3, 2, "assistant", thinking="Hm", model="SmolLM2", finish_reason="stop",
                        created_at="2026-11-27T09:31:01.250Z", sampling={"temperature": 0.5, "seed": 7},
                        stats={"usage": {"prompt_tokens": 3}}), message(4, 2, "assistant", finish_reason="loop")]}


def ollama_database():
    """The chats of Ollama's app."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db.sqlite"
        database = sqlite3.connect(path)
        database.executescript("""
            PRAGMA page_size = 512;
            CREATE TABLE chats (id TEXT PRIMARY KEY, title TEXT, created_at TIMESTAMP);
            CREATE TABLE messages (id INTEGER PRIMARY KEY, chat_id TEXT, role TEXT, content TEXT, thinking TEXT,
                model_name TEXT, created_at TIMESTAMP);
            INSERT INTO chats VALUES ('c', 'Sea', '2026-11-27 09:31:00');
            INSERT INTO messages VALUES (1, 'c', 'user', 'How deep?', NULL, NULL, '2026-11-27 09:31:00'),
                (2, 'c', 'assistant', 'Deep', 'Hm', 'qwen3', '2026-11-27 09:31:01'), (3, 'c', 'tool', 'x', '', '', '');
        """)
        database.close()
        return path.read_bytes()


def chats():
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}]
    values = {
        "own": own_chat(), "chatgpt": [chatgpt()], "messages": {"title": "T", "model": "m", "messages": said},
        "claude": [{"name": "T", "chat_messages": [{"sender": "human", "text": "Hi", "created_at": "2026-11-27T09:31:00Z"}]}],
        "sharegpt": [{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}],
        "nested": {"chats": [{"messages": said}]}, "alone": said,
        "tools": [{"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "1"}],
    }
    # The first byte stands for the file's name.
    seeds = {name: b"j" + json.dumps(value).encode() for name, value in values.items()}
    seeds["lines"] = b"j" + b"\n".join(json.dumps(value).encode() for value in [*said, own_chat()])
    seeds["ollama"] = b"j" + ollama_database()
    seeds["history"] = b"hWhy is the sky blue?\n/bye\n\xff\n"
    words = re.findall(r'"[a-z_A-Z]+"', " ".join(json.dumps(value) for value in values.values()))
    return seeds, [word.encode() for word in words]


def bench_runs():
    head = {"record": "run", "id": "2026-11-27-0931-quick", "started": "2026-11-27T09:31:00Z", "suite": "quick",
            "tuichat": "0.1.0", "llama_cpp": "b1", "machine": {"cpu": "x"}, "settings": {"threads": 4}, "command": ["t"]}
    case = {"record": "case", "key": "a", "runtime": "tuichat", "test": "tg128", "model_filename": "/m/t.gguf",
            "n_gen": 128, "avg_ts": 10.5, "stddev_ts": 0.5, "samples_ts": [10.0, 11.0], "cores": "big"}
    timing = {"record": "timing", "model": "t.gguf", "number": 1, "token_seconds": 0.25}
    end = {"record": "end", "ended": "2026-11-27T09:33:00Z", "status": "whole", "valid": False, "doubts": ["hot"],
           "health": {"before": {"celsius": 60.5, "throttled_bits": 5}, "after": {}}}
    lines = [head, case, {"record": "done", "unit": "first"}, timing, {"record": "weather"}, end]
    seeds = {"whole": "".join(json.dumps(line) + "\n" for line in lines), "cut": json.dumps(head) + "\n{\"record\""}
    words = re.findall(r'"[a-z_]+"', seeds["whole"])
    return {name: seed.encode() for name, seed in seeds.items()}, [word.encode() for word in words]


def catalogues():
    entries = (ROOT / "assets/models.toml").read_text().split("[[model]]")[1:]
    seeds = {str(number): ("[[model]]" + entry).encode() for number, entry in enumerate(entries[::8])}
    return seeds, [word.encode() for word in dict.fromkeys(re.findall(r"(?m)^[a-z_0-9]+ = ", "".join(entries)))]


def download_journals():
    spans = {"some": [[0, 10], [20, 1000]], "odd": [[9, 3], [90, 2000], [5, 95]]}
    seeds = {name: json.dumps({"version": 1, "size_bytes": 1000, "there": there}) for name, there in spans.items()}
    return {name: seed.encode() for name, seed in seeds.items()}, [b'"version"', b'"size_bytes"', b'"there"', b"],["]


def configs():
    sample = (ROOT / "assets/config.toml").read_text()
    settings = re.findall(r"(?m)^#([a-z_0-9]+ = .*)$", sample)
    seeds = {"all": "\n".join(settings), **{str(number): line for number, line in enumerate(settings[::8])},
             "odd": "temp = 9.5\n[table]\nstop = [\"x\"]\ntop_q = 3"}
    words = [line.split("=")[0] + "= " for line in settings] + re.findall(r'"[a-z-]+"', sample)
    return {name: seed.encode() for name, seed in seeds.items()}, [word.encode() for word in words]


def snapshots():
    def run(start, end, **more):
        return {"tokens": {"start": start, "end": end}, **more}

    def seed(tokens, held, asides, archived):
        header = {"key": "key", "tokens": tokens, "tokens_hash": 0, "state_bytes": 9, "state_hash": 0, "contents": {
            "held": {"runs": held}, "asides": asides, "archived": archived}, "answers": [[5, 6]],
            "prefill_speed": 321.5, "clock": "1970-01-01T00:00:00Z"}
        header, rest = json.dumps(header).encode(), struct.pack(f"<{tokens}i", *range(tokens)) + b"the state"
        # The first byte says which share is the header, which blanks fill up.
        while True:
            share = -(-255 * len(header) // (len(header) + len(rest)))
            if (len(header) + len(rest)) * share // 255 == len(header):
                return bytes([share]) + header + rest
            header += b" "

    aside, none = {"start": 1, "end": 2}, {"id": 0, "rows": 0, "runs": []}
    archive = {"id": 7, "rows": 2, "runs": [run(0, 2, position=0, row=0, seed=3)]}
    seeds = {"whole": seed(3, [run(0, 3, position=0)], [], none),
             "evicted": seed(3, [run(1, 3, position=0)], [aside], none),
             "archived": seed(4, [run(2, 4, position=0)], [], archive)}
    return seeds, re.findall(rb'"[a-z_]+"', seeds["archived"])


TARGETS = {
    "bench_run": bench_runs,
    "catalogue": catalogues,
    "chats": chats,
    "config": configs,
    "download_journal": download_journals,
    "gguf_header": gguf_headers,
    "snapshot": snapshots,
}


def main(folder):
    for target, make in TARGETS.items():
        seeds, words = make()
        place = Path(folder) / "seeds" / target
        place.mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (place / name).write_bytes(seed)
        quoted = ["".join(f"\\x{byte:02x}" for byte in word) for word in words]
        (Path(folder) / f"{target}.dict").write_text("".join(f'"{word}"\n' for word in dict.fromkeys(quoted)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
