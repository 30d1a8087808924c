#!/usr/bin/env python3
"""How much faster a batch is than as many calls of their own, and whether it answers the same:

    scripts/compare-batch.py MODEL [--items 200] [--tokens 1000] [--control 24] [--tuichat target/release/tuichat]

The items are short questions behind one text of about as many tokens (the beginning of assets/bench/manual.txt), answered
greedily. First all of them in one `tuichat batch`; then the same batch again, killed (SIGKILL) once a third of it is
written and gone on with by `--resume`; then a `tuichat -p` for each; then some of these again on one thread (--control).
Printed: the throughput of batch and calls and their ratio; whether after the kill every item is there once; and how many
answers are the same. Where one is not, how far apart the two likeliest tokens of the call were at the place where the
answers part (in nats): rounding depends on how many answers are computed at once, so near-ties may fall either way.

What a near-tie is, is measured, not set: the calls on one thread differ from the others by nothing but rounding (the
parts in which attention is summed up), so a place where the two likeliest tokens are nearer to each other than the
furthest that these calls moved them is one. The exit code is 0 if the batch had at least three times the throughput, no
item was lost or doubled, and all answers, those after the kill too, are the same up to near-ties.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHARACTERS_PER_TOKEN = 4.6
LEAST_RATIO = 3.0
GREEDY = ["--temp", "0", "--max-tokens", "12", "--logprobs", "2", "--quiet"]


def items_of(options):
    text = (ROOT / "assets" / "bench" / "manual.txt").read_text()[: int(options.tokens * CHARACTERS_PER_TOKEN)]
    topics = ["the author", "memory", "files", "a name", "errors", "time", "programs", "numbers", "words", "rules"]
    for number in range(options.items):
        topic = topics[number % len(topics)]
        yield {"id": number, "prompt": f"{text}\n\nQuestion {number + 1}: what does this text say about {topic}?"}


def run(options, home, *arguments, **more):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TUICHAT_")}
    command = [options.tuichat, *arguments, "-m", options.model, *GREEDY]
    return subprocess.Popen(command, env={**variables, "TUICHAT_HOME": home}, stdin=subprocess.DEVNULL, **more)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def call(options, home, item, *more):
    """The answer of a `tuichat -p` of its own."""
    asked = run(options, home, "-p", item["prompt"], "-o", "json", *more, stdout=subprocess.PIPE)
    return json.loads(asked.communicate()[0])


def kill_and_resume(options, home, questions):
    """The exit code and the lines of a batch that was killed on its way and gone on with."""
    output = Path(home) / "killed.ndjson"
    batch = run(options, home, "batch", str(questions), "--output", str(output))
    while batch.poll() is None and (not output.exists() or output.read_bytes().count(b"\n") < options.items // 3):
        time.sleep(0.02)
    batch.kill()
    batch.wait()
    done = output.read_bytes().count(b"\n")
    code = run(options, home, "batch", str(questions), "--resume", str(output)).wait()
    lines = read(output)
    print(f"killed after {done} items, gone on (exit code {code}): {len(lines)} lines", flush=True)
    return code, lines


def gap(token):
    """Nats between the two likeliest tokens."""
    return token["top"][0]["logprob"] - token["top"][1]["logprob"]


class Comparison:
    """Two ways to come to the same answers, compared token by token as far as they are the same."""

    def __init__(self, name, pairs):
        self.moves, self.gaps, self.same = [], [], 0
        for one, other in pairs:
            self.same += one["text"] == other["text"]
            for token, another in zip(one["logprobs"], other["logprobs"]):
                if token["id"] != another["id"]:
                    self.moves.append(gap(token) + gap(another))
                    self.gaps.append(gap(token))
                    break
                self.moves.append(abs(gap(token) - gap(another)))
        self.moves.sort()
        median, most = self.moves[len(self.moves) // 2], self.moves[-1]
        print(f"{name}: {self.same} of {len(pairs)} answers the same", end="")
        print(f"; where {len(self.gaps)} part, the two likeliest tokens are at most {max(self.gaps, default=0):.2f} nats apart", end="")
        print(f"; at {len(self.moves)} tokens the distance of the two moved by {median:.3f} (median), {most:.2f} (most)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuichat", default=str(ROOT / "target" / "release" / "tuichat"))
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--control", type=int, default=24)
    parser.add_argument("model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        items = list(items_of(options))
        questions, answers = Path(home) / "items.ndjson", Path(home) / "answers.ndjson"
        questions.write_text("".join(json.dumps(item) + "\n" for item in items))

        begun = time.monotonic()
        code = run(options, home, "batch", str(questions), "--output", str(answers)).wait()
        batch_seconds = time.monotonic() - begun
        if code != 0:
            sys.exit(f"the batch ended with exit code {code}")
        whole = {line["id"]: line for line in read(answers)}
        usage = whole[items[-1]["id"]]["usage"]
        shared = usage["cached_prompt_tokens"]
        print(f"{len(whole)} items, {usage['prompt_tokens']} tokens each, {shared} of them shared", flush=True)
        code, lines = kill_and_resume(options, home, questions)
        is_kept = code == 0 and sorted(line["id"] for line in lines) == sorted(whole)

        begun = time.monotonic()
        calls = [call(options, home, item) for item in items]
        ratio = (time.monotonic() - begun) / batch_seconds
        controls = [call(options, home, item, "--threads", "1") for item in items[: options.control]]
    print(f"batch {batch_seconds:.1f} s: {ratio:.1f} times the throughput of {len(items)} calls", flush=True)
    rounding = Comparison("calls on one thread", list(zip(calls, controls))).moves[-1]
    batch = Comparison("batch", [(one, whole[item["id"]]) for one, item in zip(calls, items)])
    resumed = Comparison("batch gone on with", [(calls[line["id"]], line) for line in lines])
    is_near = all(gap <= rounding for gap in batch.gaps + resumed.gaps)
    return 0 if ratio >= LEAST_RATIO and is_kept and is_near else 1


if __name__ == "__main__":
    sys.exit(main())
