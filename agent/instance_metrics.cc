#include "agent/instance_metrics.h"

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

using prometheus::MetricType;

const std::vector<std::string> kInstance{"app", "instance", "revision"};

const MetricDefinition kReady{"pando_instance_ready", MetricType::Gauge,
                              "1 while the instance's process runs and its probe passes",
                              kInstance};
const MetricDefinition kRestarts{
    "pando_instance_restarts_total", MetricType::Counter,
    "Starts after the first one, since the instance was placed on this node", kInstance};
const MetricDefinition kFailedStarts{"pando_instance_failed_starts", MetricType::Gauge,
                                     "Starts in a row that ended before the instance was ready",
                                     kInstance};
const MetricDefinition kCpu{"pando_instance_cpu_seconds_total", MetricType::Counter,
                            "CPU time of all processes of the instance", kInstance};
const MetricDefinition kMemory{
    "pando_instance_memory_bytes", MetricType::Gauge,
    "Memory of all processes of the instance; by its control group, without cached "
    "files, or else resident",
    kInstance};
const MetricDefinition kFds{"pando_instance_open_fds", MetricType::Gauge,
                            "Open file descriptors of all processes of the instance", kInstance};
const MetricDefinition kProcesses{"pando_instance_processes", MetricType::Gauge,
                                  "Processes of the instance", kInstance};
const MetricDefinition kMemoryLimit{"pando_instance_memory_limit_bytes", MetricType::Gauge,
                                    "What the instance's memory is held to; absent: to nothing",
                                    kInstance};
const MetricDefinition kDelayMean{
    "pando_instance_event_loop_delay_mean_seconds", MetricType::Gauge,
    "How long work waits for the instance's event loop, as its own page (metrics.path) says; "
    "absent: it does not",
    kInstance};
const MetricDefinition kDelayP99{"pando_instance_event_loop_delay_p99_seconds", MetricType::Gauge,
                                 "Of a hundred waits for the instance's event loop the longest "
                                 "but one, as its own page says",
                                 kInstance};
const MetricDefinition kOomKills{
    "pando_agent_instance_oom_kills_total", MetricType::Counter,
    "Ends of the instance for want of memory, since it was placed on this node", kInstance};
const MetricDefinition kOrdersVersion{
    "pando_agent_orders_version", MetricType::Gauge, "Version of the orders carried out last", {}};
const MetricDefinition kNodeCpu{
    "pando_node_cpu_seconds_total", MetricType::Counter, "Busy time of all CPUs of the host", {}};
const MetricDefinition kNodeCpus{"pando_node_cpus", MetricType::Gauge, "CPUs of the host", {}};
const MetricDefinition kNodeLoad{
    "pando_node_load1", MetricType::Gauge, "The host's load average over one minute", {}};
const MetricDefinition kNodeMemory{
    "pando_node_memory_bytes", MetricType::Gauge, "Memory of the host", {}};
const MetricDefinition kNodeMemoryFree{"pando_node_memory_available_bytes",
                                       MetricType::Gauge,
                                       "Memory of the host that can be had without swapping",
                                       {}};
const MetricDefinition kNodeOomKills{
    "pando_node_oom_kills_total",
    MetricType::Counter,
    "Processes of the host that the kernel killed for want of memory",
    {}};

}  // namespace

std::vector<MetricDefinition> InstanceMetrics::Definitions() {
  return {kReady,      kRestarts,       kFailedStarts, kOomKills,  kCpu,
          kMemory,     kMemoryLimit,    kFds,          kProcesses, kDelayMean,
          kDelayP99,   kOrdersVersion,  kNodeCpu,      kNodeCpus,  kNodeLoad,
          kNodeMemory, kNodeMemoryFree, kNodeOomKills};
}

std::vector<prometheus::MetricFamily> InstanceMetrics::Collect() const {
  MetricSamples ready(kReady), restarts(kRestarts), failed_starts(kFailedStarts), cpu(kCpu),
      memory(kMemory), memory_limit(kMemoryLimit), oom_kills(kOomKills), fds(kFds),
      processes(kProcesses), delay_mean(kDelayMean), delay_p99(kDelayP99), orders(kOrdersVersion);
  for (const v1::InstanceStatus& status : instances_.Statuses()) {
    const std::vector<std::string> labels{status.app(),
                                          absl::StrCat(status.app(), ".", status.slot()),
                                          absl::StrCat(status.revision())};
    ready.Add(status.phase() == v1::InstanceStatus::READY ? 1 : 0, labels);
    restarts.Add(status.restarts(), labels);
    failed_starts.Add(status.failed_starts(), labels);
    oom_kills.Add(status.oom_kills(), labels);
    const auto used = usage_.instances().find({status.assignment_id()});
    if (used == usage_.instances().end()) continue;
    const TreeUsage& usage = used->second.usage;
    cpu.Add(usage.cpu_seconds, labels);
    memory.Add(static_cast<double>(usage.memory_bytes), labels);
    if (used->second.max_memory_bytes > 0) {
      memory_limit.Add(static_cast<double>(used->second.max_memory_bytes), labels);
    }
    fds.Add(usage.open_fds, labels);
    processes.Add(usage.processes, labels);
    if (const auto delay = delays_.Of({status.assignment_id()}, used->second.incarnation)) {
      if (delay->mean_seconds) delay_mean.Add(*delay->mean_seconds, labels);
      if (delay->p99_seconds) delay_p99.Add(*delay->p99_seconds, labels);
    }
  }
  orders.Add(static_cast<double>(instances_.orders_version()));
  std::vector<prometheus::MetricFamily> families{
      ready.Take(),     restarts.Take(),   failed_starts.Take(), oom_kills.Take(),
      cpu.Take(),       memory.Take(),     memory_limit.Take(),  fds.Take(),
      processes.Take(), delay_mean.Take(), delay_p99.Take(),     orders.Take()};
  if (const std::optional<HostUsage>& host = usage_.host()) {
    const auto add = [&families](const MetricDefinition& definition, double value) {
      MetricSamples samples(definition);
      samples.Add(value);
      families.push_back(samples.Take());
    };
    add(kNodeCpu, host->cpu_seconds);
    add(kNodeCpus, std::thread::hardware_concurrency());
    add(kNodeLoad, host->load1);
    add(kNodeMemory, static_cast<double>(host->memory_bytes));
    add(kNodeMemoryFree, static_cast<double>(host->memory_available_bytes));
    add(kNodeOomKills, static_cast<double>(host->oom_kills));
  }
  return families;
}

}  // namespace pando::agent
