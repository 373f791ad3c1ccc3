#!/usr/bin/env python3
"""Every C++ file is as clang-format 14 writes it, and nothing is left for later."""

import re
import shutil
import subprocess
import sys

import repo

FORMATTER = "clang-format-14"
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
TEXT = (".cc", ".h", ".py", ".js", ".sh", ".cmake", ".txt", ".proto", ".yaml", ".md", ".service", "")


def check_format(root):
    files = [str(name) for name in repo.cpp_files(root)]
    if not files:
        return []
    result = subprocess.run([FORMATTER, "--dry-run", "-Werror", *files],
                            cwd=root, capture_output=True, text=True, check=False)
    wrong = {line.split(":")[0] for line in result.stderr.splitlines() if ": error:" in line}
    return [f"{name}: not formatted; run: {FORMATTER} -i {name}" for name in sorted(wrong)]


def check_later(root):
    for name in repo.tracked_files(root):
        if name.suffix not in TEXT:
            continue
        for number, line in enumerate(repo.read(name, root).splitlines(), 1):
            if LATER.search(line):
                yield f"{name}:{number}: left for later: {line.strip()}"


def check(root=repo.ROOT):
    return check_format(root) + list(check_later(root))


if __name__ == "__main__":
    if shutil.which(FORMATTER) is None:
        sys.exit(f"{FORMATTER} is missing: apt-get install {FORMATTER}")
    repo.report("format", check())
