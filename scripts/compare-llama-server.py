#!/usr/bin/env python3
"""Guessing tokens, tuichat beside llama.cpp's own server: the same tasks, the same model, one after the other.

The tasks are those of `tuichat bench --suite spec --json`, whose records are read from a file. Every task is answered
by each contestant forwards and then backwards (ABBA), so that what slows the machine down slows them all; greedy, one
process per answer for tuichat, servers that stay for llama.cpp. Only writing is timed, not reading the prompt. What is
printed: tokens per second, and as a multiple of llama-server without guesses.

    tuichat bench MODEL --suite spec --ways off --rounds 1 --json > tasks.ndjson
    scripts/compare-llama-server.py --tuichat target/release/tuichat --server llama-server \\
        --model MODEL.gguf --draft SMALL.gguf --threads 2 --tasks tasks.ndjson
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import time
import urllib.request

CONTEXT = 4096


def wait_for(port):
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
                if reply.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("llama-server did not start")


class Server:
    """llama-server with flags of its own; everything else at its defaults."""

    def __init__(self, options, name, flags, port):
        self.name, self.port = name, port
        command = [options.server, "-m", options.model, "-t", str(options.threads), "-c", str(CONTEXT), "-np", "1"]
        command += ["--port", str(port), "--no-webui", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(port)

    def answer(self, prompt, tokens):
        body = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": tokens}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=900) as reply:
            told = json.load(reply)
        timings = told["timings"]
        return timings["predicted_per_second"], told["choices"][0]["message"]["content"]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Tuichat:
    def __init__(self, options, name, flags, home):
        self.name = name
        self.command = [options.tuichat, "-m", options.model, "--threads", str(options.threads), *flags]
        self.command += ["--ctx", str(CONTEXT), "--temp", "0", "--loop-breaker", "off", "--quiet", "-o", "json"]
        self.environment = {**os.environ, "TUICHAT_HOME": home}
        # The times of steps are kept from one run to the next; a person's second answer finds them.
        for _ in range(3):
            self.answer("Count from one to twenty in words.", 24)

    def answer(self, prompt, tokens):
        command = [*self.command, "--max-tokens", str(tokens), "--prompt", prompt]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        told = json.loads(done.stdout)
        return told["timings"]["decode_tokens_per_second"], told["text"]

    def stop(self):
        pass


def geometric(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuichat", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--draft")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tasks", required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--port", type=int, default=18080)
    options = parser.parse_args()

    tasks = {}
    with open(options.tasks) as file:
        for record in map(json.loads, file):
            if record.get("test") == "answer":
                tasks[record["task"]] = (record["prompts"], record["max_tokens"])

    with tempfile.TemporaryDirectory() as home:
        contestants = [Tuichat(options, "tuichat", [], home)]
        ways = [("llama-server", []), ("ngram-simple", ["--spec-type", "ngram-simple"])]
        if options.draft:
            ways.append(("draft-simple", ["--spec-type", "draft-simple", "-md", options.draft]))
            contestants.append(Tuichat(options, "tuichat + draft", ["--draft-model", options.draft], home))
        try:
            for number, (name, flags) in enumerate(ways):
                contestants.append(Server(options, name, flags, options.port + number))
            compare(contestants, tasks, options.rounds)
        finally:
            for contestant in contestants:
                contestant.stop()


def compare(contestants, tasks, rounds):
    names = [contestant.name for contestant in contestants]
    print("task".ljust(12), *(name.rjust(24) for name in names), flush=True)
    means = {name: [] for name in names}
    for task, (prompts, tokens) in tasks.items():
        speeds = {name: [] for name in names}
        texts = {}
        for prompt in prompts * rounds:
            for contestant in contestants + contestants[::-1]:
                speed, text = contestant.answer(prompt, tokens)
                speeds[contestant.name].append(speed)
                texts[contestant.name, prompt] = text
        base = geometric(speeds["llama-server"])
        cells = []
        for name in names:
            mean = geometric(speeds[name])
            means[name].append(mean / base)
            same = sum(texts[name, prompt] == texts["llama-server", prompt] for prompt in prompts)
            cells.append(f"{mean:6.1f} {mean / base:5.2f} same {same}/{len(prompts)}".rjust(24))
        print(task.ljust(12), *cells, flush=True)
    print("geometric".ljust(12), *(f"{geometric(means[name]):.3f}".rjust(24) for name in names))


if __name__ == "__main__":
    main()
