// Which instance gets a request.
//
// A Policy answers one question: which of these candidates. A ClusterPicker asks it with the right
// candidates: never a draining endpoint, never one tried before, a doubtful one only when no better
// is left. Both belong to one worker and one table, so they need no locks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxy/core/random.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

class Policy {
 public:
  virtual ~Policy() = default;
  // One of `candidates`, which are indices into the cluster's endpoints; never called without any.
  virtual uint32_t Choose(std::span<const uint32_t> candidates) = 0;
};

std::unique_ptr<Policy> MakePolicy(const Cluster& cluster, FastRandom random);

class ClusterPicker {
 public:
  // `seed` differs between workers, or each new table would send all of them to endpoint 0 first.
  ClusterPicker(std::shared_ptr<const Cluster> cluster, uint64_t seed);

  struct Context {
    std::span<const EndpointCounters* const> exclude;  // tried by this request already
    std::span<const uint8_t> avoid;  // per endpoint, by this worker's own evidence; may be empty
  };
  // Index into the cluster's endpoints, or nullopt when none may be used.
  std::optional<uint32_t> Pick(const Context& context);

 private:
  std::shared_ptr<const Cluster> cluster_;
  std::unique_ptr<Policy> policy_;
  std::vector<uint32_t> healthy_;
  std::vector<uint32_t> suspect_;
  std::vector<uint32_t> scratch_;
};

}  // namespace pando::proxy
