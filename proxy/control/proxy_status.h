// What a running proxy shows of itself: pages for people and metrics for Prometheus.
#pragma once

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <vector>

#include "common/runtime/admin_http.h"
#include "proxy/control/table_updater.h"
#include "proxy/control/xds_client.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

// Borrowed; used on the loop that owns them.
struct ProxyParts {
  const TableUpdater& updater;
  const XdsClient& client;
  const DataPlane& data_plane;
  const bool& draining;
};

// /table and /stats as JSON; /healthz, which is 503 while draining.
void AddProxyPages(AdminHttp& http, ProxyParts parts);

// Read at scrape time, on the loop. Labels: `app` is the cluster's name.
class ProxyMetrics final : public prometheus::Collectable {
 public:
  explicit ProxyMetrics(ProxyParts parts) : parts_(parts) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ProxyParts parts_;
};

}  // namespace pando::proxy
