// Any endpoint, as likely as its weight says.
#pragma once

#include "proxy/core/picker.h"

namespace pando::proxy {

class RandomChoice final : public Policy {
 public:
  RandomChoice(const PolicyView& view, FastRandom random) : view_(view), random_(random) {}
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;

 private:
  const PolicyView& view_;
  FastRandom random_;
};

}  // namespace pando::proxy
