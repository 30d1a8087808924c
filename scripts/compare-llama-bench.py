#!/usr/bin/env python3
"""The speed of prompts and answers, tuichat beside llama.cpp's own llama-bench.

Both compute the same at the same depths: a prompt of 128 tokens, and 32 tokens one by one, with flash attention and a
KV cache in 16 bits. They take turns (ABBA), so that what slows the machine down slows both. What is printed: tokens per
second of both, as the median of all samples and as the fastest (what else runs can only slow a sample down), and the
ratios of these.

    scripts/compare-llama-bench.py --tuichat target/release/tuichat --llama-bench llama-bench --threads 2 MODEL.gguf…
"""

import argparse
import json
import statistics
import subprocess

PROMPT, ANSWER = 128, 32


def lines(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def of_tuichat(options, model):
    depths = ",".join(map(str, options.depths))
    command = [options.tuichat, "bench", model, "--suite", "kv", "--only", "speed", "--policies", "none"]
    command += ["--budgets", "100", "--depths", depths, "--threads", str(options.threads), "--json"]
    records = lines(command)
    return {
        (record["n_depth"], "prompt" if record["n_gen"] == 0 else "answer"): record["samples_ts"]
        for record in records
        if "samples_ts" in record
    }


def of_llama_bench(options, model):
    depths = ",".join(map(str, options.depths))
    command = [options.llama_bench, "-m", model, "-p", str(PROMPT), "-n", str(ANSWER), "-d", depths]
    command += ["-t", str(options.threads), "-fa", "1", "-r", "4", "-o", "jsonl"]
    records = lines(command)
    return {
        (record["n_depth"], "prompt" if record["n_gen"] == 0 else "answer"): record["samples_ts"]
        for record in records
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuichat", required=True)
    parser.add_argument("--llama-bench", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--depths", type=lambda text: [int(depth) for depth in text.split(",")], default=[0, 4096])
    parser.add_argument("--rounds", type=int, default=2, help="pairs of runs")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    print(f"{'':<56}{'median of all samples':^27}{'the fastest':^27}")
    both = f"{'tuichat':>10}{'llama':>9}{'ratio':>8}"
    print(f"{'model':<42}{'depth':>6} {'what':<7}{both}{both}", flush=True)
    for model in options.models:
        ours, theirs = [], []
        for round_number in range(options.rounds):
            turns = [(of_tuichat, ours), (of_llama_bench, theirs)]
            for run, results in turns if round_number % 2 == 0 else reversed(turns):
                results.append(run(options, model))
        for case in sorted(ours[0]):
            samples = [[sample for run in runs for sample in run[case]] for runs in (ours, theirs)]
            line = f"{model.rsplit('/', 1)[-1]:<42}{case[0]:>6} {case[1]:<7}"
            for of in (statistics.median, max):
                our, their = map(of, samples)
                line += f"{our:>10.1f}{their:>9.1f}{our / their:>8.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
