# Sourced by deploy/quickstart, tests/run and .ci/run: what to install, how to build, how to talk.
# shellcheck shell=bash

PANDO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly PANDO_ROOT

say() { printf '%s\n' "$*"; }

# die MESSAGE [WHAT TO DO]...
die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  shift
  local advice
  for advice in "$@"; do printf '  %s\n' "$advice" >&2; done
  exit 1
}

# 75 -> "1 min 15 s"
spell_seconds() {
  if (($1 < 60)); then printf '%d s' "$1"; else printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); fi
}

# --- Packages ---------------------------------------------------------------------------------

pando_build_packages() {
  # Debian 12's default Boost is older than what is needed; its newer one has the version in its name.
  local boost=libboost-dev
  # shellcheck source=/dev/null
  if [[ $(. /etc/os-release && echo "$ID$VERSION_ID") == debian12 ]]; then boost=libboost1.81-dev; fi
  echo g++ cmake ninja-build pkg-config ccache lld "$boost" protobuf-compiler libprotobuf-dev \
    protobuf-compiler-grpc libgrpc++-dev libabsl-dev libssl-dev libsqlite3-dev prometheus-cpp-dev \
    libarchive-dev libyaml-cpp-dev libspdlog-dev libcli11-dev libgtest-dev libgmock-dev zlib1g-dev
}

# What the sample app and the checks of a running cluster need.
pando_run_packages() {
  local packages=(curl procps)
  # A node from elsewhere (NodeSource, nvm) is as good as Debian's.
  command -v node > /dev/null || packages+=(nodejs)
  echo "${packages[@]}"
}

pando_test_packages() { echo git openssl iproute2 prometheus python3 python3-yaml clang-format-14 shellcheck; }

# Benchmarks only: the peers a figure is compared with, and what makes load and counts.
pando_bench_packages() { echo nginx haproxy wrk openssl python3 util-linux linux-perf; }

pando_lint_packages() { echo clang-14 libclang-rt-14-dev clang-tidy-14; }

# install_packages NAME...: installs those that are missing; asks for nothing.
install_packages() {
  command -v dpkg-query > /dev/null ||
    die "this is neither Debian nor Ubuntu, so packages cannot be installed" \
      "Install by hand what these Debian packages contain, then use --no-build: $*"
  local missing=() name
  for name in "$@"; do
    # shellcheck disable=SC2016  # dpkg-query's own placeholders
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2> /dev/null) == installed ]] ||
      missing+=("$name")
  done
  ((${#missing[@]} == 0)) && return
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo > /dev/null ||
      die "these packages are missing and installing them needs root: ${missing[*]}" \
        "Run as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${#missing[@]} packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
    tail -n 15 "$log" >&2
    die "the packages could not be installed (whole log: $log)" \
      "Check the network and /etc/apt/sources.list, or install them by hand and start again."
  fi
  rm -f "$log"
}

# The same for packages with a system service, which must not start: it would take a port, and answer
# in place of what is measured.
install_packages_without_services() {
  local policy=/usr/sbin/policy-rc.d as_root=()
  if [[ -e $policy ]]; then
    install_packages "$@"
    return
  fi
  if ((EUID != 0)); then as_root=(sudo); fi
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
  "${as_root[@]}" chmod 755 "$policy"
  # In a subshell: die must not leave the policy behind.
  local result=0
  (install_packages "$@") || result=$?
  "${as_root[@]}" rm -f "$policy"
  ((result == 0)) || exit "$result"
}

# --- Build ------------------------------------------------------------------------------------

# A compiler may need 1.5 GB: with less memory per core, fewer run at once.
build_jobs() {
  local cores memory_kb jobs
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  jobs=$((memory_kb / 1500000))
  if ((jobs < 1)); then jobs=1; fi
  if ((jobs > cores)); then jobs=$cores; fi
  echo "${PANDO_JOBS:-$jobs}"
}

# Ninja's "[12/340] ..." lines as one line that moves on a terminal, else one line every 30 s.
show_build_progress() {
  local line started=$SECONDS next=$((SECONDS + 30)) shown=0
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    local text="building $1: ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
    text+=", $(spell_seconds $((SECONDS - started)))"
    if [[ -t 1 ]]; then
      printf '\r\033[K%s' "$text"
      shown=1
    elif ((SECONDS >= next)); then
      say "$text"
      next=$((SECONDS + 30))
    fi
  done
  if ((shown)); then printf '\r\033[K'; fi
}

# build_preset PRESET [TARGET]...: configures and builds into build/PRESET; all output goes to
# build/PRESET.log.
build_preset() {
  local preset=$1
  shift
  local log=$PANDO_ROOT/build/$preset.log target=() started=$SECONDS
  mkdir -p "$PANDO_ROOT/build"
  if (($# > 0)); then target=(--target "$@"); fi
  (cd "$PANDO_ROOT" && cmake --preset "$preset" -DPANDO_UNITY=ON) > "$log" 2>&1 || {
    grep -A 12 'CMake Error' "$log" >&2 || tail -n 20 "$log" >&2
    die "cmake could not configure the $preset build (whole log: $log)" \
      "Most often a package is missing or old. After changing that, remove build/$preset first."
  }
  (cd "$PANDO_ROOT" &&
    nice cmake --build --preset "$preset" --parallel "$(build_jobs)" "${target[@]}" 2>&1 |
    tee -a "$log" | show_build_progress "$preset"
    exit "${PIPESTATUS[0]}") || {
    grep -A 25 -m 2 '^FAILED:\|error:' "$log" | cut -c 1-300 | head -n 40 >&2
    die "the $preset build failed (whole log: $log)" \
      "If the compiler was killed, memory ran out: try again with PANDO_JOBS=1." \
      "If the sources changed under an old build: rm -r build/$preset, then again."
  }
  say "built $preset in $(spell_seconds $((SECONDS - started)))"
}
