#include "proxy/net/data_plane.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/net/access_log.h"
#include "proxy/net/certificate_store.h"
#include "proxy/net/tls_ticket_keys.h"
#include "proxy/net/worker.h"

namespace pando::proxy {
namespace {

// Calls `done` when every worker has arrived, or when told that it is enough.
class Barrier {
 public:
  Barrier(size_t count, absl::AnyInvocable<void()> done) : left_(count), done_(std::move(done)) {}

  void Arrive() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) Finish();
  }
  void Finish() {
    if (!finished_.exchange(true, std::memory_order_acq_rel) && done_) done_();
  }

 private:
  std::atomic<size_t> left_;
  std::atomic<bool> finished_{false};
  absl::AnyInvocable<void()> done_;
};

// A socket that cannot be duplicated, for want of descriptors, is left out.
std::vector<UniqueFd> Duplicate(const std::vector<UniqueFd>& fds) {
  std::vector<UniqueFd> copies;
  for (const UniqueFd& fd : fds) {
    UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (copy.valid()) copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace

class DataPlane::Workers {
 public:
  explicit Workers(DataPlaneConfig config);
  ~Workers();
  absl::Status Start();
  absl::Status PrepareListeners(const std::vector<Listener>& listeners);
  void SetTable(std::shared_ptr<const ProxyTable> table, absl::AnyInvocable<void()> switched);
  void Inherit(std::vector<ListeningSockets> sockets);
  std::vector<std::string> DropInherited();
  std::vector<ListeningSockets> ShareListeners() const;
  void Drain(const DrainPlan& plan, absl::AnyInvocable<void()> done);
  DataPlaneStats Stats() const;
  CertificateReload ReloadCertificates();
  std::vector<CertificateStats> Certificates() const;
  TlsTicketKeys& ticket_keys() { return ticket_keys_; }
  void ReopenAccessLog() {
    if (access_log_ != nullptr) access_log_->Reopen();
  }

  std::function<void()> drained;

 private:
  // Of the listeners with TLS among these; those whose certificates cannot be loaded are left out.
  TlsContexts ContextsOf(const std::map<ListenAddress, TlsSettings>& listeners);
  // Of the table's clusters; handed from table to table.
  std::map<std::string, std::shared_ptr<SharedCluster>> SharedOf(const ProxyTable& table);

  const DataPlaneConfig config_;
  std::unique_ptr<AccessLog> access_log_;  // outlives the workers
  TlsTicketKeys ticket_keys_;              // outlives all connections
  CertificateStore certificates_{ticket_keys_};
  std::map<ListenAddress, TlsSettings> tls_listeners_;  // of the newest table
  using SocketMap = std::map<ListenAddress, std::vector<UniqueFd>>;

  // What was inherited for the listener, and more up to one a worker.
  absl::StatusOr<std::vector<UniqueFd>> SocketsFor(const Listener& listener, bool shared);

  std::map<std::string, std::shared_ptr<SharedCluster>> shared_clusters_;  // of the newest table
  SocketMap sockets_;    // no sockets once the workers have them
  SocketMap shared_;     // duplicates of those the workers have
  SocketMap inherited_;  // no listener asked for them yet
  std::atomic<uint64_t> tables_applied_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
};

DataPlane::Workers::Workers(DataPlaneConfig config) : config_(std::move(config)) {
  // A write to a socket never raises it here; a library's write to a pipe still could.
  std::signal(SIGPIPE, SIG_IGN);
  std::random_device random;
  int count = config_.workers;
  if (count <= 0) count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int i = 0; i < count; ++i) {
    const uint64_t seed = (uint64_t{random()} << 32) | random();
    workers_.push_back(std::make_unique<Worker>(config_, static_cast<size_t>(i), seed, drained));
  }
}

DataPlane::Workers::~Workers() {
  // All threads first: a task of one worker may hold the last reference to what another uses.
  for (const auto& worker : workers_) worker->Stop();
}

absl::Status DataPlane::Workers::Start() {
  if (!config_.access_log.empty()) {
    auto log = AccessLog::Open(config_.access_log, config_.access_log_format, workers_.size());
    if (!log.ok()) {
      return {log.status().code(), absl::StrCat("access log: ", log.status().message())};
    }
    access_log_ = *std::move(log);
    for (const auto& worker : workers_) worker->SetAccessLog(access_log_.get());
  }
  for (const auto& worker : workers_) worker->SetPeers(workers_);
  for (const auto& worker : workers_) {
    if (absl::Status status = worker->Start(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status DataPlane::Workers::PrepareListeners(const std::vector<Listener>& listeners) {
  std::map<ListenAddress, std::vector<UniqueFd>> opened;
  for (const Listener& listener : listeners) {
    if (listener.tls) {
      const auto context = certificates_.Get(*listener.tls);
      if (!context.ok()) {
        return {context.status().code(),
                absl::StrCat("listener ", listener.name, ": tls: ", context.status().message())};
      }
    }
    const ListenAddress address{listener.address, listener.port};
    if (sockets_.contains(address) || opened.contains(address)) continue;
    const auto same_port = [&](const auto& entry) { return entry.first.second == listener.port; };
    const bool shared = std::any_of(sockets_.begin(), sockets_.end(), same_port) ||
                        std::any_of(opened.begin(), opened.end(), same_port);
    absl::StatusOr<std::vector<UniqueFd>> sockets = SocketsFor(listener, shared);
    if (!sockets.ok()) return sockets.status();
    opened.emplace(address, *std::move(sockets));
  }
  sockets_.merge(opened);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<UniqueFd>> DataPlane::Workers::SocketsFor(const Listener& listener,
                                                                     bool shared) {
  auto inherited = inherited_.extract({listener.address, listener.port});
  std::vector<UniqueFd> sockets;
  if (!inherited.empty()) sockets = std::move(inherited.mapped());
  if (sockets.size() >= workers_.size()) return sockets;
  const auto missing = static_cast<int>(workers_.size() - sockets.size());
  absl::StatusOr<std::vector<UniqueFd>> opened =
      OpenListener(listener, missing, shared || !sockets.empty());
  if (!opened.ok()) return opened.status();
  std::ranges::move(*opened, std::back_inserter(sockets));
  return sockets;
}

void DataPlane::Workers::Inherit(std::vector<ListeningSockets> sockets) {
  for (ListeningSockets& of_address : sockets) {
    inherited_[{of_address.address, of_address.port}] = std::move(of_address.fds);
  }
}

std::vector<std::string> DataPlane::Workers::DropInherited() {
  std::vector<std::string> dropped;
  for (const auto& [address, fds] : std::exchange(inherited_, {})) {
    dropped.push_back(Spell(address));
  }
  return dropped;
}

std::vector<ListeningSockets> DataPlane::Workers::ShareListeners() const {
  std::vector<ListeningSockets> result;
  for (const auto& [address, fds] : shared_) {
    ListeningSockets& added = result.emplace_back();
    std::tie(added.address, added.port) = address;
    added.fds = Duplicate(fds);
  }
  return result;
}

void DataPlane::Workers::SetTable(std::shared_ptr<const ProxyTable> table,
                                  absl::AnyInvocable<void()> switched) {
  SocketMap kept;
  SocketMap shared;
  std::vector<std::pair<Listener, std::vector<UniqueFd>>> fresh;
  for (const Listener& listener : table->listeners) {
    const auto found = sockets_.find({listener.address, listener.port});
    if (found == sockets_.end()) continue;
    if (found->second.empty()) {
      shared.insert(shared_.extract(found->first));
    } else {
      shared[found->first] = Duplicate(found->second);
      fresh.emplace_back(listener, std::move(found->second));
    }
    kept.try_emplace(found->first);
    sockets_.erase(found);
  }
  sockets_ = std::move(kept);  // closes what was prepared but is not in the table
  shared_ = std::move(shared);

  tls_listeners_.clear();
  std::set<TlsSettings> settings;
  for (const Listener& listener : table->listeners) {
    if (!listener.tls) continue;
    tls_listeners_[{listener.address, listener.port}] = *listener.tls;
    settings.insert(*listener.tls);
  }
  certificates_.Keep(settings);
  auto compiled = std::make_shared<CompiledTable>(std::move(table));
  compiled->tls = ContextsOf(tls_listeners_);
  compiled->shared = SharedOf(*compiled->table);
  auto barrier =
      std::make_shared<Barrier>(workers_.size(), [this, switched = std::move(switched)]() mutable {
        tables_applied_.fetch_add(1, std::memory_order_relaxed);
        if (switched) switched();
      });
  for (size_t i = 0; i < workers_.size(); ++i) {
    std::vector<std::pair<Listener, UniqueFd>> sockets;
    for (auto& [listener, fds] : fresh) {
      // Inherited from a process with more workers, there may be more sockets than workers.
      for (size_t at = i; at < fds.size(); at += workers_.size()) {
        sockets.emplace_back(listener, std::move(fds[at]));
      }
    }
    Worker* worker = workers_[i].get();
    worker->Post([worker, compiled, barrier, sockets = std::move(sockets)]() mutable {
      worker->ApplyTable(compiled);
      for (auto& [listener, fd] : sockets) worker->StartListening(listener, std::move(fd));
      barrier->Arrive();
    });
  }
}

std::map<std::string, std::shared_ptr<SharedCluster>> DataPlane::Workers::SharedOf(
    const ProxyTable& table) {
  std::map<std::string, std::shared_ptr<SharedCluster>> next;
  for (const auto& [name, cluster] : table.clusters) {
    const auto known = shared_clusters_.find(name);
    auto shared =
        known == shared_clusters_.end() ? std::make_shared<SharedCluster>() : known->second;
    shared->SetOptions(*cluster);
    next.emplace(name, std::move(shared));
  }
  return shared_clusters_ = std::move(next);
}

TlsContexts DataPlane::Workers::ContextsOf(const std::map<ListenAddress, TlsSettings>& listeners) {
  TlsContexts contexts;
  for (const auto& [address, settings] : listeners) {
    if (auto context = certificates_.Get(settings); context.ok()) contexts[address] = *context;
  }
  return contexts;
}

CertificateReload DataPlane::Workers::ReloadCertificates() {
  CertificateStore::Reloaded reloaded = certificates_.Reload();
  if (reloaded.changed > 0) {
    for (const auto& worker : workers_) {
      worker->Post([worker = worker.get(), contexts = ContextsOf(tls_listeners_)] {
        worker->SetCertificates(contexts);
      });
    }
  }
  return {reloaded.changed, std::move(reloaded.errors)};
}

std::vector<CertificateStats> DataPlane::Workers::Certificates() const {
  std::vector<CertificateStats> result;
  for (CertificateStore::Status& status : certificates_.List()) {
    result.push_back({std::move(status.info.file), std::move(status.info.names),
                      status.info.not_after_seconds, std::move(status.error)});
  }
  return result;
}

void DataPlane::Workers::Drain(const DrainPlan& plan, absl::AnyInvocable<void()> done) {
  sockets_.clear();
  shared_.clear();
  inherited_.clear();
  auto barrier = std::make_shared<Barrier>(workers_.size(), std::move(done));
  for (const auto& worker : workers_) {
    worker->Post([worker = worker.get(), barrier, plan] {
      worker->RunAfter(plan.requests, [worker] { worker->CutRequests(); });
      worker->RunAfter(std::max(plan.requests, plan.tunnels), [barrier] { barrier->Finish(); });
      worker->Drain(plan, [barrier] { barrier->Arrive(); });
    });
  }
}

DataPlaneStats DataPlane::Workers::Stats() const {
  DataPlaneStats sum;
  std::map<std::string, ClusterStats> clusters;
  for (const auto& worker : workers_) worker->AddTo(clusters, sum);
  for (auto& [name, stats] : clusters) sum.clusters.push_back(std::move(stats));
  sum.tables_applied_total = tables_applied_.load(std::memory_order_relaxed);
  if (access_log_ != nullptr) {
    sum.access_log_lines_total = access_log_->lines_total();
    sum.access_log_dropped_total = access_log_->dropped_total();
  }
  return sum;
}

DataPlane::DataPlane(DataPlaneConfig config)
    : workers_(std::make_unique<Workers>(std::move(config))) {}
DataPlane::~DataPlane() = default;
absl::Status DataPlane::Start() { return workers_->Start(); }
absl::Status DataPlane::PrepareListeners(const std::vector<Listener>& listeners) {
  return workers_->PrepareListeners(listeners);
}
void DataPlane::SetTable(std::shared_ptr<const ProxyTable> table,
                         absl::AnyInvocable<void()> switched) {
  workers_->SetTable(std::move(table), std::move(switched));
}
void DataPlane::OnDrained(std::function<void()> callback) {
  workers_->drained = std::move(callback);
}
void DataPlane::Inherit(std::vector<ListeningSockets> sockets) {
  workers_->Inherit(std::move(sockets));
}
std::vector<std::string> DataPlane::DropInherited() { return workers_->DropInherited(); }
std::vector<ListeningSockets> DataPlane::ShareListeners() const {
  return workers_->ShareListeners();
}
void DataPlane::Drain(const DrainPlan& plan, absl::AnyInvocable<void()> done) {
  workers_->Drain(plan, std::move(done));
}
DataPlaneStats DataPlane::Stats() const { return workers_->Stats(); }
CertificateReload DataPlane::ReloadCertificates() { return workers_->ReloadCertificates(); }
std::vector<CertificateStats> DataPlane::Certificates() const { return workers_->Certificates(); }
void DataPlane::ReopenAccessLog() { workers_->ReopenAccessLog(); }
void DataPlane::RotateTicketKeys() { workers_->ticket_keys().Rotate(); }
std::string DataPlane::ShareTicketKeys() const { return workers_->ticket_keys().Share(); }
absl::Status DataPlane::InheritTicketKeys(const std::string& keys) {
  return workers_->ticket_keys().Inherit(keys);
}

}  // namespace pando::proxy
