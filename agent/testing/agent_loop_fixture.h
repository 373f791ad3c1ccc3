// An agent's loop with real shims and real processes, without a controller; and what it told.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/agent_loop.h"
#include "agent/cgroup.h"
#include "agent/log_reader.h"
#include "agent/testing/test_harness.h"

namespace pando::agent {

class AgentLoopTest : public testing::Test {
 protected:
  using Status = v1::InstanceStatus;

  AgentLoopTest() : thread_([this] { loop_.Run(); }) { StartAgent(); }

  ~AgentLoopTest() override {
    StopEverything();
    loop_.Stop();
    thread_.join();
    EXPECT_TRUE(Eventually([&] { return ProcessesWith(temp_.path()).empty(); }));
    for (pid_t pid : seen_pids_) EXPECT_FALSE(IsAlive(pid)) << pid;
  }

  // Whatever happened in the test: nothing is left running.
  void StopEverything() {
    if (!agent_) return;
    std::promise<void> stopped;
    OnLoop([&] { agent_->StopInstances([&] { stopped.set_value(); }); });
    EXPECT_EQ(stopped.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
    StopAgent();
  }

  void StartAgent() {
    OnLoop([this] {
      data_dir_ = *DataDir::Open(temp_.path() + "/data");
      state_.emplace(*AgentState::Load(*data_dir_));
      agent_ = std::make_unique<AgentLoop>(
          loop_, agent_metrics_, *state_,
          LauncherConfig{ShimPath(), "node-1", ports_, groups_.get()},
          AgentLoop::Uplink{.status = [this](Status status) { OnStatus(std::move(status)); },
                            .gone =
                                [this](const std::string& id) {
                                  const std::lock_guard lock(mutex_);
                                  latest_.erase(id);
                                  gone_.insert(id);
                                },
                            .closing = [](const std::string&) {}},
          /*seed=*/1);
      agent_->Start();
    });
  }

  // As kill -9 of the agent would, as far as the instances are concerned.
  void StopAgent() {
    OnLoop([this] {
      agent_.reset();
      state_.reset();
      data_dir_.reset();
    });
    const std::lock_guard lock(mutex_);
    latest_.clear();
    history_.clear();
  }

  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  absl::Status SetOrders(const v1::Orders& orders) {
    absl::Status status;
    OnLoop([&] { status = agent_->SetOrders(orders); });
    return status;
  }

  void OnStatus(Status status) {
    const std::lock_guard lock(mutex_);
    if (status.pid() != 0) seen_pids_.insert(static_cast<pid_t>(status.pid()));
    history_.push_back(status);
    latest_[status.assignment_id()] = std::move(status);
  }

  // Waits until the newest status of the assignment fits.
  Status Await(const std::function<bool(const Status&)>& fits, const std::string& id = "web-1") {
    Status found;
    EXPECT_TRUE(Eventually([&] {
      const std::lock_guard lock(mutex_);
      const auto it = latest_.find(id);
      if (it != latest_.end()) found = it->second;
      return it != latest_.end() && fits(it->second);
    })) << "last: "
        << found.ShortDebugString();
    return found;
  }
  Status AwaitPhase(Status::Phase phase, const std::string& id = "web-1") {
    return Await([phase](const Status& status) { return status.phase() == phase; }, id);
  }
  Status AwaitReady(uint32_t incarnation) {
    return Await([incarnation](const Status& status) {
      return status.phase() == Status::READY && status.incarnation() == incarnation;
    });
  }
  void AwaitGone(const std::string& id = "web-1") {
    EXPECT_TRUE(Eventually([&] {
      const std::lock_guard lock(mutex_);
      return gone_.contains(id);
    }));
  }
  std::vector<Status> History() {
    const std::lock_guard lock(mutex_);
    return history_;
  }
  // What was told of the assignment first since the agent was started.
  Status FirstTold(const std::string& id = "web-1") {
    std::optional<Status> first;
    EXPECT_TRUE(Eventually([&] {
      for (const Status& status : History()) {
        if (!first && status.assignment_id() == id) first = status;
      }
      return first.has_value();
    }));
    return first.value_or(Status());
  }

  std::string Dir(const std::string& id = "web-1") const {
    return temp_.path() + "/data/instances/" + id;
  }
  std::vector<std::string> Log(const std::string& id = "web-1") const {
    std::vector<std::string> lines;
    for (const LogLine& line : LogReader(Dir(id), 1'000).Read(1'000, 1 << 20)) {
      lines.push_back((line.is_stderr ? "e " : "o ") + line.text);
    }
    return lines;
  }
  pid_t ShimPid(const std::string& id = "web-1") const {
    return InstanceDir(Dir(id)).ReadRun()->shim.pid;
  }

  TempDir temp_;
  std::unique_ptr<CgroupTree> groups_;  // none unless a test makes one
  PortRange ports_ = PortsOfThisProcess();
  Metrics metrics_{"agent_test"};
  AgentMetrics agent_metrics_{metrics_};
  EventLoop loop_;
  std::unique_ptr<DataDir> data_dir_;
  std::optional<AgentState> state_;
  std::unique_ptr<AgentLoop> agent_;
  std::mutex mutex_;
  std::map<std::string, Status> latest_;
  std::vector<Status> history_;
  std::set<std::string> gone_;
  std::set<pid_t> seen_pids_;
  std::thread thread_;
};

}  // namespace pando::agent
