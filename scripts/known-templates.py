#!/usr/bin/env python3
"""Makes assets/templates.toml anew: the SHA-256 of every chat template that `tuichat models check` knows.

    scripts/known-templates.py

The templates are those of scripts/check-templates.py (out of packages that are known by their hash) and those of the
models for tests that are in the cache (`scripts/eval-models` fetches them all), which TUICHAT=FILE, by default
target/release/tuichat, takes out of the files. White space at the end of a template counts for nothing.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "assets" / "templates.toml"
HEAD = """\
# The chat templates that `tuichat models check` knows: their SHA-256 without white space at their ends, by the family
# of models that they were found with. Made by scripts/known-templates.py; do not edit.

"""


def sibling(name):
    """Another script of this folder as a module."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_test_models(fetch_model):
    """(name, template) of each model for tests that is there and has one."""
    program = os.environ.get("TUICHAT", str(ROOT / "target" / "release" / "tuichat"))
    for name, model in fetch_model.MODELS.items():
        path = fetch_model.cache_folder() / model["file"]
        if not path.exists():
            print(f"left out: {name}, because {path} is not there", file=sys.stderr)
            continue
        shown = subprocess.run([program, "models", "show", str(path), "--template"], capture_output=True, text=True)
        if shown.returncode == 0:
            yield name, shown.stdout
        else:
            print(f"left out: {name}; {shown.stderr.strip()}", file=sys.stderr)


def main(check_templates, fetch_model):
    cache = fetch_model.cache_folder() / "templates"
    cache.mkdir(parents=True, exist_ok=True)
    families = {}
    for name, template in [*of_test_models(fetch_model), *check_templates.all_templates(cache).items()]:
        digest = hashlib.sha256(template.rstrip().encode()).hexdigest()
        family = check_templates.family_of(name)
        families.setdefault(name if family == "others" else family, set()).add(digest)
    lines = [HEAD]
    for family in sorted(families, key=str.lower):
        digests = "".join(f'    "{digest}",\n' for digest in sorted(families[family]))
        lines.append(f'"{family}" = [\n{digests}]\n')
    whole = LIST.with_suffix(".part")
    whole.write_text("".join(lines))
    os.replace(whole, LIST)
    count = len(set().union(*families.values()))
    print(f"{count} templates of {len(families)} families are in {LIST.relative_to(ROOT)}")


if __name__ == "__main__":
    check_templates, fetch_model = sibling("check-templates"), sibling("fetch-model")
    try:
        main(check_templates, fetch_model)
    except (check_templates.Failure, OSError, subprocess.CalledProcessError) as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
