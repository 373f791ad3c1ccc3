// Each endpoint in turn, as often as its weight says.
#pragma once

#include <vector>

#include "proxy/core/picker.h"

namespace pando::proxy {

class RoundRobin final : public Policy {
 public:
  RoundRobin(const PolicyView& view, uint64_t start);
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;

 private:
  const PolicyView& view_;
  bool equal_weights_ = true;  // for good
  uint64_t next_;
  // How far each endpoint is behind its share: the furthest is next, so that a heavy endpoint's
  // turns are spread out instead of coming in a row.
  std::vector<double> behind_;
};

}  // namespace pando::proxy
