#!/usr/bin/env python3
"""Who may include whom, who may read a clock, and: a .cc includes its own header first.

The table is the architecture; docs/architecture.md says why. Tests may include what they like.
"""

import re

import repo

PROTO = ("pando/v1/", "pando/xds/v1/", "envoy/", "google/", "grpc/health/")
COMMON = ("common/base/", "common/runtime/")

# The longest matching prefix of a file's path decides what it may include of this repository.
ALLOWED = {
    "common/base/": ("common/base/",),
    "common/runtime/": COMMON,
    "artifact/core/": ("common/base/", "artifact/core/"),
    "artifact/": COMMON + ("artifact/",),
    "controller/core/": ("common/base/", "controller/core/"),
    "controller/spec/": COMMON + PROTO + (
        "artifact/core/", "controller/core/", "controller/spec/"),
    "controller/store/": COMMON + PROTO + ("controller/core/", "controller/store/"),
    # The service meets the store only at its interface and its records; main.cc picks a backend.
    "controller/service/": COMMON + PROTO + (
        "artifact/", "controller/core/", "controller/spec/", "controller/service/",
        "controller/store/store.h", "controller/store/keys.h", "controller/store/records.h"),
    "agent/core/": ("common/base/", "agent/core/"),
    # The shim is to stay tiny: no library but the standard one.
    "agent/shim/": ("agent/shim/",),
    "agent/": COMMON + PROTO + ("artifact/", "agent/"),
    "proxy/core/": ("common/base/", "proxy/core/"),
    "proxy/net/": COMMON + ("proxy/core/", "proxy/net/"),
    "proxy/control/": COMMON + PROTO + ("proxy/core/", "proxy/control/", "proxy/net/data_plane.h"),
    "ctl/": COMMON + PROTO + ("artifact/", "ctl/"),
}

# Files with one more permission than their folder: path -> (prefixes, why).
EXCEPTIONS = {
    "controller/service/controller_app.cc": (
        ("controller/store/",), "wires the store's backends, one of which the options name"),
    "controller/service/controller_app.h": (
        ("controller/store/",), "wires the store's backends, one of which the options name"),
}

PURE = re.compile(r"^(common/base|[a-z]+/core)/")
# Of what is not ours, a pure layer sees the standard library and the parts of abseil without state.
IMPURE_STANDARD = {
    "condition_variable", "filesystem", "fstream", "future", "iostream", "mutex", "semaphore",
    "shared_mutex", "stop_token", "thread",
}
IMPURE_ABSEIL = ("absl/synchronization/", "absl/log/", "absl/flags/", "absl/random/")
# Beast's parser does no I/O; emmintrin.h is arithmetic, used where the compiler has it; inet_pton,
# fnmatch and their like only read and write texts.
PURE_EXCEPTIONS = {
    "proxy/core/h1_parser": ("boost/beast/", "emmintrin.h"),
    "common/base/ip_range": ("arpa/inet.h",),
    "artifact/core/ignore_rules": ("fnmatch.h",),
}

CLOCK = re.compile(
    r"_clock::now\(|\babsl::Now\(|\bclock_gettime\(|\bgettimeofday\(|\btime\(nullptr\)")
SLEEP = re.compile(r"\bsleep_for\(|\bsleep_until\(|\babsl::SleepFor\(|\busleep\(|\bnanosleep\(")
RANDOM = re.compile(r"\brandom_device\b|\bs?rand\(|\bgetrandom\(|\babsl::BitGen\b")

