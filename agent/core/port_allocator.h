// Chooses ports for instances. Whether one is free only the host knows: the caller tries.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pando::agent {

struct PortRange {
  uint16_t first = 20'000;
  uint16_t last = 29'999;

  uint32_t size() const { return static_cast<uint32_t>(last - first) + 1; }
};

// "20000-29999".
absl::StatusOr<PortRange> ParsePortRange(absl::string_view text);

class PortAllocator {
 public:
  // `start` is random per agent: the agents of one host then seldom try each other's ports.
  PortAllocator(PortRange range, uint32_t start) : range_(range), next_(start % range.size()) {}

  // The first port that `reserve` takes: `previous` if it can be had again (0: none), else going
  // round the range, so that a port is not reused while clients may still know it.
  std::optional<uint16_t> Allocate(uint16_t previous, absl::FunctionRef<bool(uint16_t)> reserve);

 private:
  PortRange range_;
  uint32_t next_;  // offset in the range
};

}  // namespace pando::agent
