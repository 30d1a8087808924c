#!/usr/bin/env python3
"""The speed of prompts and answers, tuichat beside llama.cpp's own llama-bench or beside another build of tuichat, on a
machine whose own speed changes (a virtual one, say).

Both run in slices of 80 ms, in turn, and each has a clock that stands while it is stopped (scripts/slices-clock.c), so
whatever slows the machine slows both alike. Two threads that spin while they wait for each other are stopped together.
tuichat times a prompt and an answer in each round, llama-bench all prompts and then all answers; so two of them run, and
the one that does what tuichat does at the moment has its slices.

    scripts/compare-speed.py --tuichat target/release/tuichat --llama-bench llama-bench --threads 2 MODEL.gguf…
    scripts/compare-speed.py --tuichat target/release/tuichat --other OTHER/tuichat --threads 2 MODEL.gguf…

A prompt of 512 tokens and 128 tokens one by one (pp512, tg128), behind `--depth` tokens. What is printed: tokens per
second over all rounds, the ratio of tuichat's to the other's, and in brackets the 95 % interval of that by the rounds.
Linux.
"""

import argparse
import atexit
import json
import math
import mmap
import os
import pty
import re
import signal
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

CLOCK = Path(__file__).with_name("slices-clock.c")
SLICE_SECONDS = 0.08
TOKENS = {"prompt": 512, "answer": 128}
# Student's t for 95 %, by how many rounds there are less one.
STUDENT = {3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 11: 2.20, 14: 2.14, 19: 2.09, 29: 2.05}


class Program:
    """A program that is running or stopped, with its own clock. It is begun running."""

    def __init__(self, command, clock, home):
        self.stopped_for = self.ran_for = 0
        self.progress = ""
        self.told = tempfile.NamedTemporaryFile()
        self.told.write(struct.pack("q", 0))
        self.told.flush()
        self.page = mmap.mmap(self.told.fileno(), 8)
        environment = dict(os.environ, LD_PRELOAD=str(clock), SLICES_CLOCK=self.told.name, TUICHAT_HOME=home, TERM="xterm")
        self.output = tempfile.TemporaryFile()
        # Progress is told to terminals only.
        self.terminal, other_end = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=other_end, env=environment, start_new_session=True
        )
        # Nobody would let it go on.
        atexit.register(self.signal, signal.SIGKILL)
        os.close(other_end)
        os.set_blocking(self.terminal, False)
        self.since = time.monotonic_ns()

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def stop(self):
        self.signal(signal.SIGSTOP)
        now = time.monotonic_ns()
        self.ran_for, self.since = self.ran_for + now - self.since, now

    def go_on(self):
        now = time.monotonic_ns()
        self.stopped_for, self.since = self.stopped_for + now - self.since, now
        self.page[:8] = struct.pack("q", self.stopped_for)
        self.signal(signal.SIGCONT)

    def slice(self):
        self.go_on()
        time.sleep(SLICE_SECONDS)
        self.stop()

    def has_ended(self):
        return self.process.poll() is not None

    def read(self):
        """All that it has told of its progress."""
        try:
            while True:
                self.progress += os.read(self.terminal, 1 << 16).decode(errors="replace")
        except OSError:
            return self.progress

    def run_until(self, words):
        while words not in self.read():
            if self.has_ended():
                raise SystemExit(f"it ended with {self.process.returncode}:\n{self.progress}")
            time.sleep(0.001)
        self.stop()

    def samples(self):
        """Tokens per second, of prompts and of answers."""
        if not self.has_ended():
            self.go_on()
            self.process.wait()
        self.output.seek(0)
        records = [json.loads(line) for line in self.output.read().decode().splitlines() if line.startswith("{")]
        return {
            "prompt" if record["n_gen"] == 0 else "answer": record["samples_ts"]
            for record in records
            if "samples_ts" in record and record.get("key") != "anchor"
        }


