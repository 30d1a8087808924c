#!/usr/bin/env python3
"""Damages the headers of model files in many ways, and gives each to `tuichat models check`.

    scripts/mutate-headers.py [--count 20000] [--seed 1] [--jobs 2] [FILE...]

Each must end with exit code 0 or 4, within a time and in a space; whatever does otherwise is kept and told. A header
that passes is loaded, too. Weights are left out: behind the header the files are holes. Without FILE it takes
the tiny model of the tests and, for one in four, SmolLM2, which `scripts/test-model` fetches. TUICHAT=FILE takes
another build than target/release/tuichat.
"""

import argparse
import collections
import concurrent.futures
import importlib.util
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS_MOST = 30
SPACE_MOST = 2 << 30
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9
EXTREMES = [0, 1, 2, 3, 7, 31, 32, 63, 64, 255, 256, 511, 512, 1024, 4096, 65535, 65536, 2**20, 2**31 - 1, 2**31, 2**32 - 1]
EXTREMES += [2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1]
WORDS = [b"", b"llama", b"qwen2", b"gemma3", b"mamba", b"rwkv6", b"clip", b"bert", b"t5", b"gpt2", b"spm", b"none", b"yarn"]
WORDS += [b"\xff\xfe", b"\x00", b"{{", b"{% for x in y %}", b"\x1b[2J", b"a" * 5000, b"default", b"qwen2", b"deepseek-llm"]


class Walk:
    """Where the fields of a header are: (offset, size, kind); texts that are not in arrays are apart."""

    def __init__(self, header):
        self.header, self.at = header, 8
        self.fields, self.texts = [(4, 4, "version")], []
        tensors, entries = self.number("Q", "count"), self.number("Q", "count")
        for _ in range(entries):
            self.text("key")
            self.value(self.number("I", "kind"))
        for _ in range(tensors):
            self.text("name")
            for _ in range(self.number("I", "count")):
                self.number("Q", "size")
            self.number("I", "kind")
            self.number("Q", "offset")
        self.end = self.at

    def number(self, code, kind):
        size = struct.calcsize(code)
        self.fields.append((self.at, size, kind))
        (number,) = struct.unpack_from("<" + code, self.header, self.at)
        self.at += size
        return number

    def text(self, kind):
        start = self.at
        length = self.number("Q", "length")
        self.at += length
        self.texts.append((start, self.at, kind))

    def value(self, kind):
        if kind == TEXT:
            self.text("text")
        elif kind == ARRAY:
            inner, length = self.number("I", "kind"), self.number("Q", "count")
            for index in range(length):
                # The fields of a long array are much the same.
                if index < 4 or inner == ARRAY:
                    self.value(inner)
                elif inner == TEXT:
                    self.at += 8 + struct.unpack_from("<Q", self.header, self.at)[0]
                else:
                    self.at += struct.calcsize(NUMBERS[inner])
        else:
            self.number(NUMBERS[kind], "value")


