// Random choices of a simulation. Raw generator output only: the distributions of the standard
// library differ from one to the next, and a seed must mean the same everywhere.
#pragma once

#include <cstdint>
#include <random>

#include "common/base/time.h"

namespace pando::sim {

class SimRandom {
 public:
  explicit SimRandom(uint32_t seed) : generator_(seed) {}

  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(generator_() % bound); }
  bool Percent(uint32_t percent) { return Below(100) < percent; }
  Millis Between(int64_t least, int64_t most) {
    return Millis{least + static_cast<int64_t>(Below(static_cast<uint32_t>(most - least + 1)))};
  }
  uint64_t Number() { return (uint64_t{generator_()} << 32) | generator_(); }

 private:
  std::mt19937 generator_;
};

}  // namespace pando::sim
