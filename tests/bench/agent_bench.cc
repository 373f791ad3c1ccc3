// How long starting, stopping and noticing an exit take, by the agent's own parts: the launcher, a
// real shim and a real process, with the control groups of this host; and by its loop, from orders
// to the app, with the disk in it. One JSON object on stdout.
//
//   agent_bench SHIM TEST_APP COUNT
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "agent/cgroup.h"
#include "agent/instance_dir.h"
#include "agent/launcher.h"
#include "agent/process.h"
#include "agent/shim_client.h"
#include "tests/bench/agent_bench_orders.h"

namespace pando::agent {
namespace {

using Clock = std::chrono::steady_clock;

double MillisSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "agent_bench: %s\n", why.c_str());
  std::exit(1);
}

// The next thing the shim says; waits for it.
ShimEvent NextEvent(const SpawnedShim& shim) {
  std::string line;
  char c = 0;
  while (read(shim.session.get(), &c, 1) == 1) {
    if (c != '\n') {
      line += c;
      continue;
    }
    if (const auto event = ParseShimLine(line)) return *event;
    Die(absl::StrCat("the shim says ", line));
  }
  return ShimEnded{};
}

ShimRunning AwaitRunning(const SpawnedShim& shim) {
  const ShimEvent event = NextEvent(shim);
  if (const auto* failed = std::get_if<ShimFailed>(&event)) Die(failed->reason);
  if (!std::holds_alternative<ShimRunning>(event)) Die("the shim ended");
  return std::get<ShimRunning>(event);
}

void AwaitEnd(const SpawnedShim& shim) {
  pollfd poll_fd = {shim.pidfd.get(), POLLIN, 0};
  if (poll(&poll_fd, 1, 60'000) != 1) Die("a shim does not end");
  waitpid(shim.id.pid, nullptr, 0);
}

// CPU time of this process, and of the shims and apps that were waited for.
double CpuMillis() {
  double millis = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used = {};
    getrusage(who, &used);
    for (const timeval& time : {used.ru_utime, used.ru_stime}) {
      millis +=
          static_cast<double>(time.tv_sec) * 1'000 + static_cast<double>(time.tv_usec) / 1'000;
    }
  }
  return millis;
}

class Bench {
 public:
  Bench(std::string shim, std::string app, std::string dir)
      : app_(std::move(app)), dir_(std::move(dir)) {
    if (auto groups = OpenCgroupTree(absl::StrCat("bench-", getpid())); groups.ok()) {
      groups_ = *std::move(groups);
    }
    config_ = {std::move(shim), "bench", {18'000, 18'999}, groups_.get()};
    launcher_.emplace(config_, 0);
  }

  bool has_groups() const { return groups_ != nullptr; }
  const LauncherConfig& config() const { return config_; }
  const std::string& app() const { return app_; }
  const std::string& dir() const { return dir_; }

  // The instances' directories: once in their lives, and not what is measured.
  void Prepare(int count) const {
    for (int i = 0; i < count; ++i) {
      InstanceDir dir(absl::StrCat(dir_, "/web-", i));
      if (absl::Status s = dir.Create(""); !s.ok()) Die(s.ToString());
    }
  }

  SpawnedShim Launch(int number) {
    Assignment assignment;
    assignment.id = {absl::StrCat("web-", number)};
    assignment.app = {"web"};
    assignment.slot = static_cast<uint32_t>(number) + 1;
    assignment.command.argv = {app_, "wait"};
    const InstanceDir dir(absl::StrCat(dir_, "/", assignment.id.value));
    auto shim = launcher_->Launch(assignment, {assignment.id, 1, 0}, dir);
    if (!shim.ok()) Die(shim.status().ToString());
    return *std::move(shim);
  }

 private:
  std::string app_;
  std::string dir_;
  std::unique_ptr<CgroupTree> groups_;
  LauncherConfig config_;
  std::optional<Launcher> launcher_;
};

void Print(const char* name, std::vector<double> millis, const char* end) {
  std::sort(millis.begin(), millis.end());
  const auto at = [&millis](double share) {
    return millis[static_cast<size_t>(share * static_cast<double>(millis.size() - 1))];
  };
  std::printf("\"%s\": {\"min\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}%s", name,
              millis.front(), at(0.5), at(0.99), millis.back(), end);
}

void Run(Bench& bench, int count) {
  std::vector<double> launches, starts, stops, exits, together;
  bench.Prepare(std::max(count, 100));
  const double cpu_before = CpuMillis();
  for (int i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    const SpawnedShim shim = bench.Launch(i);
    launches.push_back(MillisSince(begin));
    AwaitRunning(shim);
    starts.push_back(MillisSince(begin));
    const auto told = Clock::now();
    const absl::string_view stop = "stop 15 10000\n";
    if (write(shim.session.get(), stop.data(), stop.size()) < 0) Die("a shim is gone");
    AwaitEnd(shim);
    stops.push_back(MillisSince(told));
    RemoveCgroup(shim.group);
  }
  const double cpu = (CpuMillis() - cpu_before) / count;
  for (int i = 0; i < count; ++i) {
    const SpawnedShim shim = bench.Launch(i);
    const ShimRunning running = AwaitRunning(shim);
    const auto killed = Clock::now();
    kill(running.app.pid, SIGKILL);  // our child's child, which runs: it is no stranger
    NextEvent(shim);
    exits.push_back(MillisSince(killed));
    AwaitEnd(shim);
    RemoveCgroup(shim.group);
  }
  // All at once, as an agent is that has a hundred new orders: until the last one runs.
  const auto begin = Clock::now();
  std::vector<SpawnedShim> shims;
  for (int i = 0; i < 100; ++i) shims.push_back(bench.Launch(i));
  for (const SpawnedShim& shim : shims) {
    AwaitRunning(shim);
    together.push_back(MillisSince(begin));
  }
  for (const SpawnedShim& shim : shims) SignalProcess(shim.pidfd, SIGKILL);
  for (const SpawnedShim& shim : shims) {
    AwaitEnd(shim);
    // The app dies with its shim; the group is empty a moment later.
    for (int i = 0; i < 1'000 && !RemoveCgroup(shim.group); ++i) poll(nullptr, 0, 1);
  }
  const std::vector<double> orders = MeasureOrders(bench.config(), {bench.app(), "wait"},
                                                   absl::StrCat(bench.dir(), "/agent"), count);
  std::printf("{\"groups\": %s, \"cpu\": %.3f, ", bench.has_groups() ? "true" : "false", cpu);
  Print("order", orders, ", ");
  Print("launch", launches, ", ");
  Print("start", starts, ", ");
  Print("stop", stops, ", ");
  Print("exit", exits, ", ");
  Print("together", together, "}\n");
}

}  // namespace
}  // namespace pando::agent

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: agent_bench SHIM TEST_APP COUNT\n");
    return 2;
  }
  std::string dir = (std::filesystem::temp_directory_path() / "agent-bench-XXXXXX").string();
  if (mkdtemp(dir.data()) == nullptr) return 1;
  {
    pando::agent::Bench bench(argv[1], argv[2], dir);
    pando::agent::Run(bench, std::max(1, std::atoi(argv[3])));
  }
  std::filesystem::remove_all(dir);
  return 0;
}
