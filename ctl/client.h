// The Admin API of one controller. Calls block; thread-safe. Errors carry a message for people:
// kUnavailable when the controller cannot be reached, kDeadlineExceeded when it does not answer in
// time, otherwise what the controller said (see admin.proto).
//
// Calls that change something carry an id of their own: when the connection breaks before the
// answer is there, they are repeated for as long as connecting may take, and done once all the
// same.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

// WatchCluster, kept up: reconnects by itself until destroyed.
class ClusterWatch {
 public:
  virtual ~ClusterWatch() = default;

  struct Nothing {};  // no news within the time
  struct Lost {       // the stream broke; said once until views come again
    absl::Status status;
  };
  using News = std::variant<Nothing, v1::ClusterView, Lost, absl::Status>;
  // The newest view not seen yet, or what happened; waits at most until `deadline`. An absl::Status
  // (kNotFound, kPermissionDenied, ...) is an answer of the controller: the watch is over.
  virtual News Next(Instant deadline) = 0;
};

struct ClientOptions {
  std::string controller = "127.0.0.1:7400";
  Millis connect_timeout{5'000};
  Millis call_timeout{30'000};
  std::string by{};  // who asks, for the timeline
};

// A packed directory, to be uploaded.
struct ArtifactFile {
  std::string path;
  std::string digest;  // 64 hex digits
  uint64_t bytes = 0;
};
// Called whenever more of it is with the controller: how much of the whole there is now.
using UploadProgress = std::function<void(uint64_t bytes)>;

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();

  const std::string& controller() const { return options_.controller; }

  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request);
  absl::StatusOr<v1::ChangeResponse> Scale(const v1::ScaleRequest& request);
  absl::StatusOr<v1::ChangeResponse> Stop(const v1::AppRequest& request);
  absl::StatusOr<v1::ChangeResponse> Start(const v1::AppRequest& request);
  absl::StatusOr<v1::ChangeResponse> Restart(const v1::AppRequest& request);
  absl::StatusOr<v1::ChangeResponse> Remove(const v1::AppRequest& request);
  absl::StatusOr<v1::ChangeResponse> Undo(const v1::UndoRequest& request);
  absl::StatusOr<v1::ChangeResponse> Pause(const v1::PauseRequest& request);
  absl::StatusOr<v1::ChangeResponse> Promote(const v1::PromoteRequest& request);
  absl::StatusOr<v1::HistoryResponse> History(const v1::AppRequest& request);
  absl::Status RemoveGateway(const v1::GatewayRequest& request);
  absl::Status Cordon(const v1::CordonRequest& request);
  absl::Status Unfreeze();
  absl::StatusOr<v1::DrainResponse> Drain(const v1::DrainRequest& request);
  absl::StatusOr<v1::RebalanceResponse> Rebalance(const v1::RebalanceRequest& request);
  absl::StatusOr<v1::WhyResponse> Why(const v1::WhyRequest& request);
  absl::StatusOr<v1::ClusterView> GetCluster(const v1::ClusterRequest& request);
  absl::StatusOr<v1::LoadView> GetLoad(const v1::LoadRequest& request);
  absl::StatusOr<v1::SpecResponse> GetSpec(const v1::AppRequest& request);
  absl::StatusOr<v1::VersionResponse> Version();

  // Blocks for as long as it takes; goes on by itself when the connection is cut for a while, and
  // where an earlier upload of the same file ended.
  absl::Status UploadArtifact(const ArtifactFile& file, const UploadProgress& progress);

  // Call `each` for every message until the stream ends (OK) or breaks.
  // As Events, and goes on with new ones, over restarts of the controller too: each event once.
  // `lost` runs whenever the controller went away. Ends by an error only.
  absl::Status FollowEvents(v1::EventsRequest request,
                            const std::function<void(const v1::Event&)>& each,
                            const std::function<void()>& lost);
  absl::Status Events(const v1::EventsRequest& request,
                      const std::function<void(const v1::Event&)>& each);
  absl::Status Logs(const v1::LogsRequest& request,
                    const std::function<void(const v1::LogEntry&)>& each);

  // Waits for nothing: connecting is part of watching. Outlived by the client.
  std::unique_ptr<ClusterWatch> Watch(const v1::ClusterRequest& request);

 private:
  class Connection;
  ClientOptions options_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace pando::ctl
