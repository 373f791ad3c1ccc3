#include "controller/spec/choices.h"

#include <algorithm>
#include <iterator>

namespace pando::controller {
namespace {

// In the order of PolicyNames().
constexpr v1::LoadBalancing::Policy kPolicies[] = {
    v1::LoadBalancing::LEAST_REQUEST, v1::LoadBalancing::ROUND_ROBIN, v1::LoadBalancing::RANDOM,
    v1::LoadBalancing::PEAK_EWMA,     v1::LoadBalancing::RING_HASH,   v1::LoadBalancing::MAGLEV,
    v1::LoadBalancing::STICKY};

}  // namespace

const std::vector<std::string>& PolicyNames() {
  static const auto& names = *new std::vector<std::string>{
      "least_request", "round_robin", "random", "peak_ewma", "ring_hash", "maglev", "sticky"};
  return names;
}

v1::LoadBalancing::Policy PolicyAt(size_t index) { return kPolicies[index]; }

const std::string& PolicyName(v1::LoadBalancing::Policy policy) {
  const auto* const found = std::find(std::begin(kPolicies), std::end(kPolicies), policy);
  // A spec without a policy has the default one.
  return PolicyNames()[found == std::end(kPolicies) ? 0 : found - std::begin(kPolicies)];
}

const std::vector<std::string>& SignalNames() {
  static const auto& names = *new std::vector<std::string>{
      "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"};
  return names;
}

}  // namespace pando::controller
