#!/usr/bin/env python3
"""Asks a model for answers under the schemas of tests/fixtures/schemas.json and has them judged by Python's jsonschema:

    scripts/check-schemas.py MODEL [ANSWERS]

ANSWERS (1,000 unless said otherwise) are drawn at temperature 1 with seeds of their own, the same number under each of
the schemas. Those are written with the keywords that the draft 2020-12 part of the JSON Schema Test Suite has files for
(https://github.com/json-schema-org/JSON-Schema-Test-Suite) and tuichat follows while it answers; `keywords_of` names
them. TUICHAT=FILE takes another build than target/release/tuichat. An answer that was cut (exit code 7) counts as none.
The exit code is 0 if every answer is whole and valid.
"""

import collections
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "tests" / "fixtures" / "schemas.json"
PACKAGES = ["jsonschema==4.25.1", "rfc3339-validator==0.1.4"]
LIMIT = "200"


def bring_validator():
    """Makes `import jsonschema` work, out of a folder in the cache."""
    folder = Path.home() / ".cache" / "tuichat-tests" / "jsonschema-4.25.1"
    if not (folder / "jsonschema").is_dir():
        command = [ROOT / "scripts" / "pip", "install", "--quiet", "--target", folder, *PACKAGES]
        subprocess.run(command, check=True, stdout=sys.stderr)
    sys.path.insert(0, str(folder))
    if importlib.util.find_spec("jsonschema") is None:
        sys.exit("check-schemas: jsonschema could not be installed")


def ask(program, model, home, case, seed):
    """The exit code, stdout and stderr of one answer."""
    command = [program, "-m", model, "-p", "Write an example, as JSON.", "--schema", json.dumps(case["schema"])]
    command += ["--temp", "1", "--seed", str(seed), "--max-tokens", LIMIT, "--device", "cpu", "--threads", "1", "--quiet"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TUICHAT_")}
    ran = subprocess.run(command, env={**variables, "TUICHAT_HOME": home}, capture_output=True, stdin=subprocess.DEVNULL)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode().strip()


def judge(validator, code, answer):
    """One word about an answer, and what is wrong with it."""
    if code not in (0, 7):
        return "failed", f"exit code {code}"
    try:
        value = json.loads(answer)
    except ValueError as error:
        return ("cut", "") if code == 7 else ("invalid", f"no JSON: {error}")
    problem = next((error.message for error in validator.iter_errors(value)), None)
    if code == 7:
        return ("invalid" if problem else "refused although valid"), problem or ""
    return ("invalid", problem) if problem else ("valid", "")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    bring_validator()
    import jsonschema

    program = os.environ.get("TUICHAT", str(ROOT / "target" / "release" / "tuichat"))
    cases = json.loads(SCHEMAS.read_text())
    each = -(-int(sys.argv[2] if len(sys.argv) == 3 else "1000") // len(cases))
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    counts = collections.Counter()
    different = 0
    with tempfile.TemporaryDirectory() as home, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, case in enumerate(cases):
            jsonschema.Draft202012Validator.check_schema(case["schema"])
            validator = jsonschema.Draft202012Validator(case["schema"], format_checker=formats)
            seeds = range(number * each, (number + 1) * each)
            answers = list(pool.map(lambda seed: ask(program, sys.argv[1], home, case, seed), seeds))
            different += len({answer for _, answer, _ in answers})
            for seed, (code, answer, said) in zip(seeds, answers):
                word, problem = judge(validator, code, answer)
                counts[word] += 1
                if word != "valid":
                    print(f"{case['name']}, seed {seed}: {word}: {problem} {said}\n    {answer.strip()}", flush=True)
    total = counts.total()
    print(f"{total} answers under {len(cases)} schemas, {different} of them different: {counts['valid']} whole and valid", end="")
    print("".join(f", {count} {word}" for word, count in sorted(counts.items()) if word != "valid"))
    return 0 if counts["valid"] == total else 1


if __name__ == "__main__":
    sys.exit(main())
