// A controller that says what a test tells it to: an Admin service in this process, on a free port
// of loopback. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "pando/v1/admin.grpc.pb.h"

namespace pando::ctl {

class FakeAdmin final : public v1::Admin::Service {
 public:
  // Port 0 takes a free one.
  explicit FakeAdmin(int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeAdmin() override { StopServer(); }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // As a controller that dies: streams break.
  void StopServer() {
    if (server_ == nullptr) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  // -- the script --
  void FailAll(grpc::Status status) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(status);
  }
  // The next call, once, after it was noted.
  void FailOnce(grpc::Status status) {
    const std::lock_guard lock(mutex_);
    failure_once_ = std::move(status);
  }
  void AnswerApply(const v1::ApplyResponse& response) {
    const std::lock_guard lock(mutex_);
    apply_ = response;
  }
  void AnswerHistory(const v1::HistoryResponse& response) {
    const std::lock_guard lock(mutex_);
    history_ = response;
  }
  void AnswerChange(const v1::ChangeResponse& response) {
    const std::lock_guard lock(mutex_);
    change_ = response;
  }
  // What GetCluster says, and what WatchCluster says one after another; the last one stays.
  void ShowViews(std::vector<v1::ClusterView> views) {
    const std::lock_guard lock(mutex_);
    views_ = std::move(views);
  }
  void ShowLoad(v1::LoadView load) {
    const std::lock_guard lock(mutex_);
    load_ = std::move(load);
  }
  void SayEvents(std::vector<v1::Event> events) {
    const std::lock_guard lock(mutex_);
    events_ = std::move(events);
  }
  // What the streams of events to come say each, and how they end.
  void PlanEventStreams(std::deque<std::pair<std::vector<v1::Event>, grpc::Status>> streams) {
    const std::lock_guard lock(mutex_);
    event_streams_ = std::move(streams);
  }
  void SayLogs(std::vector<v1::LogEntry> logs) {
    const std::lock_guard lock(mutex_);
    logs_ = std::move(logs);
  }

  // Of every call that had one, and who asked.
  std::vector<std::string> request_ids() {
    const std::lock_guard lock(mutex_);
    return request_ids_;
  }
  std::string by() {
    const std::lock_guard lock(mutex_);
    return by_;
  }
  // What was asked, one line per call, without these: "Scale app: \"web\" replicas: 8".
  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  void AwaitCall(const std::string& start) {
    std::unique_lock lock(mutex_);
    called_.wait_for(lock, std::chrono::seconds(20), [&] {
      return std::any_of(calls_.begin(), calls_.end(),
                         [&](const std::string& call) { return call.rfind(start, 0) == 0; });
    });
  }

 private:
  using Context = grpc::ServerContext;

  template <class Request>
  grpc::Status Note(const char* method, Request request) {
    const std::lock_guard lock(mutex_);
    if constexpr (requires { request.mutable_options(); }) {
      v1::ChangeOptions& options = *request.mutable_options();
      if (!options.request_id().empty()) request_ids_.push_back(options.request_id());
      if (!options.by().empty()) by_ = options.by();
      options.clear_request_id();
      options.clear_by();
      if (options.ByteSizeLong() == 0) request.clear_options();
    }
    std::string call = absl::StrCat(method, " ", request.ShortDebugString());
    while (call.back() == ' ') call.pop_back();
    calls_.push_back(std::move(call));
    called_.notify_all();
    if (!failure_once_.ok()) return std::exchange(failure_once_, grpc::Status::OK);
    return failure_;
  }
  template <class Request>
  grpc::Status Change(const char* method, const Request& request, v1::ChangeResponse* response) {
    if (grpc::Status status = Note(method, request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    *response = change_;
    return grpc::Status::OK;
  }

  grpc::Status Apply(Context*, const v1::ApplyRequest* request,
                     v1::ApplyResponse* response) override {
    if (grpc::Status status = Note("Apply", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    *response = apply_;
    return grpc::Status::OK;
  }
  grpc::Status Scale(Context*, const v1::ScaleRequest* request,
                     v1::ChangeResponse* response) override {
    return Change("Scale", *request, response);
  }
  grpc::Status Stop(Context*, const v1::AppRequest* request,
                    v1::ChangeResponse* response) override {
    return Change("Stop", *request, response);
  }
  grpc::Status Start(Context*, const v1::AppRequest* request,
                     v1::ChangeResponse* response) override {
    return Change("Start", *request, response);
  }
  grpc::Status Restart(Context*, const v1::AppRequest* request,
                       v1::ChangeResponse* response) override {
    return Change("Restart", *request, response);
  }
  grpc::Status Remove(Context*, const v1::AppRequest* request,
                      v1::ChangeResponse* response) override {
    return Change("Remove", *request, response);
  }
  grpc::Status Undo(Context*, const v1::UndoRequest* request,
                    v1::ChangeResponse* response) override {
    return Change("Undo", *request, response);
  }
  grpc::Status Pause(Context*, const v1::PauseRequest* request,
                     v1::ChangeResponse* response) override {
    return Change("Pause", *request, response);
  }
  grpc::Status Promote(Context*, const v1::PromoteRequest* request,
                       v1::ChangeResponse* response) override {
    return Change("Promote", *request, response);
  }
  grpc::Status History(Context*, const v1::AppRequest* request,
                       v1::HistoryResponse* response) override {
    if (grpc::Status status = Note("History", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    *response = history_;
    return grpc::Status::OK;
  }
  grpc::Status RemoveGateway(Context*, const v1::GatewayRequest* request,
                             v1::GatewayResponse*) override {
    return Note("RemoveGateway", *request);
  }
  grpc::Status Cordon(Context*, const v1::CordonRequest* request, v1::CordonResponse*) override {
    return Note("Cordon", *request);
  }
  grpc::Status Unfreeze(Context*, const v1::UnfreezeRequest* request,
                        v1::UnfreezeResponse*) override {
    return Note("Unfreeze", *request);
  }
  grpc::Status Drain(Context*, const v1::DrainRequest* request,
                     v1::DrainResponse* response) override {
    response->set_node(request->node());
    response->set_instances(2);
    return Note("Drain", *request);
  }
  grpc::Status Rebalance(Context*, const v1::RebalanceRequest* request,
                         v1::RebalanceResponse* response) override {
    v1::RebalanceResponse::Move& move = *response->add_moves();
    move.set_instance("web.3");
    move.set_from("node-1");
    move.set_to("node-2");
    move.set_reason("better spread");
    response->set_at_once(4);
    return Note("Rebalance", *request);
  }
  grpc::Status Why(Context*, const v1::WhyRequest* request, v1::WhyResponse* response) override {
    response->add_lines(request->target() + " is pending: no node has joined");
    response->add_logs_of("web.3");
    return Note("Why", *request);
  }
  grpc::Status GetCluster(Context*, const v1::ClusterRequest* request,
                          v1::ClusterView* response) override {
    if (grpc::Status status = Note("GetCluster", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    if (!views_.empty()) *response = views_.back();
    return grpc::Status::OK;
  }
  grpc::Status WatchCluster(Context* context, const v1::ClusterRequest* request,
                            grpc::ServerWriter<v1::ClusterView>* writer) override {
    if (grpc::Status status = Note("WatchCluster", *request); !status.ok()) return status;
    std::vector<v1::ClusterView> views;
    {
      const std::lock_guard lock(mutex_);
      views = views_;
    }
    for (const v1::ClusterView& view : views) writer->Write(view);
    std::unique_lock lock(mutex_);
    while (!stopping_ && !context->IsCancelled()) {
      // Cancellation has no callback in the synchronous API.
      stopped_.wait_for(lock, std::chrono::milliseconds(10), [this] { return stopping_; });
    }
    return grpc::Status::OK;
  }
  grpc::Status Events(Context*, const v1::EventsRequest* request,
                      grpc::ServerWriter<v1::Event>* writer) override {
    if (grpc::Status status = Note("Events", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    for (const v1::Event& event : events_) writer->Write(event);
    if (event_streams_.empty()) return grpc::Status::OK;
    auto [events, end] = std::move(event_streams_.front());
    event_streams_.pop_front();
    for (const v1::Event& event : events) writer->Write(event);
    return end;
  }
  grpc::Status Logs(Context*, const v1::LogsRequest* request,
                    grpc::ServerWriter<v1::LogEntry>* writer) override {
    if (grpc::Status status = Note("Logs", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    for (const v1::LogEntry& entry : logs_) writer->Write(entry);
    return grpc::Status::OK;
  }
  grpc::Status GetLoad(Context*, const v1::LoadRequest* request, v1::LoadView* response) override {
    if (grpc::Status status = Note("GetLoad", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    *response = load_;
    return grpc::Status::OK;
  }
  grpc::Status GetSpec(Context*, const v1::AppRequest* request,
                       v1::SpecResponse* response) override {
    response->set_yaml("name: web\ncommand: [node, server.js]\n");
    return Note("GetSpec", *request);
  }
  grpc::Status Version(Context*, const v1::VersionRequest* request,
                       v1::VersionResponse* response) override {
    response->set_version("9.9.9");
    response->set_cluster_id("c1");
    return Note("Version", *request);
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;  // guards what follows; std: see ctl/client.cc
  std::condition_variable called_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  grpc::Status failure_;
  grpc::Status failure_once_;
  v1::ApplyResponse apply_;
  v1::ChangeResponse change_;
  v1::HistoryResponse history_;
  std::vector<v1::ClusterView> views_;
  v1::LoadView load_;
  std::vector<v1::Event> events_;
  std::deque<std::pair<std::vector<v1::Event>, grpc::Status>> event_streams_;
  std::vector<v1::LogEntry> logs_;
  std::vector<std::string> calls_;
  std::vector<std::string> request_ids_;
  std::string by_;
};

}  // namespace pando::ctl
