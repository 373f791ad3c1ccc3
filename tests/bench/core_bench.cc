// The controller's decisions at the size of a large cluster, in memory: no store, no network, no
// protobuf; what is measured is controller/core alone. Run by tests/bench/core.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/core/cluster.h"
#include "controller/core/durable_model.h"

namespace pando::controller {
namespace {

using std::chrono::microseconds;

struct Size {
  uint32_t nodes = 5'000;
  uint32_t apps = 1'000;
  uint32_t replicas = 150;  // of each app
  uint32_t instances() const { return apps * replicas; }
};

uint64_t ResidentBytes() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * 4'096;
}

double SecondsOf(const std::function<void()>& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

struct Samples {
  std::vector<double> micros;
  void Take(const std::function<void()>& work) { micros.push_back(SecondsOf(work) * 1e6); }
  double At(double share) {
    std::sort(micros.begin(), micros.end());
    return micros[std::min(micros.size() - 1,
                           static_cast<size_t>(static_cast<double>(micros.size()) * share))];
  }
};

class Fleet {
 public:
  explicit Fleet(Size size) : size_(size) {
    cluster_ = std::make_unique<Cluster>(
        ClusterPolicy{}, DurableState{}, [this] { return Random(); }, now_);
    Effects effects;
    cluster_->Start(now_, effects);
    for (uint32_t i = 0; i < size_.nodes; ++i) {
      if (!cluster_->NodeConnected(HelloOf(i), now_, effects).ok()) std::abort();
    }
    ConnectProxies();
  }

  // Every app is applied, one after the other, as operators do. Returns the seconds it took.
  double PlaceAll() {
    std::vector<AppRequest> requests;
    for (uint32_t i = 0; i < size_.apps; ++i) {
      AppRequest& request = requests.emplace_back();
      request.app = AppId{absl::StrCat("app-", i)};
      request.replicas = size_.replicas;
      request.config.path = absl::StrCat("/", i);
      request.config.cpu_millis = 100;
      request.config.memory_bytes = uint64_t{256} << 20;
    }
    // All in one call: what is published is then built once, as it is when a leader starts.
    return SecondsOf([&] {
      if (!cluster_->Apply(requests, {}, {}, now_, placed_).ok()) std::abort();
    });
  }

  // A new leader starts from the store and hears of all nodes, whose instances are all ready: from
  // there on the cluster serves. Returns the seconds it took.
  double Restart() {
    DurableModel store;
    store.Apply(placed_.writes);
    placed_ = {};
    DurableState state = store.Load();
    std::map<NodeId, NodeHello> hellos;
    for (uint32_t i = 0; i < size_.nodes; ++i) hellos[NodeId{NodeName(i)}] = HelloOf(i);
    for (Assignment& a : state.assignments) {
      a.was_ready = true;
      InstanceReport& report = reports_[a.id];
      report.assignment = a.id;
      report.phase = Phase::kReady;
      report.port = static_cast<uint16_t>(20'000 + reports_.size() % 10'000);
      report.pid = 1'000;
      report.incarnation = 1;
      hellos.at(a.node).instances.push_back(report);
    }
    assignments_ = state.assignments;
    return SecondsOf([&] {
      Effects effects;
      cluster_ = std::make_unique<Cluster>(
          ClusterPolicy{}, std::move(state), [this] { return Random(); }, now_);
      cluster_->Start(now_, effects);
      for (const auto& [id, hello] : hellos) {
        if (!cluster_->NodeConnected(hello, now_, effects).ok()) std::abort();
      }
      ConnectProxies();
      AckAll();
    });
  }

  void Forget() { cluster_.reset(); }

  // An instance crashes: from the agent's word to the table without it.
  void Crash(Samples& samples) {
    const Assignment& a = assignments_[Random() % assignments_.size()];
    InstanceReport report = reports_[a.id];
    report.phase = Phase::kBackoff;
    report.port = 0;
    report.restarts += 1;
    report.detail = "exited with code 1";
    samples.Take([&] {
      Effects effects;
      cluster_->InstanceChanged(a.node, report, now_, effects);
      if (effects.tables.size() != 1) std::abort();
    });
    report.phase = Phase::kReady;
    report.port = reports_[a.id].port;
    reports_[a.id] = report;
    Effects effects;
    cluster_->InstanceChanged(a.node, report, now_, effects);
    Ack(a.app);
  }

  // A heartbeat, the commonest thing of all.
  void Heartbeat(Samples& samples) {
    const NodeId node{absl::StrCat("node-", Random() % size_.nodes)};
    samples.Take([&] {
      Effects effects;
      cluster_->NodeHeartbeat(node, now_, effects);
    });
  }

  // A node is drained: what moves gets its new places.
  void DrainNode(Samples& samples) {
    const NodeId node{absl::StrCat("node-", Random() % size_.nodes)};
    Effects effects;
    samples.Take([&] {
      if (!cluster_->DrainNode(node, Millis{0}, now_, effects).ok()) std::abort();
    });
  }

  // All nodes of one zone fall silent and are lost: their instances are placed elsewhere.
  double LoseZone(uint32_t& moved) {
    Effects effects;
    const double seconds = SecondsOf([&] {
      for (int step = 0; step < 60; ++step) {
        now_ += Millis{100};
        for (uint32_t i = 0; i < size_.nodes; ++i) {
          if (i % 5 != 0) cluster_->NodeHeartbeat(NodeId{absl::StrCat("node-", i)}, now_, effects);
        }
        cluster_->Tick(now_, effects);
      }
    });
    moved = static_cast<uint32_t>(
        std::count_if(effects.events.begin(), effects.events.end(),
                      [](const TimelineEvent& event) { return event.kind == "placed"; }));
    return seconds;
  }

 private:
  static std::string NodeName(uint32_t i) { return absl::StrCat("node-", i); }
  static NodeHello HelloOf(uint32_t i) {
    NodeHello hello;
    hello.node = NodeId{NodeName(i)};
    hello.agent_id = hello.node.value;
    hello.address = absl::StrCat("10.", i / 65'536, ".", i / 256 % 256, ".", i % 256);
    hello.labels = {{"zone", absl::StrCat("z", i % 5)}};
    hello.max_instances = 110;
    hello.cpu_millis = 16'000;
    hello.memory_bytes = uint64_t{64} << 30;
    return hello;
  }
  void ConnectProxies() {
    Effects effects;
    for (const char* proxy : {"edge-1", "edge-2"}) {
      cluster_->ProxyConnected(ProxyId{proxy}, {"bench", true}, now_, effects);
    }
  }
  uint64_t Random() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return random_ >> 20;
  }
  void Ack(const AppId& app) {
    Effects effects;
    for (const char* proxy : {"edge-1", "edge-2"}) {
      cluster_->ProxyAcked(ProxyId{proxy}, app, cluster_->Table(app)->generation, now_, effects);
    }
  }
  void AckAll() {
    for (const AppId& app : cluster_->apps()) Ack(app);
  }

  const Size size_;
  Instant now_{std::chrono::hours{1}};
  uint64_t random_ = 1;
  std::unique_ptr<Cluster> cluster_;
  Effects placed_;
  std::vector<Assignment> assignments_;
  std::map<AssignmentId, InstanceReport> reports_;
};

void PrintPlacement(const Size& size) {
  Fleet fleet(size);
  const double seconds = fleet.PlaceAll();
  std::printf("full placement   %6u nodes %7u instances of %5u apps   %6.2f s  %8.0f instances/s\n",
              size.nodes, size.instances(), size.apps, seconds, size.instances() / seconds);
}

// Of a cluster in service: what it keeps in mind, without what the bench itself knows.
void PrintRestart(const Size& size) {
  Fleet fleet(size);
  fleet.PlaceAll();
  const double seconds = fleet.Restart();
  const uint64_t before = ResidentBytes();
  fleet.Forget();
  const double bytes = static_cast<double>(before - ResidentBytes());
  std::printf(
      "a leader starts  %6u nodes %7u instances: %.2f s from the store to all tables; "
      "%.0f bytes of memory an instance, its share of nodes and tables included\n",
      size.nodes, size.instances(), seconds, bytes / size.instances());
}

void PrintChanges(const Size& size, int rounds) {
  Fleet fleet(size);
  fleet.PlaceAll();
  fleet.Restart();
  Samples crash, heartbeat, drain;
  for (int i = 0; i < rounds; ++i) fleet.Crash(crash);
  for (int i = 0; i < rounds; ++i) fleet.Heartbeat(heartbeat);
  for (int i = 0; i < std::min<int>(rounds / 20 + 1, static_cast<int>(size.nodes) / 10); ++i) {
    fleet.DrainNode(drain);
  }
  std::printf("%6u %9u %9u   %8.1f %8.1f %8.1f   %8.2f   %8.1f\n", size.nodes, size.instances(),
              size.replicas, crash.At(0.5), crash.At(0.99), crash.At(1), heartbeat.At(0.5),
              drain.At(0.5));
}

void PrintLoss(const Size& size) {
  Fleet fleet(size);
  fleet.PlaceAll();
  fleet.Restart();
  uint32_t moved = 0;
  const double seconds = fleet.LoseZone(moved);
  std::printf(
      "a zone is lost   %6u nodes %7u instances placed anew, 6 s of a cluster's life took "
      "%.2f s\n",
      size.nodes / 5, moved, seconds);
}

int Run(bool quick) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const Size large = quick ? Size{500, 100, 150} : Size{};
  PrintPlacement(large);
  PrintPlacement({large.nodes, large.instances() / 10'000, 10'000});
  PrintRestart(large);
  PrintLoss(large);
  std::printf(
      "\none instance crashes: microseconds from the agent's word to the table without it\n"
      " nodes instances   per app        p50      p99      max  heartbeat      drain\n");
  const int rounds = quick ? 200 : 2'000;
  const Size sizes[] = {{50, 10, 150}, {500, 100, 150}, large};
  for (const Size& size : sizes) PrintChanges(size, rounds);
  for (const uint32_t replicas : {10u, 1'000u, 10'000u}) {
    PrintChanges({large.nodes, std::max(1u, large.instances() / replicas), replicas}, rounds / 10);
  }
  return 0;
}

}  // namespace
}  // namespace pando::controller

int main(int argc, char** argv) {
  const bool quick = argc == 2 && std::string(argv[1]) == "--quick";
  if (argc > 1 && !quick) {
    std::fprintf(stderr, "usage: core_bench [--quick]\n");
    return 2;
  }
  try {
    return pando::controller::Run(quick);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "core_bench: %s\n", error.what());
    return 1;
  }
}
