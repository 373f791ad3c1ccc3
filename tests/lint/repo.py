"""What the lint scripts share: which files there are, and how a script reports."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED_DIRECTORIES = {".git", "build", ".quickstart", "__pycache__", "corpus"}


def tracked_files(root=ROOT):
    """Paths relative to `root`, sorted: what git tracks, or every file where there is no git."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode == 0 and (root / ".git").exists():
        names = [pathlib.PurePosixPath(name) for name in listed.stdout.split("\0") if name]
    else:
        names = [pathlib.PurePosixPath(path.relative_to(root).as_posix())
                 for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in names
                  if not SKIPPED_DIRECTORIES.intersection(name.parts) and (root / name).is_file())


def cpp_files(root=ROOT):
    return [name for name in tracked_files(root) if name.suffix in (".h", ".cc")]


def read(name, root=ROOT):
    return (root / name).read_text(encoding="utf-8")


def report(check, problems):
    """Prints the problems and ends the process: 1 when there are any."""
    for problem in problems:
        print(problem)
    print(f"{check}: {len(problems)} problem(s)" if problems else f"{check}: ok")
    sys.exit(1 if problems else 0)
