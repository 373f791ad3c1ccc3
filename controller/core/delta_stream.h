// One xDS subscriber's state on a delta (incremental) ADS stream, as a pure function of what it
// asked and what was published. Rules and their sources: docs/protocol.md and the xDS protocol text
// (delta: names or "*", initial_resource_versions, one answer in flight per type, ACK by nonce).
//
// Order (make before break): CDS, EDS, LDS, RDS; additions of a type wait until the earlier types
// have nothing unacknowledged; removals of CDS and EDS wait until LDS and RDS have nothing unsent or
// unacknowledged. A newer content replaces an unsent older one: at most one response per type is in
// flight, so a slow proxy skips versions instead of queueing them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pando::controller {

enum class ResourceType { kCluster, kEndpoints, kListener, kRoute };  // in pushing order
inline constexpr std::array kResourceTypes = {ResourceType::kCluster, ResourceType::kEndpoints,
                                              ResourceType::kListener, ResourceType::kRoute};

struct ResourceBody {
  std::string version;     // content hash
  std::string any_bytes;   // serialized google.protobuf.Any
  uint64_t generation = 0;  // of the UpstreamTable it was made from; 0 for other types
  bool operator==(const ResourceBody&) const = default;
};

// What is published, shared by all streams. Not thread-safe: lives on the owner loop.
class ResourceSet {
 public:
  // False when the content (version) is what it was; the generation is updated all the same.
  bool Put(ResourceType type, const std::string& name, ResourceBody body);
  bool Remove(ResourceType type, const std::string& name);
  std::shared_ptr<const ResourceBody> Find(ResourceType type, const std::string& name) const;
  const std::map<std::string, std::shared_ptr<const ResourceBody>>& all(ResourceType type) const;

 private:
  std::array<std::map<std::string, std::shared_ptr<const ResourceBody>>, 4> resources_;
};

struct DeltaRequest {
  ResourceType type = ResourceType::kCluster;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string> initial_versions;
  std::string response_nonce;  // empty: not an answer
  std::optional<std::string> error;  // NACK
};

struct DeltaResponse {
  ResourceType type = ResourceType::kCluster;
  std::string nonce;
  struct Item {
    std::string name;
    std::shared_ptr<const ResourceBody> body;
  };
  std::vector<Item> resources;
  std::vector<std::string> removed;
};

// What a request told us.
struct DeltaProgress {
  // Endpoint resources the client now runs: name -> generation (kEndpoints only).
  std::vector<std::pair<std::string, uint64_t>> acked_endpoints;
  std::optional<std::string> nack;  // "<type>: <client's message>"
};

class DeltaStream {
 public:
  // `max_response_bytes`: larger answers are split (clients limit a message to 4 MiB).
  explicit DeltaStream(const ResourceSet& resources, size_t max_response_bytes = 1 << 20);

  DeltaProgress OnRequest(const DeltaRequest& request);
  // Responses to send now; empty when all is sent or must wait for an ACK.
  std::vector<DeltaResponse> TakeResponses();
  // Endpoint resources whose current content the client already runs although the generation
  // moved on (equal content, or it came with initial_versions): to be reported as acknowledged.
  std::vector<std::pair<std::string, uint64_t>> TakeCaughtUp();

 private:
  struct TypeState {
    bool wildcard = false;
    bool seen = false;                            // any request of this type came
    std::set<std::string> names;                  // explicit subscriptions
    std::map<std::string, std::string> sent;      // name -> version the client has or was sent
    std::map<std::string, std::string> refused;   // name -> version that was NACKed: not sent again
    std::set<std::string> resend;                 // subscribed again: send even if unchanged
    std::string in_flight_nonce;                  // empty: nothing in flight
    std::vector<std::pair<std::string, uint64_t>> in_flight;  // name, generation
    std::map<std::string, std::string> in_flight_versions;
    std::map<std::string, uint64_t> acked_generation;
  };

  const ResourceSet& resources_;
  size_t max_response_bytes_;
  uint64_t next_nonce_ = 1;
  std::array<TypeState, 4> types_;
};

}  // namespace pando::controller
