#include "agent/core/port_allocator.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace pando::agent {

absl::StatusOr<PortRange> ParsePortRange(absl::string_view text) {
  const std::vector<absl::string_view> ends = absl::StrSplit(text, '-');
  uint32_t first = 0;
  uint32_t last = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last) ||
      first < 1 || last > 65535 || first > last) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a range of ports such as 20000-29999"));
  }
  return PortRange{static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
}

std::optional<uint16_t> PortAllocator::Allocate(uint16_t previous,
                                                absl::FunctionRef<bool(uint16_t)> reserve) {
  if (previous >= range_.first && previous <= range_.last && reserve(previous)) return previous;
  for (uint32_t tried = 0; tried < range_.size(); ++tried) {
    const auto candidate = static_cast<uint16_t>(range_.first + next_);
    next_ = (next_ + 1) % range_.size();
    if (candidate != previous && reserve(candidate)) return candidate;
  }
  return std::nullopt;
}

}  // namespace pando::agent
