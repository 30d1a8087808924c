#!/usr/bin/env python3
"""Writes what llama.cpp's own server answers to a few prompts, for tests/real_model.rs:

    scripts/reference-answers.py SERVER MODEL

SERVER is the HTTP server program of llama.cpp, MODEL a GGUF file. The prompts are those of
tests/fixtures/reference-answers.json; their text comes from `tuichat debug prompt` (TUICHAT=FILE takes another build
than target/release/tuichat), so this also checks that both make the same tokens of it.

Two builds of the same arithmetic differ in the last digits. So an answer is certain only up to the first token whose
logit is less than NEAR_TIE above the next one's.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURE = ROOT / "tests" / "fixtures" / "reference-answers.json"
NEAR_TIE = 0.05
MAX_TOKENS = 48


class Server:
    """llama.cpp's server with a model, for the time of a `with`."""

    def __init__(self, program, model):
        self.port = free_port()
        self.command = [program, "-m", model, "-t", "2", "-c", "8192", "-np", "1", "--port", str(self.port)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            if self.process.poll() is not None:
                raise Failure(f"the server ended with code {self.process.returncode}")
            try:
                self.ask("/health")
                return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise Failure("the server is not ready after a minute")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)

    def tokens(self, text):
        return self.ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]

    def answer(self, text):
        return self.ask(
            "/completion",
            {
                "prompt": text,
                "n_predict": MAX_TOKENS,
                "temperature": 0,
                "repeat_penalty": 1,
                "n_probs": 2,
                "cache_prompt": False,
                "return_tokens": True,
            },
        )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def inspect(messages, model):
    """The prompt as tuichat renders it, and its token ids."""
    program = os.environ.get("TUICHAT", str(ROOT / "target" / "release" / "tuichat"))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(messages, file)
        file.flush()
        command = [program, "debug", "prompt", "--messages", file.name, "-m", model]
        prompt = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return prompt["text"], [token["id"] for token in prompt["tokens"]]


def certain_tokens(answer):
    """How many tokens come before the first near-tie. The difference of two log probabilities is that of the logits."""
    # The server gives no probabilities of tokens that end within a character; what follows one is not looked at.
    known = zip(answer["tokens"], answer["completion_probabilities"])
    for index, (token, found) in enumerate(known):
        first, second = (candidate["logprob"] for candidate in found["top_logprobs"])
        if found["id"] != token or first - second < NEAR_TIE:
            return index
    return min(len(answer["tokens"]), len(answer["completion_probabilities"]))


def reference(case, server, model):
    messages = case["messages"]
    text, tokens = inspect(messages, model)
    if server.tokens(text) != tokens:
        raise Failure(f"tuichat and llama.cpp make different tokens of {text!r}")
    answer = server.answer(text)
    if answer["tokens_evaluated"] != len(tokens):
        raise Failure(f"the server read {answer['tokens_evaluated']} tokens instead of {len(tokens)}")
    certain = certain_tokens(answer)
    pieces = [bytes(token["bytes"]) for token in answer["completion_probabilities"]]
    # Without a half character at its end.
    certain_text = b"".join(pieces[:certain]).decode(errors="ignore")
    print(f"{certain:3} of {len(answer['tokens'])} tokens are certain: {answer['content'][:60]!r}", file=sys.stderr)
    return {
        "messages": messages,
        "prompt_tokens": len(tokens),
        "answer": answer["content"],
        "answer_tokens": len(answer["tokens"]),
        "certain_tokens": certain,
        "certain_bytes": len(certain_text.encode()),
    }


class Failure(Exception):
    """A sentence for the person who called."""


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: scripts/reference-answers.py SERVER MODEL")
    program, model = arguments
    fixture = json.loads(FIXTURE.read_text())
    try:
        with Server(program, model) as server:
            cases = [reference(case, server, model) for case in fixture["cases"]]
    except (Failure, OSError, subprocess.CalledProcessError) as failure:
        sys.exit(f"error: {failure}")
    sha256 = hashlib.sha256(Path(model).read_bytes()).hexdigest()
    fixture = {"model_sha256": sha256, "max_tokens": MAX_TOKENS, "near_tie": NEAR_TIE, "cases": cases}
    FIXTURE.write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
