#!/usr/bin/env python3
"""clang-tidy 14 over the compile database, in parallel.

usage: clang_tidy.py BUILD_DIR [PART_OF_A_FILE_NAME...]

Results are kept under BUILD_DIR/clang-tidy, by a hash of the file, of all it includes from this
repository, of its command and of the configuration: only what a change touches is looked at again.
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
# Only g++ knows or needs these.
DROPPED = re.compile(r"^-fno-sanitize-recover|^-fsanitize|^-Wno-restrict")


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


def tidy_arguments(entry, root):
    arguments = ["--quiet", f"--header-filter=^{root}/({'|'.join(OUR_FOLDERS)})/"]
    if entry["file"].endswith(("_test.cc", "_fuzz.cc")):
        arguments.append(f"--checks={LEFT_OUT_OF_TESTS}")
    elif "/core/" not in entry["file"]:
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


def check_one(entry, root, cache):
    """The file's problems as text, "" when there is none."""
    result_file = cache / key_of(entry, root)
    if result_file.exists():
        return result_file.read_text(encoding="utf-8")
    started = time.monotonic()
    result = subprocess.run([TIDY, *tidy_arguments(entry, root)], cwd=entry["directory"],
                            capture_output=True, text=True, check=False)
    problems = result.stdout.strip()
    if result.returncode != 0 and not problems:
        problems = f"{entry['file']}: {TIDY} failed: {result.stderr.strip()}"
    print(f"{time.monotonic() - started:6.1f} s {os.path.relpath(entry['file'], root)}", flush=True)
    temporary = result_file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(problems, encoding="utf-8")
    temporary.rename(result_file)
    return problems


def check(entries, root, cache, jobs):
    cache.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        found = pool.map(lambda entry: check_one(entry, root, cache), entries)
        return [problems for problems in found if problems]


def ours(entry, root):
    path = pathlib.Path(entry["file"])
    return path.is_relative_to(root) and not path.is_relative_to(root / "build")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    database = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    unique = {entry["file"]: entry for entry in database if ours(entry, repo.ROOT)}
    only = sys.argv[2:]
    # Of tests only those that are asked for: as many lines again, and nobody is served by them.
    entries = [entry for name, entry in sorted(unique.items())
               if (any(part in name for part in only) if only else not name.endswith("_test.cc"))]
    repo.report("clang-tidy", check(entries, repo.ROOT, build / "clang-tidy", os.cpu_count() or 1))


if __name__ == "__main__":
    main()
