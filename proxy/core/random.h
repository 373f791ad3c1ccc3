// A small generator for choices that need no secrecy. One per worker; the seed is given, so equal
// seeds give equal choices.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pando::proxy {

class FastRandom {
 public:
  explicit FastRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, bound); `bound` is not 0.
  size_t Below(size_t bound) { return static_cast<size_t>(Next() % bound); }
  // In [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace pando::proxy
