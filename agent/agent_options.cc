#include "agent/agent_options.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando::agent {
namespace {

constexpr uint32_t kMostInstances = 1'000;

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

absl::StatusOr<std::map<std::string, std::string>> ParseLabels(
    const std::vector<std::string>& labels) {
  std::map<std::string, std::string> parsed;
  for (const std::string& label : labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--label: \"", label, "\" is not of the form key=value"));
    }
    parsed[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return parsed;
}

absl::Status CheckAdvertiseAddress(const std::string& address) {
  if (address.empty()) return absl::OkStatus();
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(address, error);
  if (error || parsed.is_unspecified()) {
    return absl::InvalidArgumentError(absl::StrCat("--advertise-address: \"", address,
                                                   "\" is not the numeric address of a host"));
  }
  return absl::OkStatus();
}

}  // namespace

void AgentFlags::AddTo(Flags& flags) {
  flags.Add("data-dir", data_dir, "Where the agent keeps its state and the instances' logs");
  flags.Add("node", node, "This node's name (default: the host's name)");
  flags.Add("controller", controller, "The controller's address, host:port");
  flags.Add("http-listen", http_listen, "Where /metrics and /healthz are served");
  flags.Add("port-range", port_range, "Ports given to instances");
  flags.Add("advertise-address", advertise_address,
            "Address where proxies reach this node's instances (default: found out)");
  flags.Add("label", labels, "A label key=value that specs can ask for; may be repeated");
  flags.Add("max-instances", max_instances,
            "Most instances to run (default: the ports there are, at most 1000)");
  flags.AddSwitch("stop-instances-on-exit", stop_instances_on_exit,
                  "Stop all instances when the agent is stopped; else they go on running");
  flags.AddSwitch("no-cgroups", no_cgroups,
                  "Use no control groups: memory is looked at instead, CPU is not limited");
  flags.AddSwitch("insecure", insecure, "Allow --http-listen beyond loopback");
  flags.Add("shim", shim, "The pando-shim program (default: beside the agent)");
}

absl::StatusOr<AgentOptions> AgentFlags::Read() const {
  AgentOptions options;
  options.data_dir = data_dir;
  options.node = node.empty() ? HostName() : node;
  PANDO_ASSIGN_OR_RETURN(options.controller, ParseHostPort("--controller", controller));
  PANDO_ASSIGN_OR_RETURN(const HostPort http, ParseHostPort("--http-listen", http_listen));
  PANDO_RETURN_IF_ERROR(CheckListenAddress("--http-listen", http, insecure));
  options.http_listen = http_listen;
  const auto ports = ParsePortRange(port_range);
  if (!ports.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--port-range: ", ports.status().message()));
  }
  options.ports = *ports;
  PANDO_RETURN_IF_ERROR(CheckAdvertiseAddress(advertise_address));
  options.advertise_address = advertise_address;
  PANDO_ASSIGN_OR_RETURN(options.labels, ParseLabels(labels));
  const uint32_t most = std::min(options.ports.size(), kMostInstances);
  options.max_instances = max_instances > 0 ? max_instances : most;
  options.stop_instances_on_exit = stop_instances_on_exit;
  options.cgroups = !no_cgroups;
  if (shim.empty()) {
    std::error_code ignored;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
    PANDO_ASSIGN_OR_RETURN(options.shim_path, FindShim(self.string()));
  } else if (access(shim.c_str(), X_OK) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("--shim: ", shim, " is not a program"));
  } else {
    options.shim_path = shim;
  }
  return options;
}

absl::StatusOr<std::string> FindShim(const std::string& program) {
  const auto dir = std::filesystem::path(program).parent_path();
  const std::string beside = dir / "pando-shim";
  const std::string installed = (dir / "../libexec/pando/pando-shim").lexically_normal();
  for (const std::string& path : {beside, installed}) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::NotFoundError(absl::StrCat("--shim: no pando-shim at ", beside, " or ", installed));
}

}  // namespace pando::agent
