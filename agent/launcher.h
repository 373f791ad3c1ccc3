// Starts instances.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/cgroup.h"
#include "agent/core/instance.h"
#include "agent/core/port_allocator.h"
#include "agent/exec_probe.h"
#include "agent/instance_dir.h"
#include "agent/process.h"

namespace pando::agent {

struct LauncherConfig {
  std::string shim_path;
  std::string node;
  PortRange ports;
  const CgroupTree* groups = nullptr;  // null: the host has none; outlives the launcher
  std::string controller = "";         // whence artifacts are fetched, host:port
};

class Launcher {
 public:
  Launcher(LauncherConfig config, uint32_t port_start)
      : config_(std::move(config)), ports_(config_.ports, port_start) {}

  // Starts a shim that starts the app in `dir`, with a port of its own. What comes of it the shim
  // tells. The error is for people.
  absl::StatusOr<SpawnedShim> Launch(const Assignment& assignment, const Spawn& spawn,
                                     const InstanceDir& dir);
  // What a probe by command starts, all but its argv: it runs as the app does, in its directory,
  // with its environment, within its limits. The error is for people.
  absl::StatusOr<ProbeCommand> MakeProbeCommand(const Assignment& assignment,
                                                const InstanceDir& dir, uint16_t port) const;

 private:
  // All but the incarnation and the descriptors.
  absl::StatusOr<ShimLaunch> Describe(const Assignment& assignment, const InstanceDir& dir,
                                      uint16_t port) const;

  LauncherConfig config_;
  PortAllocator ports_;
};

}  // namespace pando::agent
