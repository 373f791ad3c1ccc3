// Which instance gets a request.
//
// A Policy answers one question: which of these candidates. A ClusterPicker asks it with the right
// candidates: never a draining endpoint, never one tried before, a doubtful one only when no better
// is left, none that has all it may have in hand. Both belong to one worker and one table, so they
// need no locks.
//
// Where the cluster says that a revision gets a share of the requests, each is first drawn for one
// side, by its key if it has one. Who was drawn for the rest waits for its turn there, rather than
// that more requests than meant go to the revision; who was drawn for the revision does not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/time.h"
#include "proxy/core/random.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

struct PolicyRequest {
  std::optional<uint64_t> hash;  // of what the route says; with kSticky the id in the cookie
  Instant now{};
};

// What policies look at: the cluster, and each endpoint's weight as it is now.
struct PolicyView {
  const Cluster& cluster;
  const std::vector<float>& weights;  // more than 0
};

class Policy {
 public:
  virtual ~Policy() = default;
  // One of `candidates`, which are ascending indices into the cluster's endpoints; never called
  // without any.
  virtual uint32_t Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) = 0;
  // Whether the request is for that one alone, as long as it is a candidate: it waits rather than
  // go elsewhere.
  virtual bool Binds(uint32_t /*chosen*/, const PolicyRequest& /*request*/) const { return false; }
};

// `view` outlives the policy.
std::unique_ptr<Policy> MakePolicy(const PolicyView& view, FastRandom random);

class ClusterPicker {
 public:
  // `seed` differs between workers, or each new table would send all of them to endpoint 0 first.
  // `ready_since`, per endpoint, is for slow start; without it none is new.
  ClusterPicker(std::shared_ptr<const Cluster> cluster, uint64_t seed,
                std::vector<Instant> ready_since = {});
  ClusterPicker(const ClusterPicker&) = delete;
  ClusterPicker& operator=(const ClusterPicker&) = delete;

  struct Context {
    std::span<const EndpointCounters* const> exclude;  // tried by this request already
    std::span<const uint8_t> avoid;  // per endpoint, for what is known of it; may be empty
    std::optional<uint64_t> hash;
    Instant now{};
    uint32_t slots = 0;  // an endpoint with that many taken is full; 0: never
    size_t spare = 0;    // the last so many of `exclude` are taken after all if no other is left
  };
  struct Picked {
    std::optional<uint32_t> index;  // into the cluster's endpoints; null: none may be used
    bool full = false;              // for now: those that may be used are all full
    bool bound = false;             // it is for a full one alone, whatever room others have
  };
  Picked Pick(const Context& context);

 private:
  void GrowWeights(Instant now);
  // Neither an index nor full: all are candidates.
  Picked PickSplit(const Context& context);
  Picked PickSide(const std::vector<uint32_t>& side, const Context& context);
  bool IsFull(uint32_t index, const Context& context) const;
  uint32_t Choose(std::span<const uint32_t> candidates, const Context& context) {
    return policy_->Choose(candidates, {context.hash, context.now});
  }
  Picked PickExcept(std::span<const EndpointCounters* const> exclude, const Context& context);
  // Among the free ones of `candidates`.
  Picked ChooseFree(std::span<const uint32_t> candidates, const Context& context);

  std::shared_ptr<const Cluster> cluster_;
  std::vector<float> weights_;
  std::vector<Instant> ready_since_;
  Instant slow_until_{};  // all weights are whole from then on
  PolicyView view_;
  std::unique_ptr<Policy> policy_;
  std::vector<uint32_t> healthy_;
  std::vector<uint32_t> suspect_;
  std::vector<uint32_t> split_healthy_;  // of the split's revision
  std::vector<uint32_t> rest_healthy_;   // of the others
  FastRandom split_random_;
  std::vector<uint32_t> tier_;
  std::vector<uint32_t> free_;
};

}  // namespace pando::proxy
