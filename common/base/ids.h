// Ids that cannot be mixed up: a NodeId is not an AppId, though both are strings.
#pragma once

#include <compare>
#include <string>
#include <utility>

namespace pando {

template <class Tag>
struct Id {
  std::string value;

  auto operator<=>(const Id&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
  bool empty() const { return value.empty(); }

  template <typename H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.value);
  }
};

using AppId = Id<struct AppTag>;                // the app's name: "web"
using NodeId = Id<struct NodeTag>;              // the host's name: "node-1"
using ProxyId = Id<struct ProxyTag>;            // the proxy's name: "edge-1"
using AssignmentId = Id<struct AssignmentTag>;  // one placement of one slot: "web.3-k7f2q9xa"

}  // namespace pando
