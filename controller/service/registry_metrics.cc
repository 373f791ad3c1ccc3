#include "controller/service/registry_metrics.h"

namespace pando::controller {

using prometheus::MetricType;

const MetricDefinition kEventsTotal{
    "pando_events_total", MetricType::Counter, "Events of the timeline by kind", {"kind"}};
const MetricDefinition kOrdersSentTotal{
    "pando_orders_sent_total", MetricType::Counter, "Orders messages sent to agents", {}};
const MetricDefinition kXdsPushesTotal{"pando_xds_pushes_total",
                                       MetricType::Counter,
                                       "xDS responses sent to proxies by resource type",
                                       {"type"}};
const MetricDefinition kXdsNacksTotal{
    "pando_xds_nacks_total", MetricType::Counter, "xDS responses that proxies refused", {}};
const MetricDefinition kStoreCommitSeconds{
    "pando_store_commit_seconds", MetricType::Histogram, "Time of one commit of the store", {}};

std::vector<MetricDefinition> RegistryMetrics() {
  return {kEventsTotal, kOrdersSentTotal, kXdsPushesTotal, kXdsNacksTotal, kStoreCommitSeconds};
}

}  // namespace pando::controller
