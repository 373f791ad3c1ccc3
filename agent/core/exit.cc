#include "agent/core/exit.h"

#include <string.h>

#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

constexpr int kSigkill = 9;
constexpr int kShellSignalBase = 128;  // a shell that started the app exits with 128 + its signal

std::string DescribeOomKill(uint64_t max_memory_bytes) {
  return max_memory_bytes > 0 ? absl::StrCat("OOMKilled at ", DescribeBytes(max_memory_bytes))
                              : "OOMKilled: its host was out of memory";
}

std::string DescribeOwnExit(const Exit& exit) {
  if (exit.signal == 0) return absl::StrCat("exited with code ", exit.code);
  const char* const name = sigabbrev_np(exit.signal);
  return absl::StrCat("killed by signal ", exit.signal, name != nullptr ? " (SIG" : "",
                      name != nullptr ? name : "", name != nullptr ? ")" : "");
}

}  // namespace

bool WasOomKilled(const Exit& exit) {
  return exit.oom_kills > 0 &&
         (exit.signal == kSigkill || exit.code == kShellSignalBase + kSigkill);
}

std::string DescribeChildOomKills(uint64_t count, uint64_t max_memory_bytes) {
  return absl::StrCat(count,
                      count == 1 ? " of its child processes was " : " of its child processes were ",
                      DescribeOomKill(max_memory_bytes));
}

std::string DescribeExit(const Exit& exit, uint64_t max_memory_bytes) {
  if (WasOomKilled(exit)) return DescribeOomKill(max_memory_bytes);
  std::string text = DescribeOwnExit(exit);
  if (exit.oom_kills > 0) {
    absl::StrAppend(&text, ", after ", DescribeChildOomKills(exit.oom_kills, max_memory_bytes));
  }
  return text;
}

std::string DescribeBytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return absl::StrCat(std::round(value * 10) / 10, " ", kUnits[unit]);
}

}  // namespace pando::agent
