// What a control plane may send: the first byte chooses the type, the rest is its serialized Any.
// Whatever is accepted must also make a table.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <string>
#include <utility>

#include "proxy/control/table_file.h"
#include "proxy/control/xds_decode.h"
#include "proxy/core/table_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pando::proxy;
  // It would say of every input what is wrong with it.
  [[maybe_unused]] static auto* const before = google::protobuf::SetLogHandler(nullptr);
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  // The names that the corpus uses: a resource must have the name it was sent under.
  TableBuilder builder;
  switch (data[0]) {
    case 'c':
      if (auto cluster = DecodeCluster("web", bytes); cluster.ok()) {
        builder.SetCluster(*std::move(cluster));
      }
      break;
    case 'e':
      if (auto endpoints = DecodeEndpoints("web", bytes); endpoints.ok()) {
        ClusterSpec cluster;
        cluster.name = cluster.endpoints_name = "web";
        builder.SetCluster(std::move(cluster));
        builder.SetEndpoints("web", *std::move(endpoints));
      }
      break;
    case 'l':
      if (auto listener = DecodeListener("default", bytes); listener.ok()) {
        builder.SetListener(*std::move(listener));
      }
      break;
    case 'r':
      if (auto routes = DecodeRoutes("default", bytes); routes.ok()) {
        builder.SetRoutes(*std::move(routes));
      }
      break;
    default:
      (void)ParseSnapshot(bytes);
  }
  builder.Build(1, [](const Listener&) { return true; });
  return 0;
}
