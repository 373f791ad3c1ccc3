#!/usr/bin/env python3
"""What the documents name exists: links, paths, example specs; and their shell blocks parse."""

import itertools
import re
import subprocess
import urllib.parse

import repo

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"\bdeploy/examples/[\w./-]*\w")
# Made by building or running; not there in a fresh clone.
GENERATED = ("build/", ".quickstart/")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def expand_braces(path):
    """"a/{b,c}.h" -> ["a/b.h", "a/c.h"]"""
    parts = re.split(r"\{([^{}]*)\}", path)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def exists(root, path):
    if any(mark in path for mark in "*?"):
        return next(root.glob(path.rstrip("/")), None) is not None
    # Documents name a pair x.{h,cc} as x.
    return any((root / f"{path.rstrip('/')}{suffix}").exists()
               for suffix in ("", ".h", ".cc", ".proto"))


def looks_like_path(word, tops):
    return (re.fullmatch(r"[\w.{},*?/-]+", word) is not None and
            word.split("/")[0] in tops and "/" in word and not word.startswith(GENERATED))


def check_links(name, prose, root):
    for match in LINK.finditer(prose):
        target = urllib.parse.unquote(match.group(1)).split("#")[0]
        if re.match(r"[a-z]+:", match.group(1)) or not target:
            continue
        if not (root / name.parent / target).exists():
            yield f"{name}:{line_of(prose, match.start())}: link to nothing: {match.group(1)}"


def check_paths(name, text, prose, root):
    tops = {path.parts[0] for path in repo.tracked_files(root)}
    named = [(match.start(), match.group(1)) for match in CODE.finditer(prose)]
    named += [(match.start(), match.group(0)) for match in EXAMPLE.finditer(text)]
    for offset, words in named:
        for word in words.split():
            if not looks_like_path(word, tops):
                continue
            for path in expand_braces(word):
                if not exists(root, path):
                    yield f"{name}:{line_of(text, offset)}: no such path: {path}"


def check_shell_blocks(name, text):
    for match in FENCE.finditer(text):
        if match.group(1) not in ("sh", "bash", "shell"):
            continue
        parsed = subprocess.run(["bash", "-n"], input=match.group(2), text=True,
                                capture_output=True, check=False)
        if parsed.returncode != 0:
            yield (f"{name}:{line_of(text, match.start())}: shell block does not parse: "
                   f"{parsed.stderr.strip()}")


def check(root=repo.ROOT):
    problems = []
    for name in repo.tracked_files(root):
        if name.suffix != ".md":
            continue
        text = repo.read(name, root)
        prose = FENCE.sub(blank, text)
        problems += check_links(name, prose, root)
        # A changelog tells of what is gone as well.
        if name.name != "CHANGELOG.md":
            problems += check_paths(name, text, prose, root)
        problems += check_shell_blocks(name, text)
    return sorted(set(problems))


if __name__ == "__main__":
    repo.report("docs", check())
