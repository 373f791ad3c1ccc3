#include "proxy/control/fake_data_plane.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::proxy {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<const DataPlane*, std::unique_ptr<FakeDataPlane>> fakes;
};

Registry& AllFakes() {
  static Registry registry;
  return registry;
}

}  // namespace

FakeDataPlane::FakeDataPlane() {
  InstanceStats instance;
  instance.instance = "web.1";
  instance.responses_by_class[2] = 2;
  instance.response_bytes_total = 400;
  ClusterStats stats;
  stats.cluster = "web";
  stats.requests_total = 3;
  stats.responses_by_class[2] = 2;
  stats.responses_by_class[5] = 1;
  stats.timing.total.buckets.resize(LatencyBounds().size() + 1);
  for (const size_t bucket : {5, 8, 11}) stats.timing.total.buckets[bucket] = 1;  // 0.01, 0.1, 1
  stats.instances.push_back(std::move(instance));
  stats_.clusters.push_back(std::move(stats));
}

FakeDataPlane& FakeDataPlane::Of(const DataPlane& data_plane) {
  Registry& all = AllFakes();
  const std::lock_guard lock(all.mutex);
  return *all.fakes.at(&data_plane);
}

void FakeDataPlane::HoldSwitches(bool hold) {
  const std::lock_guard lock(mutex_);
  hold_ = hold;
}

void FakeDataPlane::FinishSwitch() {
  std::vector<absl::AnyInvocable<void()>> switches;
  {
    const std::lock_guard lock(mutex_);
    switches = std::exchange(switches_, {});
  }
  for (auto& switched : switches) switched();
}

bool FakeDataPlane::SwitchPending() const {
  const std::lock_guard lock(mutex_);
  return !switches_.empty();
}

void FakeDataPlane::SetTaken(const std::string& address, bool taken) {
  const std::lock_guard lock(mutex_);
  if (taken) {
    taken_.insert(address);
  } else {
    taken_.erase(address);
  }
}

void FakeDataPlane::SetStats(DataPlaneStats stats) {
  const std::lock_guard lock(mutex_);
  stats_ = std::move(stats);
}

void FakeDataPlane::FireDrained() {
  std::function<void()> on_drained;
  {
    const std::lock_guard lock(mutex_);
    on_drained = on_drained_;
  }
  if (on_drained) on_drained();
}

std::shared_ptr<const ProxyTable> FakeDataPlane::table() const {
  const std::lock_guard lock(mutex_);
  return tables_.empty() ? nullptr : tables_.back();
}

size_t FakeDataPlane::tables_set() const {
  const std::lock_guard lock(mutex_);
  return tables_.size();
}

size_t FakeDataPlane::prepare_calls() const {
  const std::lock_guard lock(mutex_);
  return prepare_calls_;
}

// ---- the interface of proxy/net/data_plane.h ----

class DataPlane::Workers {};

// NOLINTNEXTLINE(performance-unnecessary-value-param): as the interface has it
DataPlane::DataPlane(DataPlaneConfig /*config*/) {
  Registry& all = AllFakes();
  const std::lock_guard lock(all.mutex);
  all.fakes[this] = std::make_unique<FakeDataPlane>();
}

DataPlane::~DataPlane() {
  Registry& all = AllFakes();
  const std::lock_guard lock(all.mutex);
  all.fakes.erase(this);
}

absl::Status DataPlane::Start() { return absl::OkStatus(); }

absl::Status DataPlane::PrepareListeners(const std::vector<Listener>& listeners) {
  FakeDataPlane& fake = FakeDataPlane::Of(*this);
  const std::lock_guard lock(fake.mutex_);
  ++fake.prepare_calls_;
  for (const Listener& listener : listeners) {
    const std::string address = absl::StrCat(listener.address, ":", listener.port);
    if (!fake.taken_.contains(address)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "listener ", listener.name, ": cannot listen on ", address, ": address already in use"));
  }
  return absl::OkStatus();
}

void DataPlane::SetTable(std::shared_ptr<const ProxyTable> table,
                         absl::AnyInvocable<void()> switched) {
  FakeDataPlane& fake = FakeDataPlane::Of(*this);
  {
    const std::lock_guard lock(fake.mutex_);
    fake.tables_.push_back(std::move(table));
    if (fake.hold_) {
      fake.switches_.push_back(std::move(switched));
      return;
    }
  }
  switched();
}

void DataPlane::OnDrained(std::function<void()> callback) {
  FakeDataPlane& fake = FakeDataPlane::Of(*this);
  const std::lock_guard lock(fake.mutex_);
  fake.on_drained_ = std::move(callback);
}

CertificateReload DataPlane::ReloadCertificates() { return {}; }

std::vector<CertificateStats> DataPlane::Certificates() const {
  return {{"/etc/tls/a.pem", {"example.com"}, 1'800'000'000, ""}};
}

void DataPlane::RotateTicketKeys() {}
std::string DataPlane::ShareTicketKeys() const { return {}; }
absl::Status DataPlane::InheritTicketKeys(const std::string& /*keys*/) { return absl::OkStatus(); }
void DataPlane::ReopenAccessLog() {}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the real one keeps them
void DataPlane::Inherit(std::vector<ListeningSockets> /*sockets*/) {}
std::vector<std::string> DataPlane::DropInherited() { return {}; }
std::vector<ListeningSockets> DataPlane::ShareListeners() const { return {}; }
void DataPlane::Drain(const DrainPlan& /*plan*/, absl::AnyInvocable<void()> done) { done(); }

DataPlaneStats DataPlane::Stats() const {
  FakeDataPlane& fake = FakeDataPlane::Of(*this);
  const std::lock_guard lock(fake.mutex_);
  return fake.stats_;
}

}  // namespace pando::proxy
