// The delta ADS stream to the controller: opens it, reconnects, translates messages; what they mean
// is decided in TableUpdater. Logs one line when the controller is lost and one when it is back.
#pragma once

#include <grpcpp/channel.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "common/base/backoff.h"
#include "common/runtime/executor.h"
#include "envoy/config/core/v3/core.pb.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"
#include "proxy/control/client_stream.h"
#include "proxy/control/table_updater.h"

namespace pando::proxy {

// A channel that notices a dead peer within seconds and comes back within two.
std::shared_ptr<grpc::Channel> MakeControllerChannel(const std::string& address);
envoy::config::core::v3::Node MakeNode(const std::string& id);
// The node of a proxy that took over from another process which still has requests, under the id
// `predecessor`: until that one comes forward itself, the controller has to count on it.
envoy::config::core::v3::Node MakeSuccessorNode(const std::string& id,
                                                const std::string& predecessor);

class XdsClient {
 public:
  // `loop` and `updater` outlive it. `controller` is for the log.
  XdsClient(Executor& loop, std::shared_ptr<grpc::Channel> channel,
            envoy::config::core::v3::Node node, std::string controller, TableUpdater& updater);
  ~XdsClient();

  void Start();
  void Send(const XdsRequest& request);  // TableUpdater's hook
  // What this proxy calls itself from the next stream on; Reconnect: at once.
  void SetNode(envoy::config::core::v3::Node node) { node_ = std::move(node); }
  void Reconnect(envoy::config::core::v3::Node node);
  // Says that this proxy will have no more requests, so that nobody waits for it; `left` is called
  // when the controller knows, or at once when it cannot be told.
  void Leave(std::function<void()> left);
  // The process this one succeeded has ended: nobody needs to wait for it either.
  void SayEnded(const std::string& predecessor);
  bool connected() const { return link_ == Link::kUp; }

 private:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;
  enum class Link { kUnknown, kUp, kDown };

  void Connect();
  void OnResponse(const Response& response);
  void OnWritten();
  void OnEnd(const grpc::Status& status);
  void WriteNext();
  void SayDue();

  Executor& loop_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<envoy::service::discovery::v3::AggregatedDiscoveryService::Stub> stub_;
  envoy::config::core::v3::Node node_;
  const std::string controller_;
  TableUpdater& updater_;
  std::unique_ptr<ClientStream<Request, Response>> stream_;
  std::deque<Request> outbox_;
  bool said_node_ = false;  // on this stream
  uint64_t connects_ = 0;   // outdates a reconnect that was planned before another
  std::function<void()> left_;
  std::string ended_;  // to be said
  Link link_ = Link::kUnknown;
  Instant up_since_{};
  int attempt_ = 0;  // since the last response
  std::mt19937 random_{std::random_device{}()};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pando::proxy
