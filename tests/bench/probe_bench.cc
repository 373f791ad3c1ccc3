// What probing costs an agent: its loop with so many real instances, each probed once a second. Run
// by hand; what counts is the CPU time of the agent's side, which a busy machine changes little.
//
//   probe_bench [tcp|http|exec|grpc] [INSTANCES] [SECONDS]
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "agent/agent_loop.h"
#include "common/runtime/data_dir.h"

namespace pando::agent {
namespace {

using std::chrono::steady_clock;

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

v1::Orders MakeOrders(v1::HealthCheck::Kind kind, uint32_t instances) {
  v1::Orders orders;
  orders.set_term(1);
  orders.set_version(1);
  orders.set_cluster_id("bench");
  v1::Revision& revision = *orders.add_revisions();
  revision.set_app("web");
  revision.set_revision(1);
  v1::AppSpec& spec = *revision.mutable_spec();
  if (kind == v1::HealthCheck::GRPC) {
    spec.add_command(PANDO_TEST_GRPC_APP);
  } else {
    spec.add_command(PANDO_TEST_APP);
    spec.add_command("http");
  }
  spec.mutable_health()->set_kind(kind);
  spec.mutable_health()->set_path("/healthz");
  spec.mutable_health()->add_command("/bin/true");
  spec.mutable_health()->set_interval_ms(1'000);
  spec.mutable_health()->set_timeout_ms(2'000);
  spec.mutable_health()->set_startup_ms(120'000);
  for (uint32_t slot = 1; slot <= instances; ++slot) {
    v1::Assignment& assignment = *orders.add_assignments();
    assignment.set_id("web-" + std::to_string(slot));
    assignment.set_app("web");
    assignment.set_slot(slot);
    assignment.set_revision(1);
  }
  return orders;
}

bool WaitUntil(const std::function<bool()>& holds, std::chrono::seconds within) {
  const auto deadline = steady_clock::now() + within;
  while (!holds()) {
    if (steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 20);
  }
  return true;
}

void Pause(std::chrono::milliseconds time) { poll(nullptr, 0, static_cast<int>(time.count())); }

int Run(v1::HealthCheck::Kind kind, const char* word, uint32_t instances, int seconds) {
  std::string dir = "/tmp/pando-probe-bench-XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) return 1;
  EventLoop loop;
  std::thread thread([&loop] { loop.Run(); });
  const auto on_loop = [&loop](const std::function<void()>& task) {
    std::promise<void> done;
    loop.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  };
  Metrics metrics("probe_bench");
  AgentMetrics agent_metrics(metrics);
  auto data_dir = *DataDir::Open(dir);
  AgentState state = *AgentState::Load(*data_dir);
  std::set<std::string> ready;
  std::atomic<size_t> ready_count{0};
  std::unique_ptr<AgentLoop> agent;
  on_loop([&] {
    agent = std::make_unique<AgentLoop>(
        loop, agent_metrics, state, LauncherConfig{PANDO_SHIM, "node-1", {18'000, 18'999}},
        AgentLoop::Uplink{.status =
                              [&](const v1::InstanceStatus& status) {
                                if (status.phase() != v1::InstanceStatus::READY) return;
                                ready.insert(status.assignment_id());
                                ready_count = ready.size();
                              },
                          .gone = [](const std::string&) {},
                          .closing = [](const std::string&) {}},
        /*seed=*/1);
    agent->Start();
    if (!agent->SetOrders(MakeOrders(kind, instances)).ok()) std::abort();
  });
  int result = 1;
  if (WaitUntil([&] { return ready_count == instances; }, std::chrono::seconds(180))) {
    Pause(std::chrono::seconds(2));  // what has just started is probed quickly at first
    const double cpu = CpuSeconds();
    const double probes = agent_metrics.probes_total.Value();
    const auto began = steady_clock::now();
    Pause(std::chrono::seconds(seconds));
    const double took = std::chrono::duration<double>(steady_clock::now() - began).count();
    const double used = CpuSeconds() - cpu;
    const double made = agent_metrics.probes_total.Value() - probes;
    std::printf(
        "%s: %u instances, %.0f probes/s, %.0f us of CPU each, %.2f %% of a core, %.0f failed\n",
        word, instances, made / took, used / made * 1e6, used / took * 100,
        agent_metrics.probe_failures_total.Value());
    result = 0;
  } else {
    std::fprintf(stderr, "only %zu of %u instances became ready\n", ready_count.load(), instances);
  }
  std::promise<void> stopped;
  on_loop([&] { agent->StopInstances([&] { stopped.set_value(); }); });
  stopped.get_future().wait();
  on_loop([&] { agent.reset(); });
  loop.Stop();
  thread.join();
  std::filesystem::remove_all(dir);
  return result;
}

}  // namespace
}  // namespace pando::agent

int main(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "http";
  const int instances = argc > 2 ? std::atoi(argv[2]) : 300;
  const int seconds = argc > 3 ? std::atoi(argv[3]) : 10;
  using Check = pando::v1::HealthCheck;
  const Check::Kind kind = word == "tcp"    ? Check::TCP
                           : word == "http" ? Check::HTTP
                           : word == "exec" ? Check::EXEC
                           : word == "grpc" ? Check::GRPC
                                            : Check::KIND_UNSPECIFIED;
  if (kind == Check::KIND_UNSPECIFIED || instances < 1 || instances > 900 || seconds < 1) {
    std::fprintf(stderr, "probe_bench [tcp|http|exec|grpc] [1..900] [SECONDS]\n");
    return 2;
  }
  return pando::agent::Run(kind, word.c_str(), static_cast<uint32_t>(instances), seconds);
}
