// What the node is ordered to run, as plain values. An assignment never changes: a new revision of
// a slot comes as a new assignment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/backoff.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace pando::agent {

struct ProbePolicy {
  enum class Kind { kTcp, kHttp, kExec, kGrpc };
  Kind kind = Kind::kTcp;
  // Of HTTP: what is asked for, and the ranges of statuses that pass (none: 200 to 399).
  std::string path;
  std::map<std::string, std::string> headers;
  std::string host;  // empty: the address
  std::vector<std::pair<int, int>> codes;
  std::vector<std::string> command;  // of exec, argv
  std::string service;               // of gRPC; empty: the server as a whole

  Millis interval{1'000};
  Millis timeout{500};
  int healthy_threshold = 1;
  int unhealthy_threshold = 3;
  Millis startup{30'000};  // how long a start may take before it failed

  bool operator==(const ProbePolicy&) const = default;
};

struct StopPolicy {
  int signal = 15;
  Millis grace{10'000};  // from the signal to SIGKILL

  bool operator==(const StopPolicy&) const = default;
};

struct RestartPolicy {
  BackoffPolicy backoff;
  Millis reset_after{10'000};  // ready for so long, and the backoff starts anew
};

// What an instance may use; 0 is "no limit".
struct UseLimits {
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  uint32_t processes = 0;  // and threads
  uint32_t open_files = 0;

  bool operator==(const UseLimits&) const = default;
};

// As whom it runs and what it sees of its host.
struct Isolation {
  std::string user;  // name or number; empty: as the agent
  std::string group;
  bool allow_new_privileges = false;
  bool private_tmp = false;
  std::vector<std::string> read_only;
};

struct CommandLine {
  std::vector<std::string> argv;
  std::string dir;
  std::map<std::string, std::string> env;
  std::vector<std::string> env_files;  // relative to `dir`; `env` wins
  uint16_t fixed_port = 0;  // what the app binds whatever it is told; 0: it listens on $PORT
};

// Code that is fetched from the controller, and made ready by a step of its own, once per node.
struct Artifact {
  std::string digest;  // empty: the code is on the node already
  uint64_t size_bytes = 0;
  std::vector<std::string> install;  // argv; empty: there is no such step
  Millis install_timeout{600'000};
  // As whom the step runs, as in Isolation; empty where there is no step.
  std::string user;
  std::string group;

  bool operator==(const Artifact&) const = default;
};

struct Assignment {
  AssignmentId id;
  AppId app;
  uint32_t slot = 0;  // from 1
  uint32_t revision = 0;
  Artifact artifact;
  std::string metrics_path;  // of its page for Prometheus, on its port; empty: it has none
  CommandLine command;       // with an artifact, its `dir` is relative to that
  ProbePolicy probe;         // readiness
  std::optional<ProbePolicy> startup_probe;   // passes before the others begin; none: at once
  std::optional<ProbePolicy> liveness_probe;  // fails, and it is started again; none: never
  StopPolicy stop;
  RestartPolicy restart;
  UseLimits limits;
  Isolation isolation;
};

// "web.3"
inline std::string InstanceName(const Assignment& assignment) {
  return assignment.app.value + "." + std::to_string(assignment.slot);
}

}  // namespace pando::agent
