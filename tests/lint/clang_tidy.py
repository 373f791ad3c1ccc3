#!/usr/bin/env python3
"""clang-tidy 14 over the compile database, in parallel.

usage: clang_tidy.py BUILD_DIR [PART_OF_A_FILE_NAME...]

Results are kept under BUILD_DIR/clang-tidy, by a hash of the file, of all it includes from this
repository, of its command and of the configuration: only what a change touches is looked at again.

Most of the time goes into the headers of gRPC and Boost: files that are compiled together (with
PANDO_UNITY) are looked at together. When that finds a problem, each is looked at alone, and that counts.
The analyzer looks at the file it is given only, not at those that it includes: it gets each of its own.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

import repo

TIDY = "clang-tidy-14"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
OUR_FOLDERS = ("agent", "artifact", "common", "controller", "ctl", "proxy", "tests")
# The slowest checks, whose findings matter least in a test.
LEFT_OUT_OF_TESTS = "-clang-analyzer-*,-performance-unnecessary-value-param"
# The analyzer takes longer than all else together: it looks at the cores, where the decisions are.
LEFT_OUT_OF_SHELLS = "-clang-analyzer-*"
ALL_BUT_THE_ANALYZER = ("bugprone", "performance", "modernize", "readability", "cppcoreguidelines", "misc", "google")
LEFT_OUT_FOR_THE_ANALYZER = ",".join(f"-{group}-*" for group in ALL_BUT_THE_ANALYZER)
# CMake's folder for the files that include the others of their group.
UNITY = "Unity"
# Only g++ knows or needs these.
DROPPED = re.compile(r"^-fno-sanitize-recover|^-fsanitize|^-Wno-restrict|^-Wno-subobject-linkage")


def closure(path, root, seen):
    """Adds `path` and what it includes of this repository to `seen`."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for name in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
        generated = re.sub(r"(\.grpc)?\.pb\.h$", ".proto", name)
        for candidate in (root / name, root / "proto" / generated, root / "proto/xds" / generated):
            closure(candidate, root, seen)


def compiler_arguments(entry):
    arguments = shlex.split(entry["command"]) if "command" in entry else entry["arguments"]
    while arguments and not arguments[0].startswith("-"):  # ccache, c++
        arguments = arguments[1:]
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("-o", "-MF", "-MT"):
            skip = True
        elif argument not in ("-c", "-MD", entry["file"]) and not DROPPED.match(argument):
            kept.append(argument)
    return kept


def is_analyzed(entry):
    return "/core/" in entry["file"] and not entry["file"].endswith(("_test.cc", "_fuzz.cc"))


def tidy_arguments(entry, root, only_analyzer=False):
    arguments = ["--quiet", f"--header-filter=^{root}/({'|'.join(OUR_FOLDERS)})/"]
    if only_analyzer:
        arguments.append(f"--checks={LEFT_OUT_FOR_THE_ANALYZER}")
    elif entry["file"].endswith(("_test.cc", "_fuzz.cc")):
        arguments.append(f"--checks={LEFT_OUT_OF_TESTS}")
    elif not is_analyzed(entry):
        arguments.append(f"--checks={LEFT_OUT_OF_SHELLS}")
    return arguments + [entry["file"], "--", *compiler_arguments(entry)]


def key_of(entry, root):
    seen = set()
    closure(pathlib.Path(entry["file"]), root, seen)
    digest = hashlib.sha256()
    digest.update(repr(tidy_arguments(entry, root)).encode())
    digest.update((root / ".clang-tidy").read_bytes())
    for path in sorted(seen):
        digest.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_tidy(entry, root, only_analyzer=False):
    """Its problems as text, "" when there is none."""
    started = time.monotonic()
    result = subprocess.run([TIDY, *tidy_arguments(entry, root, only_analyzer)], cwd=entry["directory"],
                            capture_output=True, text=True, check=False)
    print(f"{time.monotonic() - started:6.1f} s {entry['title']}", flush=True)
    problems = result.stdout.strip()
    if result.returncode != 0 and not problems:
        problems = f"{entry['title']}: {TIDY} failed: {result.stderr.strip()}"
    return problems


def keep(text, path):
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)


def unit_entry(entries, cache):
    """A source file that includes those of `entries`, with the command of the first."""
    first = entries[0]
    text = "".join(f'#include "{entry["file"]}"  // NOLINT\n' for entry in entries)
    path = cache / f"unit_{hashlib.sha256(text.encode()).hexdigest()[:16]}.cc"
    path.write_text(text, encoding="utf-8")
    command = shlex.join(["c++", *compiler_arguments(first), "-c", str(path)])
    return {"file": str(path), "directory": first["directory"], "command": command,
            "title": f"{first['title']} and {len(entries) - 1} more"}


def check_unit(entries, root, cache):
    """The problems of each of `entries`."""
    results = [cache / key_of(entry, root) for entry in entries]
    new = [(entry, result) for entry, result in zip(entries, results) if not result.exists()]
    clean = len(new) > 1 and not run_tidy(unit_entry([entry for entry, _ in new], cache), root)
    for entry, result in new:
        if clean and not is_analyzed(entry):
            keep("", result)
        else:
            keep(run_tidy(entry, root, only_analyzer=clean), result)
    return [result.read_text(encoding="utf-8") for result in results]


def units(database, root):
    """The database's entries for our files, in the groups that are compiled together."""
    found, seen = [], set()
    for entry in database:
        path = pathlib.Path(entry["file"])
        files = INCLUDE.findall(path.read_text(encoding="utf-8")) if UNITY in path.parts else [entry["file"]]
        ours = [file for file in files if is_ours(pathlib.Path(file), root) and file not in seen]
        seen.update(ours)
        command = shlex.join(["c++", *compiler_arguments(entry)])
        members = [{"file": file, "directory": entry["directory"], "command": command,
                    "title": os.path.relpath(file, root)} for file in ours]
        found.append(members)
    return found


def check(units_, root, cache, jobs):
    cache.mkdir(parents=True, exist_ok=True)
    # The longest first, for the end to be short.
    by_size = sorted((unit for unit in units_ if unit), key=len, reverse=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        checked = pool.map(lambda unit: check_unit(unit, root, cache), by_size)
        return [problems for unit in checked for problems in unit if problems]


def is_ours(path, root):
    return path.is_relative_to(root) and not path.is_relative_to(root / "build")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    database = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    only = sys.argv[2:]

    def wanted(name):
        # Of tests only those that are asked for: as many lines again, and nobody is served by them.
        return any(part in name for part in only) if only else not name.endswith("_test.cc")

    chosen = [[entry for entry in unit if wanted(entry["file"])] for unit in units(database, repo.ROOT)]
    repo.report("clang-tidy", check(chosen, repo.ROOT, build / "clang-tidy", os.cpu_count() or 1))


if __name__ == "__main__":
    main()
