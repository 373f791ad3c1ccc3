#include "proxy/control/xds_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/runtime/log.h"
#include "common/runtime/version.h"
#include "proxy/control/xds_decode.h"

namespace pando::proxy {
namespace {

constexpr BackoffPolicy kReconnect{.initial = Millis{100}, .ceiling = Millis{2'000}};
constexpr int kKeepaliveMs = 2'000;
constexpr int kMaxMessageBytes = 64 << 20;  // a server of another make may not split

absl::StatusOr<XdsUpdate> ToUpdate(
    const envoy::service::discovery::v3::DeltaDiscoveryResponse& from, XdsType type) {
  XdsUpdate update;
  update.type = type;
  update.nonce = from.nonce();
  for (const auto& resource : from.resources()) {
    XdsResource value{resource.version(), resource.resource().SerializeAsString()};
    if (!update.resources.emplace(resource.name(), std::move(value)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("resource ", resource.name(), " is there twice"));
    }
  }
  update.removed.assign(from.removed_resources().begin(), from.removed_resources().end());
  return update;
}

google::protobuf::Struct& PandoMetadata(envoy::config::core::v3::Node& node) {
  return *(*node.mutable_metadata()->mutable_fields())["pando"].mutable_struct_value();
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeControllerChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // http_proxy is for the world outside
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

envoy::config::core::v3::Node MakeNode(const std::string& id) {
  envoy::config::core::v3::Node node;
  node.set_id(id);
  node.set_cluster("pando");
  node.set_user_agent_name("pando-proxy");
  node.set_user_agent_version(std::string(Version()));
  node.add_client_features("envoy.lrs.supports_send_all_clusters");
  return node;
}

envoy::config::core::v3::Node MakeSuccessorNode(const std::string& id,
                                                const std::string& predecessor) {
  envoy::config::core::v3::Node node = MakeNode(id);
  (*PandoMetadata(node).mutable_fields())["predecessor"].set_string_value(predecessor);
  return node;
}

XdsClient::XdsClient(Executor& loop, std::shared_ptr<grpc::Channel> channel,
                     envoy::config::core::v3::Node node, std::string controller,
                     TableUpdater& updater)
    : loop_(loop),
      channel_(std::move(channel)),
      stub_(envoy::service::discovery::v3::AggregatedDiscoveryService::NewStub(channel_)),
      node_(std::move(node)),
      controller_(std::move(controller)),
      updater_(updater) {}

XdsClient::~XdsClient() = default;

void XdsClient::Start() { Connect(); }

void XdsClient::Reconnect(envoy::config::core::v3::Node node) {
  node_ = std::move(node);
  stream_.reset();
  link_ = Link::kUnknown;
  updater_.OnDisconnected();
  Connect();
}

void XdsClient::Leave(std::function<void()> left) {
  left_ = std::move(left);
  if (link_ == Link::kDown) return left_();
  SayDue();
}

void XdsClient::SayEnded(const std::string& predecessor) {
  ended_ = predecessor;
  SayDue();
}

void XdsClient::SayDue() {
  if (link_ != Link::kUp) return;
  const auto say = [this](const char* name, const google::protobuf::Value& value) {
    Request& message = outbox_.emplace_back();
    message.set_type_url(TypeUrl(XdsType::kCluster));
    *message.mutable_node() = node_;
    (*PandoMetadata(*message.mutable_node()).mutable_fields())[name] = value;
  };
  google::protobuf::Value value;
  if (!ended_.empty()) {
    value.set_string_value(std::exchange(ended_, {}));
    say("ended", value);
  }
  if (left_) {
    value.set_bool_value(true);
    say("leaving", value);
  }
  WriteNext();
}

void XdsClient::Connect() {
  ++connects_;
  outbox_.clear();
  said_node_ = false;
  stream_ = std::make_unique<ClientStream<Request, Response>>(
      loop_,
      ClientStream<Request, Response>::Events{
          .on_response = [this](const Response& response) { OnResponse(response); },
          .on_written = [this] { OnWritten(); },
          .on_end = [this](const grpc::Status& status) { OnEnd(status); }},
      [this](grpc::ClientContext* context, auto* reactor) {
        stub_->async()->DeltaAggregatedResources(context, reactor);
      });
  updater_.OnConnected();
}

void XdsClient::Send(const XdsRequest& request) {
  Request& message = outbox_.emplace_back();
  message.set_type_url(TypeUrl(request.type));
  for (const std::string& name : request.subscribe) message.add_resource_names_subscribe(name);
  for (const std::string& name : request.unsubscribe) {
    message.add_resource_names_unsubscribe(name);
  }
  for (const auto& [name, version] : request.initial_versions) {
    (*message.mutable_initial_resource_versions())[name] = version;
  }
  message.set_response_nonce(request.response_nonce);
  if (request.error) {
    message.mutable_error_detail()->set_code(grpc::StatusCode::INVALID_ARGUMENT);
    message.mutable_error_detail()->set_message(*request.error);
  }
  WriteNext();
}

void XdsClient::WriteNext() {
  if (stream_ == nullptr || stream_->writing() || outbox_.empty()) return;
  Request message = std::move(outbox_.front());
  outbox_.pop_front();
  if (!std::exchange(said_node_, true)) *message.mutable_node() = node_;
  stream_->Write(std::move(message));
}

void XdsClient::OnWritten() {
  if (link_ != Link::kUp) {
    LogInfo("controller connected", {{"controller", controller_}});
    up_since_ = loop_.Now();
  }
  const bool came_up = std::exchange(link_, Link::kUp) != Link::kUp;
  if (came_up) SayDue();
  WriteNext();
}

void XdsClient::OnResponse(const Response& response) {
  attempt_ = 0;
  const std::optional<XdsType> type = ParseTypeUrl(response.type_url());
  if (!type) {
    LogWarn("response of an unknown type ignored", {{"type", response.type_url()}});
    return;
  }
  absl::StatusOr<XdsUpdate> update = ToUpdate(response, *type);
  if (!update.ok()) {
    XdsUpdate refused;
    refused.type = *type;
    refused.nonce = response.nonce();
    updater_.Refuse(refused, update.status());
    return;
  }
  updater_.OnUpdate(*update);
}

void XdsClient::OnEnd(const grpc::Status& status) {
  if (link_ != Link::kDown && !left_) {
    LogWarn(link_ == Link::kUp ? "controller lost" : "controller unreachable",
            {{"controller", controller_},
             {"error", status.ok() ? "it ended the stream" : status.error_message()}});
  }
  // A stream that held for a while was a good one even if there was nothing to say on it.
  if (link_ == Link::kUp && loop_.Now() - up_since_ > kReconnect.ceiling) attempt_ = 0;
  link_ = Link::kDown;
  stream_.reset();
  updater_.OnDisconnected();
  if (left_) return left_();
  const double unit = static_cast<double>(random_()) / std::mt19937::max();
  loop_.RunAfter(Backoff(kReconnect, attempt_++, unit),
                 [this, alive = std::weak_ptr(alive_), connects = connects_] {
                   if (!alive.expired() && connects == connects_) Connect();
                 });
}

}  // namespace pando::proxy
