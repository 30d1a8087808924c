#!/usr/bin/env python3
"""How much faster a batch is than as many calls of their own, and whether it answers the same:

    scripts/compare-batch.py MODEL [--items 200] [--tokens 1000] [--tuichat target/release/tuichat]

The items are short questions behind one text of about as many tokens (the beginning of assets/bench/manual.txt), answered
greedily. First all of them in one `tuichat batch`; then the same batch again, killed (SIGKILL) once a third of it is
written and gone on with by `--resume`; then a `tuichat -p` for each. Printed: the throughput of both and their ratio;
whether after the kill every item is there once, with the same answer; and how many answers are the same as the calls'.
Where one is not, how far apart the two likeliest tokens were at the place where the answers part (in nats): rounding
depends on how many answers are computed at once, so near-ties may fall either way. The exit code is 0 if the batch had at
least three times the throughput, no item was lost or doubled, and all answers are the same up to near-ties.
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
NEAR_TIE = 0.3
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


def kill_and_resume(options, home, questions, whole):
    """Whether each item is there once with the answer it had, though the batch was killed on its way."""
    output = Path(home) / "killed.ndjson"
    batch = run(options, home, "batch", str(questions), "--output", str(output))
    while batch.poll() is None and (not output.exists() or output.read_bytes().count(b"\n") < options.items // 3):
        time.sleep(0.02)
    batch.kill()
    batch.wait()
    done = output.read_bytes().count(b"\n")
    code = run(options, home, "batch", str(questions), "--resume", str(output)).wait()
    lines = read(output)
    ids = sorted(line["id"] for line in lines)
    same = sum(line["text"] == whole[line["id"]]["text"] for line in lines)
    print(f"killed after {done} items, gone on (exit code {code}): {len(lines)} lines, {len(set(ids))} items, {same} as before")
    return code == 0 and ids == sorted(whole)


def gap_where_they_part(call, batch):
    """Nats between the two likeliest tokens of the call at the first token that the batch's answer does not have."""
    for token, other in zip(call["logprobs"], batch["logprobs"]):
        if token["id"] != other["id"]:
            return token["top"][0]["logprob"] - token["top"][1]["logprob"]
    return float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuichat", default=str(ROOT / "target" / "release" / "tuichat"))
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=1000)
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
        print(f"{len(whole)} items, {usage['prompt_tokens']} tokens each, {usage['cached_prompt_tokens']} of them shared")
        is_kept = kill_and_resume(options, home, questions, whole)

        same, gaps, call_seconds = 0, [], 0.0
        for item in items:
            begun = time.monotonic()
            asked = run(options, home, "-p", item["prompt"], "-o", "json", stdout=subprocess.PIPE)
            answer = json.loads(asked.communicate()[0])
            call_seconds += time.monotonic() - begun
            if answer["text"] == whole[item["id"]]["text"]:
                same += 1
            else:
                gaps.append(gap_where_they_part(answer, whole[item["id"]]))
    ratio = call_seconds / batch_seconds
    print(f"batch {batch_seconds:.1f} s, {len(items)} calls {call_seconds:.1f} s: {ratio:.1f} times the throughput")
    print(f"{same} answers the same, {len(gaps)} not", end="")
    print(f"; there the two likeliest tokens were at most {max(gaps):.2f} nats apart" if gaps else "")
    is_near = all(gap < NEAR_TIE for gap in gaps)
    return 0 if ratio >= LEAST_RATIO and is_kept and is_near else 1


if __name__ == "__main__":
    sys.exit(main())
