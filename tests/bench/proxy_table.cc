// Writes the table a proxy without a controller starts with: listeners for HTTP and HTTPS, one app,
// its instance.
//   proxy_table FILE LISTEN_PORT INSTANCE_PORT [TLS_PORT CERTIFICATE KEY]
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "common/runtime/data_dir.h"
#include "proxy/control/table_file.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

xds_listener::Listener TlsListener(uint32_t port, const char* certificate, const char* key) {
  xds_tls::DownstreamTlsContext context;
  auto& files = *context.mutable_common_tls_context()->add_tls_certificates();
  files.mutable_certificate_chain()->set_filename(certificate);
  files.mutable_private_key()->set_filename(key);
  xds_listener::Listener listener = GoodListener("tls", port);
  auto& socket = *listener.mutable_filter_chains(0)->mutable_transport_socket();
  socket.set_name("envoy.transport_sockets.tls");
  *socket.mutable_typed_config() = Pack(context);
  return listener;
}

XdsSnapshot Table(uint32_t listen_port, uint32_t instance_port) {
  xds_endpoint::ClusterLoadAssignment endpoints;
  endpoints.set_cluster_name("web");
  AddEndpoint(endpoints, "127.0.0.1", instance_port, xds_core::HEALTHY, "web.1-bench");
  XdsSnapshot snapshot;
  snapshot.of(XdsType::kCluster)["web"] = {"1", AnyBytes(GoodCluster())};
  snapshot.of(XdsType::kEndpoints)["web"] = {"1", AnyBytes(endpoints)};
  snapshot.of(XdsType::kListener)["default"] = {"1",
                                                AnyBytes(GoodListener("default", listen_port))};
  snapshot.of(XdsType::kRoute)["default"] = {"1", AnyBytes(GoodRoutes())};
  return snapshot;
}

// 0: not a port.
uint32_t ToPort(const char* text) {
  uint32_t port = 0;
  if (absl::SimpleAtoi(text, &port) && port > 0 && port <= 65'535) return port;
  std::fprintf(stderr, "proxy_table: %s is not a port\n", text);
  return 0;
}

int Main(int argc, char** argv) {
  if (argc != 4 && argc != 7) {
    std::fprintf(stderr,
                 "usage: proxy_table FILE LISTEN_PORT INSTANCE_PORT [TLS_PORT CERTIFICATE KEY]\n");
    return 2;
  }
  const uint32_t listen_port = ToPort(argv[2]);
  const uint32_t instance_port = ToPort(argv[3]);
  if (listen_port == 0 || instance_port == 0) return 2;
  XdsSnapshot table = Table(listen_port, instance_port);
  if (argc == 7) {
    const uint32_t tls_port = ToPort(argv[4]);
    if (tls_port == 0) return 2;
    const xds_listener::Listener listener = TlsListener(tls_port, argv[5], argv[6]);
    table.of(XdsType::kListener)["tls"] = {"1", AnyBytes(listener)};
  }
  const absl::Status written = WriteFileAtomically(argv[1], SerializeSnapshot(table));
  if (!written.ok()) std::fprintf(stderr, "proxy_table: %s\n", written.ToString().c_str());
  return written.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace pando::proxy

int main(int argc, char** argv) { return pando::proxy::Main(argc, argv); }
