// What the agent's component tests share: a temporary directory, waiting with a deadline, orders.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "agent/core/port_allocator.h"
#include "common/base/time.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/unique_fd.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

class TempDir {
 public:
  TempDir() {
    std::string path = testing::TempDir() + "pando-agent-XXXXXX";
    path_ = mkdtemp(path.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Neither ephemeral ports nor the agent's default range, nor those of a test that runs beside this.
inline PortRange PortsOfThisProcess() {
  const auto first = static_cast<uint16_t>(10'000 + getpid() % 40 * 250);
  return {first, static_cast<uint16_t>(first + 249)};
}

// Looks every few ms until it holds, for processes and files have nothing to wait on. False when it
// does not within the time.
inline bool Eventually(const std::function<bool()>& holds, Millis within = Millis{20'000}) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

inline bool IsAlive(pid_t pid) {
  const auto stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  if (!stat.ok()) return false;
  const size_t name_end = stat->rfind(')');
  return name_end != std::string::npos && stat->substr(name_end + 2, 1) != "Z";
}

// Pids of processes with `text` in their command line, but for this one.
inline std::vector<pid_t> ProcessesWith(const std::string& text) {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t pid = std::stoi(name);
    const auto cmdline = ReadFile("/proc/" + name + "/cmdline");
    if (pid != getpid() && cmdline.ok() && cmdline->find(text) != std::string::npos &&
        IsAlive(pid)) {
      pids.push_back(pid);
    }
  }
  return pids;
}

// Lets this process open no more descriptors than it has now, while it lives.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = 3;  // below all there are: one that is closed meanwhile makes no room
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~NoMoreDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

inline std::string TestApp() { return PANDO_TEST_APP; }
inline std::string ShimPath() { return PANDO_SHIM; }

// An app with short times.
inline v1::AppSpec MakeSpec(std::vector<std::string> command) {
  v1::AppSpec spec;
  spec.set_name("web");
  for (std::string& word : command) spec.add_command(std::move(word));
  spec.mutable_health()->set_kind(v1::HealthCheck::TCP);
  spec.mutable_health()->set_interval_ms(50);
  spec.mutable_health()->set_timeout_ms(2'000);
  spec.mutable_health()->set_healthy_threshold(1);
  spec.mutable_health()->set_unhealthy_threshold(2);
  spec.mutable_health()->set_startup_ms(15'000);
  spec.mutable_stop()->set_signal("SIGTERM");
  spec.mutable_stop()->set_grace_ms(5'000);
  spec.mutable_restart()->set_backoff_initial_ms(20);
  spec.mutable_restart()->set_backoff_max_ms(200);
  spec.mutable_restart()->set_reset_after_ms(10'000);
  return spec;
}

// Assignments web-1, web-2, ... of one revision.
inline v1::Orders MakeOrders(const v1::AppSpec& spec, uint32_t replicas) {
  v1::Orders orders;
  orders.set_term(1);
  orders.set_version(1);
  orders.set_cluster_id("c1");
  v1::Revision& revision = *orders.add_revisions();
  revision.set_app("web");
  revision.set_revision(7);
  *revision.mutable_spec() = spec;
  for (uint32_t slot = 1; slot <= replicas; ++slot) {
    v1::Assignment& assignment = *orders.add_assignments();
    assignment.set_id("web-" + std::to_string(slot));
    assignment.set_app("web");
    assignment.set_slot(slot);
    assignment.set_revision(7);
  }
  return orders;
}

}  // namespace pando::agent
