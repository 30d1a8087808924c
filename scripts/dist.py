#!/usr/bin/env python3
"""A tuichat for other people's machines: an archive (.tar.gz), on Debian's kind of system a package (.deb), and their
SHA-256 sums, in target/dist.

llama.cpp's kernels come as modules, of which the best for the processor is chosen when the program starts, so it runs
on every processor of this kind. Everything is relative to the program: unpack it anywhere, or over /usr/local:

    tar -xzf tuichat-VERSION-TARGET.tar.gz -C /usr/local --strip-components 1

`scripts/dist.py --licences` only prints the licences of what is built in.

It needs a C library at least as new as the one it was built with: build it on the oldest system that is to run it.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "target" / "portable"
DIST = ROOT / "target" / "dist"
# Where libraries are, seen from the folder of the program; src/engine/llama/modules.rs looks for modules there.
LIBRARIES = "lib/tuichat"
# Of the same instructions as the one before it but for AMX, which .cargo/llama-cpp.cmake says why not to use.
LEFT_OUT = ("libggml-cpu-sapphirerapids.so",)
LICENCE = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)


def fail(sentence):
    sys.exit(f"dist: {sentence}")


def output(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        fail(f"`{' '.join(map(str, command))}` failed")
    return done.stdout


def metadata(target):
    return json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target, cwd=ROOT))


def build():
    """The program, and the folder that llama.cpp's libraries were installed into."""
    environment = dict(os.environ)
    # Instead of those for this machine's own processor. Of old tags (RPATH) libraries of libraries know, too.
    environment["RUSTFLAGS"] = "-C link-arg=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../" + LIBRARIES
    environment["CMAKE_INSTALL_RPATH"] = "$ORIGIN"
    # With it llama.cpp takes this machine for another one, and leaves out its fast kernels.
    environment.pop("SOURCE_DATE_EPOCH", None)
    # llama-cpp-sys-2's build leaves links there that lead nowhere, and the next one fails at them.
    for folder in ("release", "release/deps", "release/examples"):
        for link in (BUILD / folder).glob("lib*.so"):
            if link.is_symlink() and not link.exists():
                link.unlink()
    command = ["cargo", "build", "--release", "--locked", "--features", "portable", "--target-dir", BUILD]
    command.append("--message-format=json-render-diagnostics")
    program = libraries = None
    for line in output(*command, cwd=ROOT, env=environment).splitlines():
        message = json.loads(line)
        if message["reason"] == "build-script-executed" and "llama-cpp-sys-2" in message["package_id"]:
            libraries = Path(message["out_dir"])
        if message["reason"] == "compiler-artifact" and message.get("executable") and message["target"]["name"] == "tuichat":
            program = Path(message["executable"])
    return program, libraries


def dynamic(file, tag):
    """The names that a library or program gives under a tag of its dynamic section (`SONAME`, `NEEDED`)."""
    return re.findall(rf"\({tag}\).*\[(.+)\]", output("readelf", "-d", "-W", file))