# Where time and chance enter. Everything else is given them.
TIME_ALLOWED = {
    "common/runtime/event_loop.cc": "the clock of every owner loop",
    "common/runtime/log.cc": "stamps lines",
    "ctl/": "a person waits in real time; what decides is in ctl/wait, which is given the time",
    "agent/shim/": "outlives every loop; stamps the exit it records",
    "proxy/net/poller.cc": "the clock of a worker's loop, read once a round",
    "proxy/net/access_log.cc": "puts a date to what workers timed, once per batch of lines",
    "controller/service/controller_app.cc": "gRPC takes the deadline of a shutdown as a point in time",
}
RANDOM_ALLOWED = {
    "common/runtime/data_dir.cc": "RandomHexId",
    "controller/service/controller_app.cc": "seeds the core's generator",
    "controller/service/store_thread.cc": "jitter of retries",
    "agent/agent_app.cc": "jitter of restarts and reconnecting",
    "proxy/control/load_reporter.h": "jitter of reconnecting",
    "proxy/control/xds_client.h": "jitter of reconnecting",
    "proxy/net/data_plane.cc": "seeds the workers' pickers",
}

SLEEP_ALLOWED = {
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def is_test(path):
    return (re.search(r"_(test|fuzz|bench)\.cc$", path) is not None or
            "/testing/" in path or
            re.search(r"(^|/|_)(test|fake)_[a-z0-9_]*\.(h|cc)$", path) is not None or
            path.startswith("tests/"))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def without_comments(text):
    """The same number of lines, comments and string contents blanked."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.DOTALL)


def starts_with_any(text, prefixes):
    return any(text.startswith(prefix) for prefix in prefixes)


def check_includes(path, text):
    if is_test(path) or path.endswith("/main.cc"):
        return
    prefix = max((p for p in ALLOWED if path.startswith(p)), key=len, default=None)
    if prefix is None:
        return
    own_tops = tuple(sorted({p.split("/")[0] + "/" for p in ALLOWED})) + ("tests/",)
    extra = EXCEPTIONS.get(path, ((), ""))[0]
    for match in INCLUDE.finditer(text):
        quoted, name = match.group(1) == '"', match.group(2)
        where = f"{path}:{line_of(text, match.start())}"
        ours = starts_with_any(name, own_tops) or (quoted and starts_with_any(name, PROTO))
        if ours or name.endswith(".pb.h"):
            if not starts_with_any(name, ALLOWED[prefix] + extra):
                yield f"{where}: {prefix} may not include {name}"
        elif PURE.match(path):
            yield from check_pure_include(path, where, name)


def check_pure_include(path, where, name):
    stem = path.rsplit(".", 1)[0]
    if name.startswith("absl/"):
        if starts_with_any(name, IMPURE_ABSEIL):
            yield f"{where}: a pure layer may not include {name}"
        return
    standard = "/" not in name and ("." not in name or name == "string.h")
    if standard and name not in IMPURE_STANDARD:
        return
    if stem in PURE_EXCEPTIONS and starts_with_any(name, PURE_EXCEPTIONS[stem]):
        return
    yield f"{where}: a pure layer may not include {name}"


def check_time_and_chance(path, text):
    code = without_comments(text)
    test = is_test(path)
    for pattern, what, allowed, tests_may in (
            (CLOCK, "reads a clock", TIME_ALLOWED, True),
            (SLEEP, "sleeps", SLEEP_ALLOWED, False),
            (RANDOM, "draws random numbers", RANDOM_ALLOWED, False)):
        # A core's tests live in virtual time as well.
        if (test and tests_may and not PURE.match(path)) or starts_with_any(path, tuple(allowed)):
            continue
        for match in pattern.finditer(code):
            yield f"{path}:{line_of(code, match.start())}: {what}: {match.group(0).strip('(')}"


def check_own_header_first(path, text, all_paths):
    own = path[:-3] + ".h"
    if not path.endswith(".cc") or own not in all_paths:
        return
    first = INCLUDE.search(text)
    if first is None or first.group(2) != own:
        yield f"{path}: its own header must be the first include: {own}"


def check(root=repo.ROOT):
    paths = [str(path) for path in repo.cpp_files(root)]
    problems = []
    for path in paths:
        text = repo.read(path, root)
        problems += check_includes(path, text)
        problems += check_time_and_chance(path, text)
        problems += check_own_header_first(path, text, set(paths))
    return problems


if __name__ == "__main__":
    repo.report("layers", check())
