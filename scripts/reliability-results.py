#!/usr/bin/env python3
"""Write into docs/reliability.md what came of the tests it names:

    cargo test --release --no-fail-fast 2>&1 | tee tests.log
    scripts/reliability-results.py tests.log [MORE.log ...]

Logs of tests that were run by hand (`-- --ignored NAME`) count, too. A row has passed if all its tests have; else it says
which have failed, and which have not been run.
"""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"


def results(text):
    """The outcome of each test in a log by its name, without the modules it is in."""
    found = {}
    for run in re.split(r"^running \d+ tests?$", text, flags=re.M)[1:]:
        # What a test prints may stand between its name and its outcome.
        for name, outcome in re.findall(r"^test (?:\S*::)?(\w+) \.\.\. ?(ok|FAILED|ignored)?", run, flags=re.M):
            is_right = outcome == "ok" or not outcome and "test result: ok" in run
            if outcome != "ignored":
                found[name] = found.get(name, True) and is_right
    return found


def told(names, found):
    failed = [name for name in names if found.get(name) is False]
    missing = [name for name in names if name not in found]
    if not failed and not missing:
        return "passed"
    words = [f"failed: `{name}`" for name in failed] + [f"not run: `{name}`" for name in missing]
    passed = "passed, but " if len(words) < len(names) else ""
    return passed + ", ".join(words)


def main():
    found = {}
    for path in sys.argv[1:] or sys.exit(__doc__):
        found |= results(Path(path).read_text(errors="replace"))
    lines = PAGE.read_text().splitlines()
    for index, line in enumerate(lines):
        cells = line.strip("| ").split(" | ")
        if cells[0].isdigit():
            names = [name for name in re.findall(r"`([^`]*)`", cells[3]) if "_" in name]
            lines[index] = f"| {' | '.join(cells[:4])} | {told(names, found)} |"
            print(cells[0], told(names, found))
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