def install(source, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    os.chmod(to, 0o755)
    subprocess.run(["strip", "--strip-unneeded", to], check=True)


def install_libraries(built, folder):
    """Those that are linked under the names by which they are asked for, and the modules."""
    wanted = set()
    for library in built.glob("lib*/*.so"):
        name = dynamic(library, "SONAME")[0]
        install(library.resolve(), folder / name)
        wanted.update(dynamic(library, "NEEDED"))
    for module in (built / "backends").glob("*.so"):
        if module.name not in LEFT_OUT:
            install(module.resolve(), folder / module.name)
            wanted.update(dynamic(module, "NEEDED"))
    if not list(folder.glob("libggml-cpu-*.so")):
        fail(f"llama.cpp left no modules in {built}")
    return wanted


def write_share(program, share):
    """Manual pages, completions, and what there is to read."""
    pages = share / "man" / "man1"
    output(program, "man", "--out", pages)
    for page in pages.iterdir():
        page.with_name(page.name + ".gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
        page.unlink()
    places = {
        "bash": "bash-completion/completions/tuichat",
        "zsh": "zsh/site-functions/_tuichat",
        "fish": "fish/vendor_completions.d/tuichat.fish",
    }
    for shell, place in places.items():
        (share / place).parent.mkdir(parents=True, exist_ok=True)
        (share / place).write_text(output(program, "completions", shell))
    papers = share / "doc" / "tuichat"
    papers.mkdir(parents=True)
    for name in ("README.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copyfile(ROOT / name, papers / name)
    shutil.copytree(ROOT / "docs", papers / "docs")
    (papers / "changelog.gz").write_bytes(gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0))


def licences(data):
    """The licence texts of all that is built in, each once, with the names of those that have it."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    packages = {package["id"]: package for package in data["packages"]}
    seen, open_ = set(), [data["resolve"]["root"]]
    while open_:
        identity = open_.pop()
        if identity in seen:
            continue
        seen.add(identity)
        for dependency in nodes[identity]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                open_.append(dependency["pkg"])
    seen.discard(data["resolve"]["root"])
    texts, without = {}, []
    for package in sorted((packages[identity] for identity in seen), key=lambda package: package["name"]):
        name = f"{package['name']} {package['version']} ({package['license'] or 'see its text'})"
        folder = Path(package["manifest_path"]).parent
        # llama.cpp, and what it brings along, are folders in the crate that builds it.
        found = [file for file in sorted(folder.rglob("*")) if LICENCE.match(file.name) and file.is_file()]
        found = [file for file in found if file.suffix.lower() in ("", ".md", ".txt") or LICENCE.match(file.suffix[1:])]
        for file in found:
            texts.setdefault(file.read_text(errors="replace").strip(), []).append(name)
        if not found:
            without.append(name)
    rule = "=" * 80
    parts = [f"{rule}\n{chr(10).join(sorted(set(names)))}\n{rule}\n\n{text}\n" for text, names in texts.items()]
    if without:
        parts.append(f"{rule}\nWithout a text of their own:\n{chr(10).join(without)}\n{rule}\n")
    return "\n".join(parts)


def archive(stage, path, moment):
    """The same bytes for the same files: sorted, nobody's, and all of one time."""

    def plain(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = moment
        return entry

    with open(path, "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=moment) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(stage, stage.name, recursive=False, filter=plain)
            for entry in sorted(stage.rglob("*")):
                tar.add(entry, entry.relative_to(stage.parent), recursive=False, filter=plain)


def debian(stage, package, folder):
    """The same files below /usr, with the libraries of the system named instead of carried along."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stage, folder / "usr")
    for carried in (folder / "usr" / LIBRARIES).glob("libgomp.so.*"):
        carried.unlink()
    doc = folder / "usr/share/doc/tuichat"
    (doc / "copyright").write_text(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: the authors of tuichat\nLicense: MIT or Apache-2.0\n"
        " LICENSE-MIT and LICENSE-APACHE beside this file; THIRD-PARTY-LICENSES has those of what is built in.\n"
    )
    control = folder / "DEBIAN" / "control"
    control.parent.mkdir()
    # dpkg-shlibdeps wants to find a source package around it.
    work = folder.with_name("debian-source")
    shutil.rmtree(work, ignore_errors=True)
    (work / "debian").mkdir(parents=True)
    (work / "debian/control").write_text("Source: tuichat\n\nPackage: tuichat\nArchitecture: any\n")
    files = [folder / "usr/bin/tuichat", *sorted((folder / "usr" / LIBRARIES).iterdir())]
    depends = output("dpkg-shlibdeps", "-O", f"-l{folder / 'usr' / LIBRARIES}", "--ignore-missing-info", *files, cwd=work)
    shutil.rmtree(work)
    depends = depends.strip().removeprefix("shlibs:Depends=")
    architecture = output("dpkg", "--print-architecture").strip()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1024
    control.write_text(
        f"Package: tuichat\nVersion: {package['version']}\nArchitecture: {architecture}\n"
        f"Maintainer: the authors of tuichat <authors@tuichat.invalid>\nInstalled-Size: {size}\nDepends: {depends}\n"
        f"Section: utils\nPriority: optional\nDescription: {package['description']}\n"
        " tuichat downloads language models, runs them with llama.cpp inside the program, and shows the conversation in\n"
        " the terminal. It answers in pipes and scripts, too, and measures what a machine can do.\n"
    )
    path = DIST / f"tuichat_{package['version']}_{architecture}.deb"
    output("dpkg-deb", "--root-owner-group", "--build", folder, path)
    return path


def main():
    target = re.search(r"^host: (.+)$", output("rustc", "-vV"), re.MULTILINE)[1]
    data = metadata(target)
    if sys.argv[1:] == ["--licences"]:
        return print(licences(data))
    if sys.platform != "linux":
        fail("only Linux is known here; elsewhere type `cargo build --release`")
    package = next(package for package in data["packages"] if package["id"] == data["resolve"]["root"])
    program, built = build()
    name = f"tuichat-{package['version']}-{target}"
    stage = BUILD / "stage" / name
    shutil.rmtree(stage.parent, ignore_errors=True)
    install(program, stage / "bin" / "tuichat")
    wanted = install_libraries(built, stage / LIBRARIES)
    for runtime in sorted(library for library in wanted if library.startswith("libgomp.so")):
        # Compilers bring it along, and nothing else does on a machine without one.
        found = Path(output(os.environ.get("CC", "cc"), f"-print-file-name={runtime}").strip())
        install(found.resolve(), stage / LIBRARIES / runtime)
    write_share(stage / "bin" / "tuichat", stage / "share")
    (stage / "share/doc/tuichat/THIRD-PARTY-LICENSES").write_text(licences(data))
    for folder in [stage, *stage.rglob("*")]:
        os.chmod(folder, 0o755 if folder.is_dir() or os.access(folder, os.X_OK) else 0o644)

    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir(parents=True)
    moment = int(output("git", "log", "-1", "--format=%ct", cwd=ROOT).strip() or 0)
    made = [DIST / f"{name}.tar.gz"]
    archive(stage, made[0], moment)
    if shutil.which("dpkg-shlibdeps") and shutil.which("dpkg-deb"):
        made.append(debian(stage, package, BUILD / "stage" / "deb"))
    else:
        print("dist: no .deb, since dpkg-shlibdeps (Debian: `apt-get install dpkg-dev`) is not there", file=sys.stderr)
    with open(DIST / "SHA256SUMS", "w") as sums:
        for path in made:
            sums.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
