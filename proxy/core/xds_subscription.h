// The client's side of one delta ADS stream, without the stream: what is subscribed, what the last
// good resources are, and which requests say so. Pure; the owner decodes responses and decides
// whether they are good.
//
//   OnConnected -> requests to open the stream with
//   response    -> decode; bad: Nack. Good: Accept, then Want for what it names, then - once the
//                  data plane runs it - Ack. So a new cluster's endpoints are subscribed before the
//                  cluster is acknowledged, and a server that waits for ACKs never routes to a
//                  cluster without endpoints.
//
// Clusters and listeners are subscribed by wildcard. Endpoints and routes live as long as a cluster
// or listener names them: a server's "removed" does not take them away (as in Envoy).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pando::proxy {

enum class XdsType { kCluster, kEndpoints, kListener, kRoute };  // in the order they are asked for
inline constexpr std::array kXdsTypes = {XdsType::kCluster, XdsType::kEndpoints, XdsType::kListener,
                                         XdsType::kRoute};

struct XdsResource {
  std::string version;
  std::string any_bytes;  // serialized google.protobuf.Any
  bool operator==(const XdsResource&) const = default;
};

using XdsResources = std::map<std::string, XdsResource>;

// The last good resources of every type, by name.
struct XdsSnapshot {
  std::array<XdsResources, kXdsTypes.size()> types;
  XdsResources& of(XdsType type) { return types[static_cast<size_t>(type)]; }
  const XdsResources& of(XdsType type) const { return types[static_cast<size_t>(type)]; }
  bool operator==(const XdsSnapshot&) const = default;
};

struct XdsUpdate {
  XdsType type = XdsType::kCluster;
  std::string nonce;
  XdsResources resources;
  std::vector<std::string> removed;
};

struct XdsRequest {
  XdsType type = XdsType::kCluster;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string> initial_versions;
  std::string response_nonce;        // empty: not an answer
  std::optional<std::string> error;  // NACK
  bool operator==(const XdsRequest&) const = default;
};

// Which response an ACK belongs to: nonces mean nothing on another stream.
struct XdsReceipt {
  uint64_t stream = 0;
  XdsType type = XdsType::kCluster;
  std::string nonce;
};

class XdsSubscription {
 public:
  // Drops what is no longer named by a cluster or listener, and subscribes what is: `endpoints`
  // and `routes` are the names wanted. The requests, empty while disconnected, are to be sent now.
  std::vector<XdsRequest> Want(std::set<std::string> endpoints, std::set<std::string> routes);
  bool Wanted(XdsType type, const std::string& name) const;

  std::vector<XdsRequest> OnConnected();
  void OnDisconnected();

  // `update` was found good: its resources are the last good ones now. Ignores names not wanted.
  XdsReceipt Accept(const XdsUpdate& update);
  // nullopt: the stream is another one by now.
  std::optional<XdsRequest> Ack(const XdsReceipt& receipt) const;
  static XdsRequest Nack(const XdsUpdate& update, std::string reason);

  // From a file, before the first connection.
  void Restore(XdsSnapshot snapshot) { snapshot_ = std::move(snapshot); }
  const XdsSnapshot& snapshot() const { return snapshot_; }

 private:
  struct NamedType {
    std::set<std::string> wanted;
    bool asked = false;  // on this stream
  };

  std::optional<XdsRequest> WantNames(XdsType type, std::set<std::string> names);
  std::optional<XdsRequest> FirstRequest(XdsType type);
  NamedType& named(XdsType type) { return type == XdsType::kEndpoints ? endpoints_ : routes_; }

  XdsSnapshot snapshot_;
  NamedType endpoints_;
  NamedType routes_;
  bool connected_ = false;
  uint64_t stream_ = 0;
};

}  // namespace pando::proxy
