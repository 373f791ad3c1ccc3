// The agent's flags, as given and as understood.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/port_allocator.h"
#include "common/runtime/flags.h"

namespace pando::agent {

struct AgentOptions {
  std::string data_dir;
  std::string node;
  HostPort controller;
  std::string http_listen;
  PortRange ports;
  std::string advertise_address;  // empty: found out
  std::map<std::string, std::string> labels;
  uint32_t max_instances = 0;
  bool stop_instances_on_exit = false;
  bool cgroups = true;
  std::string shim_path;
};

struct AgentFlags {
  std::string data_dir = "/var/lib/pando/agent";
  std::string node;
  std::string controller = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:7481";
  std::string port_range = "20000-29999";
  std::string advertise_address;
  std::vector<std::string> labels;
  uint32_t max_instances = 0;
  bool stop_instances_on_exit = false;
  bool no_cgroups = false;
  bool insecure = false;
  std::string shim;

  void AddTo(Flags& flags);
  // Errors name the flag and what it may be.
  absl::StatusOr<AgentOptions> Read() const;
};

// The shim beside `program` or in ../libexec/pando of it. kNotFound says where it was looked for.
absl::StatusOr<std::string> FindShim(const std::string& program);

}  // namespace pando::agent
