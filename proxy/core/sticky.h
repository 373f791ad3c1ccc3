// The endpoint whose id the client's cookie carries, even if that has to be waited for; a client
// without one, or whose endpoint may not be used, gets the least loaded and is told its id.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "proxy/core/least_request.h"

namespace pando::proxy {

class Sticky final : public Policy {
 public:
  Sticky(const PolicyView& view, FastRandom random);
  uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) override;
  bool Binds(uint32_t chosen, const PolicyRequest& request) const override;

 private:
  LeastRequest others_;
  absl::flat_hash_map<uint64_t, uint32_t> by_id_;  // EndpointHash -> index
};

}  // namespace pando::proxy
