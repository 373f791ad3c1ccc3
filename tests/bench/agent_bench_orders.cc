#include "tests/bench/agent_bench_orders.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/agent_loop.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

using Clock = std::chrono::steady_clock;

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "agent_bench: %s\n", value.status().ToString().c_str());
  std::exit(1);
}

v1::Orders MakeOrders(const std::vector<std::string>& command, const std::string& id) {
  v1::Orders orders;
  orders.set_term(1);
  orders.set_cluster_id("bench");
  if (id.empty()) return orders;
  v1::Revision& revision = *orders.add_revisions();
  revision.set_app("web");
  revision.set_revision(1);
  v1::AppSpec& spec = *revision.mutable_spec();
  for (const std::string& word : command) spec.add_command(word);
  spec.mutable_health()->set_kind(v1::HealthCheck::TCP);
  spec.mutable_health()->set_interval_ms(60'000);
  spec.mutable_health()->set_startup_ms(60'000);
  spec.mutable_stop()->set_signal("SIGTERM");
  spec.mutable_stop()->set_grace_ms(10'000);
  v1::Assignment& assignment = *orders.add_assignments();
  assignment.set_id(id);
  assignment.set_app("web");
  assignment.set_slot(1);
  assignment.set_revision(1);
  return orders;
}

class Loop {
 public:
  Loop(const LauncherConfig& config, const std::string& dir)
      : data_dir_(OrDie(DataDir::Open(dir))),
        state_(OrDie(AgentState::Load(*data_dir_))),
        thread_([this] { loop_.Run(); }) {
    OnLoop([&] {
      agent_.emplace(loop_, metrics_, state_, config,
                     AgentLoop::Uplink{
                         .status = [this](const v1::InstanceStatus& status) { OnStatus(status); },
                         .gone = [this](const std::string&) { gone_.set_value(); },
                         .closing = [](const std::string&) {}},
                     /*seed=*/1);
      agent_->Start();
    });
  }
  ~Loop() {
    OnLoop([this] { agent_.reset(); });
    loop_.Stop();
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Clock::duration StartAndStop(const std::vector<std::string>& command, const std::string& id) {
    runs_.emplace();
    gone_ = {};
    std::future<Clock::time_point> runs = runs_->get_future();
    const auto begin = Clock::now();
    Set(MakeOrders(command, id));
    const auto took = runs.get() - begin;
    Set(MakeOrders(command, ""));
    gone_.get_future().wait();
    return took;
  }

 private:
  void OnStatus(const v1::InstanceStatus& status) {
    if (status.pid() == 0 || !runs_) return;
    runs_->set_value(Clock::now());
    runs_.reset();
  }

  void Set(v1::Orders orders) {
    orders.set_version(++version_);
    OnLoop([&] {
      if (!agent_->SetOrders(orders).ok()) std::abort();
    });
  }

  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  EventLoop loop_;
  Metrics registry_{"agent_bench"};
  AgentMetrics metrics_{registry_};
  std::unique_ptr<DataDir> data_dir_;
  AgentState state_;
  std::optional<AgentLoop> agent_;
  std::optional<std::promise<Clock::time_point>> runs_;  // not told yet; on the loop once ordered
  std::promise<void> gone_;
  uint64_t version_ = 0;
  std::thread thread_;
};

}  // namespace

std::vector<double> MeasureOrders(const LauncherConfig& config,
                                  const std::vector<std::string>& command, const std::string& dir,
                                  int count) {
  Loop loop(config, dir);
  std::vector<double> millis;
  for (int i = 0; i < count; ++i) {
    const auto took = loop.StartAndStop(command, absl::StrCat("order-", i));
    millis.push_back(std::chrono::duration<double, std::milli>(took).count());
  }
  return millis;
}

}  // namespace pando::agent
