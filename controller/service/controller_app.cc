#include "controller/service/controller_app.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"
#include "controller/core/node_lease.h"
#include "controller/service/registry_metrics.h"
#include "controller/store/sqlite_store.h"

namespace pando::controller {
namespace {

constexpr char kStoreFile[] = "pando.db";
constexpr char kArtifactsDir[] = "artifacts";
constexpr Millis kCollectInterval{60'000};
// A hello or an ADS request of a proxy with thousands of resources is larger than gRPC's 4 MiB.
constexpr int kMaxReceiveBytes = 16 << 20;
// A peer that vanished without a word is found within these two.
constexpr int kKeepaliveMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 5'000;
constexpr std::chrono::milliseconds kShutdownGrace{1'000};

Cluster::Random NewRandom() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  return [generator = std::mt19937_64(seed)]() mutable { return generator(); };
}

prometheus::Histogram& CommitSeconds(Metrics& metrics) {
  return AddHistogram(metrics, kStoreCommitSeconds,
                      {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0});
}

uint64_t StoreBytes(const std::string& file) {
  uint64_t bytes = 0;
  for (const char* suffix : {"", "-wal"}) {
    std::error_code error;
    const uintmax_t size = std::filesystem::file_size(file + suffix, error);
    if (!error) bytes += size;
  }
  return bytes;
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

// gRPC does not say why it could not listen.
std::string WhyNotListening(const HostPort& address) {
  boost::system::error_code error;
  boost::asio::io_context io;
  const auto ip = boost::asio::ip::make_address(
      address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error) return "not a numeric address";
  boost::asio::ip::tcp::acceptor acceptor(io);
  const boost::asio::ip::tcp::endpoint endpoint(ip, address.port);
  acceptor.open(endpoint.protocol(), error);
  acceptor.set_option(boost::asio::socket_base::reuse_address(true), error);
  acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1, error);
  if (!error || error == boost::asio::error::address_in_use) {
    return "address already in use (another program has it; choose another with --listen)";
  }
  return error.message();
}

// Its own lines go to stderr in a format of their own; ours say what matters.
void QuietGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args* args) {
    LogDebug("grpc", {{"message", args->message}});
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControllerApp>> ControllerApp::Create(
    const ControllerOptions& options) {
  QuietGrpcLog();
  PANDO_ASSIGN_OR_RETURN(std::unique_ptr<DataDir> data_dir, DataDir::Open(options.data_dir));
  PANDO_ASSIGN_OR_RETURN(std::unique_ptr<SqliteStore> store,
                         SqliteStore::Open(data_dir->File(kStoreFile)));
  Kept kept;
  PANDO_ASSIGN_OR_RETURN(kept.state, LoadState(*store));
  PANDO_ASSIGN_OR_RETURN(kept.events, LoadEvents(*store, kMaxEvents));
  PANDO_ASSIGN_OR_RETURN(kept.answers, LoadAnswers(*store));
  PANDO_ASSIGN_OR_RETURN(kept.artifacts, ArtifactStore::Open(data_dir->File(kArtifactsDir)));
  std::unique_ptr<ControllerApp> app(
      new ControllerApp(std::move(data_dir), std::move(store), std::move(kept), options));
  PANDO_RETURN_IF_ERROR(app->Listen(options));
  return app;
}

ControllerApp::ControllerApp(std::unique_ptr<DataDir> data_dir, std::unique_ptr<Store> store,
                             Kept kept, const ControllerOptions& options)
    : metrics_("pando-controller", options.data_dir),
      data_dir_(std::move(data_dir)),
      store_(std::move(store), loop_, CommitSeconds(metrics_),
             [this](const absl::Status& error) { RequestStop(error); }),
      control_(loop_, store_, options.policy, std::move(kept.state), std::move(kept.events),
               NewRandom(), metrics_),
      observations_(HostName()),
      agents_(control_, streams_.agents, observations_, metrics_,
              HeartbeatInterval(options.policy.suspect_after)),
      xds_(control_, streams_.xds, observations_, metrics_),
      load_(control_, streams_.load, observations_),
      artifacts_(std::move(kept.artifacts)),
      collector_(*artifacts_),
      artifact_transfers_(*artifacts_, metrics_),
      admin_(control_, streams_.admin, agents_, observations_, *artifacts_, kept.answers),
      cluster_metrics_(std::make_shared<ClusterMetrics>(
          ClusterMetrics::Parts{control_, observations_, loop_,
                                [file = data_dir_->File(kStoreFile)] { return StoreBytes(file); },
                                [this]() -> std::map<std::string, size_t> {
                                  return {{"agent", streams_.agents.size()},
                                          {"xds", streams_.xds.size()},
                                          {"load", streams_.load.size()},
                                          {"admin", streams_.admin.size()}};
                                },
                                [this] { return artifacts_->totals(); }})),
      http_(loop_, metrics_) {
  metrics_.AddCollectable(cluster_metrics_);
  AddPages();
}

void ControllerApp::AddPages() {
  http_.Handle("/healthz", [this]() -> AdminResponse {
    if (store_.healthy()) return {.status = 200, .body = "ok\n"};
    return {.status = 503, .body = "the store does not answer\n"};
  });
  const auto json = [](std::string body) {
    return AdminResponse{.content_type = "application/json", .body = std::move(body)};
  };
  http_.Handle("/sd/prometheus", [this, json] {
    return json(observations_.targets.Daemons(control_.cluster(), loop_.Now()));
  });
  http_.Handle("/sd/prometheus/apps",
               [this, json] { return json(ScrapeTargets::Apps(control_.cluster())); });
}

ControllerApp::~ControllerApp() = default;

void ControllerApp::Streams::CloseAll() {
  for (OpenStreams* streams : {&agents, &xds, &load, &admin}) streams->CloseAll();
}

void ControllerApp::KeepHistory() {
  loop_.RunAfter(LoadBook::kHistoryStep, [this] {
    observations_.load.Tick(loop_.Now());
    KeepHistory();
  });
}

void ControllerApp::CollectArtifacts(Millis grace) {
  // Often enough that a short grace is kept to the half of it.
  loop_.RunAfter(std::min(kCollectInterval, grace / 2 + Millis{1}), [this, grace] {
    collector_.Collect(control_.cluster(), loop_.WallNow() - grace);
    CollectArtifacts(grace);
  });
}

absl::Status ControllerApp::Listen(const ControllerOptions& options) {
  store_.Start();
  control_.Start({
      .orders = [this](const NodeId& node,
                       v1::Orders orders) { agents_.SendOrders(node, std::move(orders)); },
      .table = [this](const UpstreamTable& table) { xds_.PublishTable(table); },
      .table_removed = [this](const AppId& app) { xds_.RemoveTable(app); },
      .routing = [this](const RoutingConfig& routing) { xds_.PublishRouting(routing); },
  });
  PANDO_RETURN_IF_ERROR(http_.Listen(options.http_listen.ToString(), "--http-listen"));
  observations_.targets.SetOwn(http_.address());
  KeepHistory();
  CollectArtifacts(options.artifact_grace);

  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen.ToString(), grpc::InsecureServerCredentials(),
                           &grpc_port_);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.RegisterService(&admin_);
  builder.RegisterService(&agents_);
  builder.RegisterService(&xds_);
  builder.RegisterService(&load_);
  builder.RegisterService(&artifact_transfers_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || grpc_port_ == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen.ToString(), ": ",
                                               WhyNotListening(options.listen)));
  }
  LogInfo("controller listens",
          {{"grpc", HostPort{options.listen.host, grpc_port()}.ToString()},
           {"http", HostPort{options.http_listen.host, http_port()}.ToString()},
           {"cluster", control_.cluster_id()},
           {"term", absl::StrCat(control_.term())}});
  return absl::OkStatus();
}

absl::Status ControllerApp::Run() {
  std::thread loop_thread([this] { loop_.Run(); });
  const absl::Status reason = stop_reason_.get_future().get();
  Shutdown();
  loop_.Stop();
  loop_thread.join();
  return reason;
}

void ControllerApp::RequestStop(const absl::Status& reason) {
  std::call_once(stop_once_, [&] { stop_reason_.set_value(reason); });
}

void ControllerApp::Shutdown() {
  LogInfo("controller stops");
  // The loop still runs: it answers the open calls, without which the server cannot end.
  loop_.Post([this] {
    control_.Stop();
    streams_.CloseAll();
  });
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server_->Wait();
  store_.Stop();
}

}  // namespace pando::controller
