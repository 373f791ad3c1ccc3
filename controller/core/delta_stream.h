// One xDS subscriber's state on a delta (incremental) ADS stream, as a pure function of what it
// asked and what was published. Rules and their sources: docs/protocol.md and the xDS protocol text
// (delta: names or "*", initial_resource_versions, one answer in flight per type, ACK by nonce).
//
// Order (make before break): CDS, EDS, LDS, RDS. An update waits until the earlier types have
// nothing unacknowledged; of EDS only the first content of a name counts for LDS and RDS, so that
// endpoints which never stand still do not hold up routes. Removals: of CDS and EDS only once LDS
// and RDS have nothing unsent or unacknowledged, of RDS once LDS has not. What a returning client
// brought along (initial_versions) is removed only after it has also told its LDS and RDS state:
// it may still route to it. A newer content replaces an unsent older one: at most one response per
// type is in flight, so a slow proxy skips versions instead of queueing them.
//
// Endpoints of a cluster that exists are never reported as removed: while they are not published
// (a controller that has just started does not know them yet) the client keeps what it has.
// So publish what is stored (clusters, listeners, routes) before the first request is handled.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pando::controller {

enum class ResourceType { kCluster, kEndpoints, kListener, kRoute };  // in pushing order
inline constexpr std::array kResourceTypes = {ResourceType::kCluster, ResourceType::kEndpoints,
                                              ResourceType::kListener, ResourceType::kRoute};

struct ResourceBody {
  std::string version;      // content hash
  std::string any_bytes;    // serialized google.protobuf.Any
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
  // Grows with every change of a version or a generation.
  uint64_t revision() const { return revision_; }

 private:
  std::array<std::map<std::string, std::shared_ptr<const ResourceBody>>, 4> resources_;
  uint64_t revision_ = 1;
};

struct DeltaRequest {
  ResourceType type = ResourceType::kCluster;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string> initial_versions;
  std::string response_nonce;        // empty: not an answer
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
  bool nack_over = false;  // all it had refused is by now replaced by what it accepts, or removed
};

// `resources` is read at every call and outlives the stream. Not thread-safe: owner loop.
class DeltaStream {
 public:
  // `max_response_bytes`: larger answers are split (clients limit a message to 4 MiB); the next
  // part follows the ACK of the one before.
  explicit DeltaStream(const ResourceSet& resources, size_t max_response_bytes = 1 << 20);

  DeltaProgress OnRequest(const DeltaRequest& request);
  // Responses to send now; empty when all is sent or must wait for an ACK. Call after OnRequest
  // and after the set changed; cheap when neither happened.
  std::vector<DeltaResponse> TakeResponses();
  // Endpoint resources whose current content the client already runs although the generation
  // moved on (equal content, or it came with initial_versions): to be reported as acknowledged.
  std::vector<std::pair<std::string, uint64_t>> TakeCaughtUp();

 private:
  struct SentContent {
    std::string version;
    uint64_t generation = 0;
  };
  struct TypeState {
    bool wildcard = false;
    bool seen = false;                           // any request of this type came
    std::set<std::string> names;                 // explicit subscriptions
    std::map<std::string, std::string> has;      // name -> version the client runs
    std::set<std::string> brought;               // names in `has` from initial_versions
    std::map<std::string, std::string> refused;  // name -> version that was NACKed
    std::set<std::string> resend;                // asked for: answer even if nothing changed
    std::string in_flight_nonce;                 // empty: nothing in flight
    std::map<std::string, SentContent> in_flight;
    std::vector<std::string> in_flight_removed;
    std::map<std::string, uint64_t> reported;  // name -> generation reported as acknowledged

    bool Subscribed(const std::string& name) const { return wildcard || names.contains(name); }
    bool InFlight() const { return !in_flight_nonce.empty(); }
    void Forget(const std::string& name);
  };

  TypeState& state(ResourceType type) { return types_[static_cast<size_t>(type)]; }
  const TypeState& state(ResourceType type) const { return types_[static_cast<size_t>(type)]; }

  void OnAnswer(const DeltaRequest& request, TypeState& state, DeltaProgress& progress);
  void Subscribe(const DeltaRequest& request, TypeState& state);
  void Unsubscribe(const DeltaRequest& request, TypeState& state);
  std::optional<DeltaResponse> NextResponse(ResourceType type);
  void AddUpdates(ResourceType type, DeltaResponse& response);
  void AddUnknown(ResourceType type, DeltaResponse& response);
  void AddRemovals(ResourceType type, DeltaResponse& response);

  bool NeedsUpdate(ResourceType type, const std::string& name, const ResourceBody& body) const;
  std::vector<DeltaResponse::Item> Updates(ResourceType type) const;
  bool AnyUpdate(ResourceType type) const;
  bool Gone(ResourceType type, const std::string& name) const;
  std::set<std::string> GoneNames(ResourceType type) const;
  bool FirstEndpointsUnsettled() const;
  bool RunsOlderThanRefused(ResourceType type) const;
  bool AnyRefused() const;
  bool Settled(ResourceType type) const;
  bool MayUpdate(ResourceType type) const;
  bool MayRemove(ResourceType type) const;
  bool RoutesTold() const;

  const ResourceSet& resources_;
  size_t max_response_bytes_;
  uint64_t next_nonce_ = 1;
  std::array<TypeState, 4> types_;
  bool nack_stands_ = false;  // told by a progress, and not taken back by another yet
  // Clusters sent on this stream whose endpoints were not sent since: Envoy keeps a changed
  // cluster warming until its endpoints come, changed or not.
  std::set<std::string> warming_;
  // Revision of the set at the last look; 0 after a request.
  uint64_t responses_looked_at_ = 0;
  uint64_t caught_up_looked_at_ = 0;
};

}  // namespace pando::controller
