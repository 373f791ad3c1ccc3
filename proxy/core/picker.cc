#include "proxy/core/picker.h"

#include <algorithm>
#include <cstdlib>

#include "proxy/core/least_request.h"
#include "proxy/core/maglev.h"
#include "proxy/core/peak_ewma.h"
#include "proxy/core/random_choice.h"
#include "proxy/core/ring_hash.h"
#include "proxy/core/round_robin.h"
#include "proxy/core/sticky.h"

namespace pando::proxy {
namespace {

// Equal keys belong to one side; keys next to each other are as good as random ones.
uint32_t PercentOf(uint64_t hash) { return static_cast<uint32_t>(FastRandom(hash).Next() % 100); }

// Of its weight, for an endpoint that is ready only now: enough to be warmed up by.
constexpr float kFirstShare = 0.1f;

}  // namespace

std::unique_ptr<Policy> MakePolicy(const PolicyView& view, FastRandom random) {
  switch (view.cluster.lb_policy) {
    case LbPolicy::kLeastRequest:
      return std::make_unique<LeastRequest>(view, random);
    case LbPolicy::kRoundRobin:
      return std::make_unique<RoundRobin>(view, random.Next());
    case LbPolicy::kRandom:
      return std::make_unique<RandomChoice>(view, random);
    case LbPolicy::kPeakEwma:
      return std::make_unique<PeakEwma>(view, random);
    case LbPolicy::kRingHash:
      return std::make_unique<RingHash>(view, random);
    case LbPolicy::kMaglev:
      return std::make_unique<Maglev>(view, random);
    case LbPolicy::kSticky:
      return std::make_unique<Sticky>(view, random);
  }
  std::abort();  // not an enumerator
}

ClusterPicker::ClusterPicker(std::shared_ptr<const Cluster> cluster, uint64_t seed,
                             std::vector<Instant> ready_since)
    : cluster_(std::move(cluster)),
      ready_since_(std::move(ready_since)),
      view_{*cluster_, weights_},
      split_random_(~seed) {
  for (uint32_t i = 0; i < cluster_->endpoints.size(); ++i) {
    weights_.push_back(static_cast<float>(std::max(cluster_->endpoints[i].weight, 1u)));
    switch (cluster_->endpoints[i].health) {
      case EndpointHealth::kHealthy:
        healthy_.push_back(i);
        if (cluster_->split) {
          const bool fresh = cluster_->endpoints[i].revision == cluster_->split->revision;
          (fresh ? split_healthy_ : rest_healthy_).push_back(i);
        }
        break;
      case EndpointHealth::kSuspect:
        suspect_.push_back(i);
        break;
      case EndpointHealth::kDraining:
        break;
    }
  }
  if (cluster_->slow_start > Millis{0}) {
    for (const Instant since : ready_since_) {
      slow_until_ = std::max(slow_until_, since + cluster_->slow_start);
    }
  }
  policy_ = MakePolicy(view_, FastRandom(seed));
}

void ClusterPicker::GrowWeights(Instant now) {
  using Seconds = std::chrono::duration<float>;
  for (size_t i = 0; i < ready_since_.size(); ++i) {
    const float share = Seconds(now - ready_since_[i]) / Seconds(cluster_->slow_start);
    weights_[i] = static_cast<float>(std::max(cluster_->endpoints[i].weight, 1u)) *
                  std::clamp(share, kFirstShare, 1.0f);
  }
  if (now >= slow_until_) slow_until_ = Instant{};
}

bool ClusterPicker::IsFull(uint32_t index, const Context& context) const {
  return context.slots > 0 && cluster_->endpoints[index].counters->slots_taken.load(
                                  std::memory_order_relaxed) >= context.slots;
}

ClusterPicker::Picked ClusterPicker::ChooseFree(std::span<const uint32_t> candidates,
                                                const Context& context) {
  const uint32_t chosen = Choose(candidates, context);
  if (!IsFull(chosen, context)) return {.index = chosen};
  if (policy_->Binds(chosen, {context.hash, context.now})) {
    return {.index = std::nullopt, .full = true, .bound = true};
  }
  free_.clear();
  for (const uint32_t index : candidates) {
    if (!IsFull(index, context)) free_.push_back(index);
  }
  if (free_.empty()) return {.index = std::nullopt, .full = true};
  return {.index = Choose(free_, context)};
}

ClusterPicker::Picked ClusterPicker::PickSide(const std::vector<uint32_t>& side,
                                              const Context& context) {
  if (side.empty()) return {};
  if (context.exclude.empty() && context.avoid.empty()) return ChooseFree(side, context);
  tier_.clear();
  for (const uint32_t index : side) {
    if (!context.avoid.empty() && context.avoid[index] != 0) continue;
    const EndpointCounters* counters = cluster_->endpoints[index].counters.get();
    if (std::ranges::find(context.exclude, counters) != context.exclude.end()) continue;
    tier_.push_back(index);
  }
  return tier_.empty() ? Picked{} : ChooseFree(tier_, context);
}

ClusterPicker::Picked ClusterPicker::PickSplit(const Context& context) {
  const uint32_t percent = cluster_->split->percent;
  uint32_t drawn = 0;
  if (!context.hash) {
    drawn = static_cast<uint32_t>(split_random_.Below(100));
  } else if (cluster_->lb_policy == LbPolicy::kSticky) {
    drawn = 99;  // who has an instance stays with it until all move
  } else {
    drawn = PercentOf(*context.hash);
  }
  if (drawn < percent) {
    const Picked picked = PickSide(split_healthy_, context);
    if (picked.index.has_value()) return picked;
  }
  return PickSide(rest_healthy_, context);
}

ClusterPicker::Picked ClusterPicker::Pick(const Context& context) {
  if (slow_until_ != Instant{}) GrowWeights(context.now);
  if (cluster_->split) {
    const Picked picked = PickSplit(context);
    if (picked.index.has_value() || picked.full) return picked;
  }
  if (context.exclude.empty() && context.avoid.empty()) {
    if (!healthy_.empty()) return ChooseFree(healthy_, context);
    if (!suspect_.empty()) return ChooseFree(suspect_, context);
    return {};
  }
  const Picked picked = PickExcept(context.exclude, context);
  if (picked.index.has_value() || picked.full || context.spare == 0) return picked;
  return PickExcept(context.exclude.first(context.exclude.size() - context.spare), context);
}

ClusterPicker::Picked ClusterPicker::PickExcept(std::span<const EndpointCounters* const> exclude,
                                                const Context& context) {
  for (const bool avoided : {false, true}) {
    for (const std::vector<uint32_t>* each : {&healthy_, &suspect_}) {
      tier_.clear();
      for (const uint32_t index : *each) {
        const bool is_avoided = !context.avoid.empty() && context.avoid[index] != 0;
        if (is_avoided != avoided) continue;
        const EndpointCounters* counters = cluster_->endpoints[index].counters.get();
        if (std::ranges::find(exclude, counters) != exclude.end()) continue;
        tier_.push_back(index);
      }
      if (!tier_.empty()) return ChooseFree(tier_, context);
    }
  }
  return {};
}

}  // namespace pando::proxy