class Measure:
    """What is timed, and with which commands."""

    def __init__(self, options, model, clock, home):
        self.options, self.model, self.clock, self.home = options, model, clock, home

    def tuichat(self, program):
        command = [program, "bench", self.model, "--suite", "quick", "--rounds", str(self.options.rounds)]
        command += ["--threads", str(self.options.threads), "--power", "none", "--cool-down", "off", "--private", "--json"]
        command += ["--depths", str(self.options.depth)]
        begun = Program(command, self.clock, self.home)
        begun.run_until("round 1 of")
        return begun

    def llama_bench(self, kind):
        counts = ["-p", str(TOKENS["prompt"]), "-n", "0"]
        if kind == "answer":
            counts = ["-p", "0", "-n", str(TOKENS["answer"])]
        command = [self.options.llama_bench, "-m", self.model, *counts, "--progress"]
        command += ["-t", str(self.options.threads), "-r", str(self.options.rounds), "-d", str(self.options.depth), "-o", "jsonl"]
        begun = Program(command, self.clock, self.home)
        begun.run_until("generation run 1/" if kind == "answer" else "prompt run 1/")
        return begun

    def beside_llama_bench(self):
        ours = self.tuichat(self.options.tuichat)
        theirs = {kind: self.llama_bench(kind) for kind in TOKENS}
        before = {kind: program.ran_for for kind, program in theirs.items()}
        # When the round began, how long one takes, and the prompt's part of it: known after the first, which does not count.
        number, begun, length, part = 1, ours.ran_for, None, None
        while not ours.has_ended():
            ours.slice()
            rounds = re.findall(r"round (\d+) of \d+(?:, ([\d.]+) tokens per second)?", ours.read())
            if int(rounds[-1][0]) != number:
                number, length, begun = int(rounds[-1][0]), ours.ran_for - begun, ours.ran_for
                answer = TOKENS["answer"] / float(rounds[-1][1])
                part = min(max(1 - answer / (length / 1e9), 0.05), 0.95)
            if number == self.options.rounds and ours.progress.endswith("\x1b[K"):
                break
            if length is not None:
                now = theirs["prompt" if ours.ran_for - begun < part * length else "answer"]
                if not now.has_ended():
                    now.slice()
        in_turn = {kind: (program.ran_for - before[kind]) / 1e9 for kind, program in theirs.items()}
        done = {kind: self.done_within(in_turn[kind], kind, program) for kind, program in theirs.items()}
        return {kind: samples[1:] for kind, samples in ours.samples().items()}, done

    def done_within(self, seconds, kind, program):
        """The samples that were whole after so much time; the others were not taken in turn."""
        whole, passed = [], 0.0
        for sample in program.samples()[kind]:
            passed += TOKENS[kind] / sample
            if passed > seconds:
                break
            whole.append(sample)
        return whole

    def beside_another(self):
        pair = [self.tuichat(self.options.tuichat), self.tuichat(self.options.other)]
        while not any(program.has_ended() for program in pair):
            for program in pair:
                program.slice()
        ours, theirs = (program.samples() for program in pair)
        return ours, theirs

    def told(self):
        ours, theirs = self.beside_another() if self.options.other else self.beside_llama_bench()
        for kind, tokens in TOKENS.items():
            our, their = (len(side[kind]) * tokens / sum(tokens / speed for speed in side[kind]) for side in (ours, theirs))
            ratios = [math.log(one / other) for one, other in zip(ours[kind], theirs[kind])]
            count = len(ratios)
            student = STUDENT[max((known for known in STUDENT if known < count), default=3)]
            off = student * statistics.stdev(ratios) / math.sqrt(count)
            middle = statistics.mean(ratios)
            low, high = math.exp(middle - off), math.exp(middle + off)
            name = Path(self.model).name
            speeds = f"{our:>9.2f}{their:>9.2f}{our / their:>8.3f} ({low:.3f} to {high:.3f}), {count} rounds"
            print(f"{name:<42}{kind:<7}{speeds}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuichat", required=True)
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("--llama-bench")
    other.add_argument("--other", help="another build of tuichat")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--depth", type=int, default=0, help="tokens before what is timed")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    # As if Ctrl-C had been typed, so that what was begun is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        clock = Path(folder, "slices-clock.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", clock, CLOCK, "-ldl"], check=True)
        print(f"{'model':<42}{'what':<7}{'tuichat':>9}{'other':>9}{'ratio':>8}", flush=True)
        for model in options.models:
            Measure(options, model, clock, folder).told()


if __name__ == "__main__":
    main()
