#!/usr/bin/env python3
"""Shell scripts parse, and shellcheck finds nothing in them where it is installed."""

import re
import shutil
import subprocess

import repo

SHEBANG = re.compile(r"^#!.*\b(bash|sh)\b")


def scripts(root):
    for name in repo.tracked_files(root):
        if name.suffix in (".cc", ".h", ".md", ".py", ".js", ".proto"):
            continue
        with open(root / name, "rb") as file:
            first = file.readline(100).decode("utf-8", "replace")
        if SHEBANG.match(first) or name.suffix == ".sh":
            yield name


def run(root, *command):
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def check(root=repo.ROOT):
    problems = []
    for name in scripts(root):
        parsed = run(root, "bash", "-n", str(name))
        if parsed.returncode != 0:
            problems.append(parsed.stderr.strip())
        elif shutil.which("shellcheck"):
            checked = run(root, "shellcheck", "-x", "-f", "gcc", "-S", "warning", str(name))
            problems += checked.stdout.splitlines()
    return problems


if __name__ == "__main__":
    repo.report("scripts", check())
