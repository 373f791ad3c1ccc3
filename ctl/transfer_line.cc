#include "ctl/transfer_line.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pando::ctl {
namespace {

constexpr int kWidestBar = 40;
constexpr int kNarrowestBar = 8;

double Mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

std::string TransferLine(const std::string& what, uint64_t done, uint64_t size, uint64_t sent,
                         double seconds, int columns) {
  const double part =
      size == 0 ? 1 : static_cast<double>(std::min(done, size)) / static_cast<double>(size);
  std::string numbers =
      absl::StrFormat("%3.0f%%  %.1f of %.1f MiB", 100 * part, Mib(done), Mib(size));
  // The first moments say nothing of the pace.
  if (seconds >= 0.5) absl::StrAppendFormat(&numbers, "  %.1f MiB/s", Mib(sent) / seconds);
  const int left = columns - static_cast<int>(what.size() + numbers.size()) - 7;
  const int width = std::min(left, kWidestBar);
  if (width < kNarrowestBar) return absl::StrCat(what, "  ", numbers);
  const int full = static_cast<int>(part * width);
  return absl::StrCat(what, "  [", std::string(full, '#'), std::string(width - full, '.'), "]  ",
                      numbers);
}

}  // namespace pando::ctl