class Base:
    """A sound file to begin with."""

    def __init__(self, path):
        self.name, self.size = path.name, path.stat().st_size
        with path.open("rb") as file:
            header = file.read(64 << 20)
        self.walk = Walk(header)
        self.header = header[:self.walk.end]

    def mutated(self, dice):
        """(bytes of the header, size of the file, what was done)"""
        header, size, done = bytearray(self.header), self.size, []
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            way = dice.choices(list(WAYS), weights=[weight for weight, _ in WAYS.values()])[0]
            done.append(way)
            size = WAYS[way][1](self, header, size, dice)
        return bytes(header[:size]), size, "+".join(done)

    def field(self, header, size, dice):
        kind = dice.choice(["value"] * 4 + ["version", "count", "kind", "length", "size", "offset"])
        at, width, _ = dice.choice([field for field in self.walk.fields if field[2] == kind])
        if at + width <= len(header):
            old = int.from_bytes(header[at:at + width], "little")
            near = [old + 1, old - 1, old * 2, old // 2, old ^ (1 << dice.randrange(8 * width))]
            new = dice.choice([dice.choice(EXTREMES), dice.choice(near), dice.getrandbits(8 * width), dice.randrange(45)])
            header[at:at + width] = (new % (1 << (8 * width))).to_bytes(width, "little")
        return size

    def text(self, header, size, dice):
        """Another text instead of one, with its length right; all behind it moves."""
        start, end, _ = dice.choice(self.walk.texts)
        if end <= len(header):
            other_start, other_end, _ = dice.choice(self.walk.texts)
            new = dice.choice([dice.choice(WORDS), bytes(self.header[other_start + 8:other_end])])
            header[start:end] = struct.pack("<Q", len(new)) + new
        return size + len(header) - len(self.header)

    def noise(self, header, size, dice):
        for _ in range(dice.choice([1, 2, 8])):
            if header:
                header[dice.randrange(len(header))] = dice.getrandbits(8)
        return size

    def chunk(self, header, size, dice):
        """Some bytes are twice there, or not at all, or are those of another place."""
        length = min(dice.choice([1, 4, 8, 50, 1000]), len(header))
        at, source = dice.randrange(len(header) - length + 1), dice.randrange(len(header) - length + 1)
        taken = bytes(header[source:source + length])
        header[at:at + dice.choice([0, length])] = dice.choice([b"", taken])
        return size

    def cut(self, header, size, dice):
        return dice.choice([dice.randrange(len(header) + 1), dice.randrange(size + 1), max(0, size - 1), size + 1])


WAYS = {
    "field": (8, Base.field),
    "text": (3, Base.text),
    "noise": (2, Base.noise),
    "chunk": (2, Base.chunk),
    "cut": (1, Base.cut),
}


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (SPACE_MOST, SPACE_MOST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def check(program, folder, header, size):
    """(exit code, seconds, KiB, what was said); the code is None where it took too long."""
    path = folder / f"{threading.get_ident()}.gguf"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    environment = {"PATH": os.environ["PATH"], "TUICHAT_HOME": str(folder / "home"), "TUICHAT_PRIVATE": "yes"}
    began = time.monotonic()
    with (folder / f"{threading.get_ident()}.said").open("w+b") as said:
        child = subprocess.Popen(
            [program, "models", "check", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            env=environment, preexec_fn=limit, start_new_session=True,
        )
        alarm = threading.Timer(SECONDS_MOST, lambda: os.killpg(child.pid, 9))
        alarm.start()
        _, status, usage = os.wait4(child.pid, 0)
        alarm.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        said.seek(0)
        words = said.read(10_000).decode(errors="replace").strip()
    code = None if seconds > SECONDS_MOST else child.returncode
    return code, seconds, usage.ru_maxrss, words, path


def tiny_model(folder):
    path = folder / "tiny.gguf"
    command = ["cargo", "test", "--release", "--quiet", "--test", "check", "--", "--ignored", "tiny_model_is_written"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "TUICHAT_TINY_MODEL": str(path)}, stdout=sys.stderr, check=True)
    return path


def real_model():
    spec = importlib.util.spec_from_file_location("fetch_model", Path(__file__).with_name("fetch-model.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fetch("smollm2-135m")


def kind_of(words):
    """What a refusal is about, without what differs from file to file."""
    sentence = words.removeprefix("error: ").split(".gguf", 1)[-1].split(";")[0]
    return " ".join("#" if any(c.isdigit() for c in word) or "`" in word else word for word in sentence.split())[:90]


def main(arguments):
    program = os.environ.get("TUICHAT", str(ROOT / "target" / "release" / "tuichat"))
    kept = Path(tempfile.gettempdir()) / "tuichat-mutated"
    codes, refusals, bad = collections.Counter(), collections.Counter(), []
    longest, largest = (0, ""), (0, "")
    lock = threading.Lock()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bases = [Base(path) for path in arguments.files or [*[tiny_model(folder)] * 3, real_model()]]

        def one(number):
            nonlocal longest, largest
            dice = random.Random(f"{arguments.seed} {number}")
            base = bases[number % len(bases)]
            header, size, done = base.mutated(dice)
            code, seconds, kib, words, path = check(program, folder, header, size)
            what = f"number {number}, {base.name}, {done}"
            with lock:
                codes[code] += 1
                if code == 4:
                    refusals[kind_of(words)] += 1
                longest, largest = max(longest, (seconds, what)), max(largest, (kib, what))
                if code not in (0, 4) or "panicked" in words:
                    kept.mkdir(exist_ok=True)
                    shutil.copyfile(path, kept / f"{arguments.seed}-{number}.gguf")
                    bad.append((what, code, words))
                    print(f"{what}: exit {code}: {words[-400:]}", flush=True)
                if sum(codes.values()) % 1000 == 0:
                    print(f"{sum(codes.values())} done: {dict(codes)}", file=sys.stderr, flush=True)

        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for job in [pool.submit(one, number) for number in range(arguments.first, arguments.count)]:
                job.result()
    for kind, count in refusals.most_common(25):
        print(f"{count:7}  {kind}")
    print(f"{sum(codes.values())} files of {', '.join(dict.fromkeys(base.name for base in bases))}, seed {arguments.seed}")
    print(f"exit codes: {dict(codes)}")
    print(f"longest: {longest[0]:.2f} s ({longest[1]}); largest: {largest[0] >> 10} MiB ({largest[1]})")
    if bad:
        sys.exit(f"error: {len(bad)} did not end with 0 or 4; they are in {kept}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the number to begin with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE")
    try:
        main(parser.parse_args())
    except KeyboardInterrupt:
        sys.exit(130)
