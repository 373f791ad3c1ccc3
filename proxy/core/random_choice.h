// Any endpoint, as likely as its weight says.
#pragma once

#include "proxy/core/picker.h"

namespace pando::proxy {

class RandomChoice final : public Policy {
 public:
  RandomChoice(const Cluster& cluster, FastRandom random) : cluster_(cluster), random_(random) {}
  uint32_t Choose(std::span<const uint32_t> candidates) override;

 private:
  const Cluster& cluster_;
  FastRandom random_;
};

}  // namespace pando::proxy
