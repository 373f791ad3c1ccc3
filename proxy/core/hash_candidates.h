// What consistent-hash policies share: which endpoints may take a key, and who takes one that has
// no key or whose own endpoints cannot.
#pragma once

#include <vector>

#include "proxy/core/picker.h"

namespace pando::proxy {

class HashCandidates {
 public:
  HashCandidates(const PolicyView& view, FastRandom random);

  // Before the questions below.
  void Set(std::span<const uint32_t> candidates, uint64_t key);
  // A candidate that is not above its bound and, if it is still warming up, lets this key in:
  // always the same keys, more of them as its weight grows.
  bool Takes(uint32_t index) const;
  // Without a key, or when nobody takes it.
  uint32_t Any(std::span<const uint32_t> candidates, uint64_t key) const;
  uint64_t RandomKey() { return random_.Next(); }

 private:
  const PolicyView& view_;
  FastRandom random_;
  std::vector<uint8_t> is_candidate_;
  uint64_t key_ = 0;
  float load_per_weight_ = 0;  // the most an endpoint may have, the request to come included
};

}  // namespace pando::proxy
