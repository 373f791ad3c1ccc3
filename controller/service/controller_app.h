// The controller's parts, wired: store, control loop, services, one gRPC server and one HTTP
// server.
#pragma once

#include <grpcpp/server.h>

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "common/runtime/admin_http.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/event_loop.h"
#include "common/runtime/metrics.h"
#include "controller/service/admin_service.h"
#include "controller/service/agent_service.h"
#include "controller/service/artifact_service.h"
#include "controller/service/artifact_sources.h"
#include "controller/service/artifact_store.h"
#include "controller/service/cluster_metrics.h"
#include "controller/service/control_loop.h"
#include "controller/service/controller_options.h"
#include "controller/service/load_service.h"
#include "controller/service/loop_stream.h"
#include "controller/service/observations.h"
#include "controller/service/store_thread.h"
#include "controller/service/xds_service.h"

namespace pando::controller {

class ControllerApp {
 public:
  // Opens the store, reads the state, listens. Errors are one line, for people.
  static absl::StatusOr<std::unique_ptr<ControllerApp>> Create(const ControllerOptions& options);
  ~ControllerApp();
  ControllerApp(const ControllerApp&) = delete;
  ControllerApp& operator=(const ControllerApp&) = delete;

  // Serves until RequestStop (or a fatal error, which it returns), then ends all streams and joins
  // all threads: in less than two seconds. Once.
  absl::Status Run();
  // Thread-safe; the first reason counts.
  void RequestStop(const absl::Status& reason = absl::OkStatus());

  EventLoop& loop() { return loop_; }
  uint16_t grpc_port() const { return static_cast<uint16_t>(grpc_port_); }
  uint16_t http_port() const { return http_.port(); }

 private:
  // What the store had, and the artifacts beside it.
  struct Kept {
    LoadedState state;
    std::vector<v1::EventRecord> events;
    std::vector<v1::AnswerRecord> answers;
    std::unique_ptr<ArtifactStore> artifacts;
  };
  ControllerApp(std::unique_ptr<DataDir> data_dir, std::unique_ptr<Store> store, Kept kept,
                const ControllerOptions& options);
  absl::Status Listen(const ControllerOptions& options);
  void Shutdown();
  void AddPages();
  void KeepHistory();
  void CollectArtifacts(Millis grace);

  EventLoop loop_;
  Metrics metrics_;
  std::unique_ptr<DataDir> data_dir_;
  StoreThread store_;
  ControlLoop control_;
  // By who is at the other end.
  struct Streams {
    OpenStreams agents, xds, load, admin;
    void CloseAll();
  } streams_;
  Observations observations_;
  AgentService agents_;
  XdsService xds_;
  LoadService load_;
  std::unique_ptr<ArtifactStore> artifacts_;
  ArtifactCollector collector_;
  ArtifactService artifact_transfers_;
  AdminService admin_;
  std::shared_ptr<ClusterMetrics> cluster_metrics_;
  AdminHttp http_;
  int grpc_port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::once_flag stop_once_;
  std::promise<absl::Status> stop_reason_;
};

}  // namespace pando::controller
