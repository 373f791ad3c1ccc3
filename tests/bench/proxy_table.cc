// Writes the table a proxy without a controller starts with: one listener, one app, its instances.
//   proxy_table FILE LISTEN_PORT INSTANCE_PORT...
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/runtime/data_dir.h"
#include "proxy/control/table_file.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

XdsSnapshot Table(uint32_t listen_port, const std::vector<uint32_t>& instance_ports) {
  xds_endpoint::ClusterLoadAssignment endpoints;
  endpoints.set_cluster_name("web");
  for (size_t i = 0; i < instance_ports.size(); ++i) {
    AddEndpoint(endpoints, "127.0.0.1", instance_ports[i], xds_core::HEALTHY,
                absl::StrCat("web.", i + 1, "-bench"));
  }
  XdsSnapshot snapshot;
  snapshot.of(XdsType::kCluster)["web"] = {"1", AnyBytes(GoodCluster())};
  snapshot.of(XdsType::kEndpoints)["web"] = {"1", AnyBytes(endpoints)};
  snapshot.of(XdsType::kListener)["default"] = {"1",
                                                AnyBytes(GoodListener("default", listen_port))};
  snapshot.of(XdsType::kRoute)["default"] = {"1", AnyBytes(GoodRoutes())};
  return snapshot;
}

int Main(int argc, char** argv) {
  std::vector<uint32_t> ports;
  for (int i = 2; i < argc; ++i) {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(argv[i], &port) || port == 0 || port > 65'535) {
      std::fprintf(stderr, "proxy_table: %s is not a port\n", argv[i]);
      return 2;
    }
    ports.push_back(port);
  }
  if (ports.size() < 2) {
    std::fprintf(stderr, "usage: proxy_table FILE LISTEN_PORT INSTANCE_PORT...\n");
    return 2;
  }
  const std::string bytes = SerializeSnapshot(Table(ports[0], {ports.begin() + 1, ports.end()}));
  const absl::Status written = WriteFileAtomically(argv[1], bytes);
  if (!written.ok()) std::fprintf(stderr, "proxy_table: %s\n", written.ToString().c_str());
  return written.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace pando::proxy

int main(int argc, char** argv) { return pando::proxy::Main(argc, argv); }
