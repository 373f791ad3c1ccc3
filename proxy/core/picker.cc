#include "proxy/core/picker.h"

#include <algorithm>
#include <cstdlib>

#include "proxy/core/least_request.h"
#include "proxy/core/random_choice.h"
#include "proxy/core/round_robin.h"

namespace pando::proxy {

std::unique_ptr<Policy> MakePolicy(const Cluster& cluster, FastRandom random) {
  switch (cluster.lb_policy) {
    case LbPolicy::kLeastRequest:
      return std::make_unique<LeastRequest>(cluster, random);
    case LbPolicy::kRoundRobin:
      return std::make_unique<RoundRobin>(cluster, random.Next());
    case LbPolicy::kRandom:
      return std::make_unique<RandomChoice>(cluster, random);
  }
  std::abort();  // not an enumerator
}

ClusterPicker::ClusterPicker(std::shared_ptr<const Cluster> cluster, uint64_t seed)
    : cluster_(std::move(cluster)), policy_(MakePolicy(*cluster_, FastRandom(seed))) {
  for (uint32_t i = 0; i < cluster_->endpoints.size(); ++i) {
    switch (cluster_->endpoints[i].health) {
      case EndpointHealth::kHealthy:
        healthy_.push_back(i);
        break;
      case EndpointHealth::kSuspect:
        suspect_.push_back(i);
        break;
      case EndpointHealth::kDraining:
        break;
    }
  }
}

std::optional<uint32_t> ClusterPicker::Pick(const Context& context) {
  if (context.exclude.empty() && context.avoid.empty()) {
    if (!healthy_.empty()) return policy_->Choose(healthy_);
    if (!suspect_.empty()) return policy_->Choose(suspect_);
    return std::nullopt;
  }
  for (const bool avoided : {false, true}) {
    for (const std::vector<uint32_t>* tier : {&healthy_, &suspect_}) {
      scratch_.clear();
      for (uint32_t index : *tier) {
        const bool is_avoided = !context.avoid.empty() && context.avoid[index] != 0;
        if (is_avoided != avoided) continue;
        const EndpointCounters* counters = cluster_->endpoints[index].counters.get();
        if (std::ranges::find(context.exclude, counters) != context.exclude.end()) continue;
        scratch_.push_back(index);
      }
      if (!scratch_.empty()) return policy_->Choose(scratch_);
    }
  }
  return std::nullopt;
}

}  // namespace pando::proxy
