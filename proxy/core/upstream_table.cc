#include "proxy/core/upstream_table.h"

#include "absl/strings/str_cat.h"

namespace pando::proxy {

std::string InstanceName(const Endpoint& endpoint) {
  if (!endpoint.instance.empty()) return endpoint.instance;
  return absl::StrCat(endpoint.address, ":", endpoint.port);
}

std::shared_ptr<EndpointCounters> EndpointRegistry::Get(const std::string& cluster,
                                                        const std::string& address, uint16_t port) {
  std::weak_ptr<EndpointCounters>& entry =
      counters_[absl::StrCat(cluster, " ", address, " ", port)];
  std::shared_ptr<EndpointCounters> counters = entry.lock();
  if (counters == nullptr) {
    counters = std::make_shared<EndpointCounters>();
    entry = counters;
  }
  return counters;
}

void EndpointRegistry::Sweep() {
  std::erase_if(counters_, [](const auto& entry) { return entry.second.expired(); });
}

}  // namespace pando::proxy
