#include "tests/sim/model_proxy.h"

#include <algorithm>
#include <utility>

#include "controller/core/upstream_table.h"
#include "tests/sim/sim_world.h"

namespace pando::sim {

using controller::Health;
using controller::IsPickable;

ModelProxy::ModelProxy(World& world, std::string name, bool reports_drains)
    : world_(world), id_{std::move(name)}, reports_drains_(reports_drains) {
  ConnectLater();
  SendRequests();
}

// ---- sessions ----

void ModelProxy::ConnectLater() {
  if (connecting_) return;
  connecting_ = true;
  world_.executor.RunAfter(world_.random.Between(5, 500), [this] {
    connecting_ = false;
    if (cut_off_ || !world_.controller.running()) return ConnectLater();
    if (tables_link_ == nullptr) ConnectTables();
    if (reports_link_ == nullptr) ConnectReports();
  });
}

void ModelProxy::ConnectTables() {
  tables_link_ =
      std::make_shared<Link>(world_.executor, world_.random, world_.controller_hangs_until);
  std::weak_ptr<Link> weak = tables_link_;
  tables_link_->OnClosed(Link::kClient, [this, weak] {
    if (tables_link_ != weak.lock()) return;
    tables_link_ = nullptr;
    ConnectLater();
  });
  world_.controller.AcceptProxy(*this, tables_link_, tables_);
}

void ModelProxy::ConnectReports() {
  reports_link_ =
      std::make_shared<Link>(world_.executor, world_.random, world_.controller_hangs_until);
  std::weak_ptr<Link> weak = reports_link_;
  reports_link_->OnClosed(Link::kClient, [this, weak] {
    if (reports_link_ != weak.lock()) return;
    reports_link_ = nullptr;
    ConnectLater();
  });
  world_.controller.AcceptReports(reports_link_);
  ReportAll(reports_link_);
}

void ModelProxy::BreakTables() {
  if (tables_link_ != nullptr) tables_link_->Break();
}

void ModelProxy::BreakReports() {
  if (reports_link_ != nullptr) reports_link_->Break();
}

void ModelProxy::CutOff(bool cut) {
  cut_off_ = cut;
  if (!cut) return;
  BreakTables();
  BreakReports();
}

void ModelProxy::Restart() {
  ++life_;
  in_flight_.clear();
  reach_.clear();
  if (tables_ != saved_) lost_tables_ = true;
  tables_ = saved_;
  if (tables_link_ != nullptr) std::exchange(tables_link_, nullptr)->CloseBy(Link::kClient);
  if (reports_link_ != nullptr) std::exchange(reports_link_, nullptr)->CloseBy(Link::kClient);
  ConnectLater();
}

// ---- tables ----

// At most ten times a second, as a real proxy does: a crash may lose the last tables.
void ModelProxy::SaveSoon() {
  if (std::exchange(save_scheduled_, true)) return;
  world_.executor.RunAfter(Millis{100}, [this, life = life_] {
    save_scheduled_ = false;
    if (life == life_) saved_ = tables_;
  });
}

// Switching takes all workers a while; switches keep their order, and count only when they are
// done.
void ModelProxy::Switch(std::function<void(const std::shared_ptr<Link>&)> done) {
  const Instant now = world_.executor.Now();
  next_switch_ = std::max(next_switch_, now + world_.random.Between(0, 5));
  const auto wait = std::chrono::duration_cast<Millis>(next_switch_ - now);
  world_.executor.RunAfter(wait, [this, link = tables_link_, life = life_, done = std::move(done)] {
    if (life == life_ && link != nullptr && link == tables_link_) done(link);
  });
}

void ModelProxy::TakeTables(std::vector<UpstreamTable> tables) {
  Switch([this, tables = std::move(tables)](const std::shared_ptr<Link>& link) {
    std::vector<std::pair<AppId, uint64_t>> acked;
    for (const UpstreamTable& table : tables) {
      world_.TableApplied(*this, table);
      tables_[table.app] = table;
      acked.emplace_back(table.app, table.generation);
    }
    SaveSoon();
    link->Send(Link::kServer,
               [this, link, acked] { world_.controller.ProxyAcks(*this, link, acked); });
    for (const UpstreamTable& table : tables) {
      for (const Endpoint& e : table.endpoints) {
        if (e.health == Health::kDraining) ReportIfEmpty(e.assignment);
      }
    }
  });
}

void ModelProxy::DropTable(const AppId& app) {
  Switch([this, app](const std::shared_ptr<Link>&) {
    tables_.erase(app);
    SaveSoon();
  });
}

bool ModelProxy::MayPick(const AssignmentId& id) const {
  for (const auto& [app, table] : tables_) {
    for (const Endpoint& e : table.endpoints) {
      if (e.assignment == id && IsPickable(e)) return true;
    }
  }
  return false;
}

uint64_t ModelProxy::InFlight(const AssignmentId& id) const {
  const auto found = in_flight_.find(id);
  return found == in_flight_.end() ? 0 : found->second;
}

// ---- requests ----

void ModelProxy::SendRequests() {
  world_.executor.RunAfter(world_.random.Between(20, 300), [this] {
    for (const auto& [app, table] : tables_) Request(table);
    SendRequests();
  });
}

void ModelProxy::Request(const UpstreamTable& table) {
  std::vector<const Endpoint*> healthy;
  std::vector<const Endpoint*> suspect;
  for (const Endpoint& e : table.endpoints) {
    if (e.health == Health::kHealthy) healthy.push_back(&e);
    if (e.health == Health::kSuspect) suspect.push_back(&e);
  }
  const auto& candidates = healthy.empty() ? suspect : healthy;
  if (candidates.empty()) return;
  const Endpoint& chosen = *candidates[world_.random.Below(candidates.size())];
  const Process* process = world_.ProcessAt(chosen);
  world_.Picked(chosen, process);
  controller::Reach& reach = reach_[chosen.assignment];
  if (process == nullptr || process->assignment.id != chosen.assignment) {  // refused
    reach.unreachable_at = world_.executor.Now();
    return;
  }
  reach.answered_at = world_.executor.Now();
  const AssignmentId id = chosen.assignment;
  ++in_flight_[id];
  const Millis hold = world_.random.Percent(1) ? world_.random.Between(3'000, 7'000)
                                               : world_.random.Between(5, 400);
  world_.executor.RunAfter(hold, [this, id, life = life_, epoch = epoch_[id]] {
    if (life != life_ || epoch != epoch_[id]) return;
    if (--in_flight_[id] == 0) {
      in_flight_.erase(id);
      ReportIfEmpty(id);
    }
  });
}

void ModelProxy::Reset(const AssignmentId& id) {
  ++epoch_[id];
  if (in_flight_.erase(id) > 0) ReportIfEmpty(id);
}

// ---- reports ----

void ModelProxy::ReportOne(const Endpoint& endpoint) {
  if (reports_link_ == nullptr || !reports_drains_) return;
  reports_link_->Send(
      Link::kServer,
      [this, id = endpoint.assignment, count = InFlight(endpoint.assignment),
       draining = endpoint.health == Health::kDraining, reach = reach_[endpoint.assignment]] {
        controller::EndpointReport report;
        report.in_flight = count;
        report.draining = draining;
        report.reach = reach;
        world_.controller.ProxyReports(id_, id, report);
      });
}

void ModelProxy::ReportIfEmpty(const AssignmentId& id) {
  if (InFlight(id) > 0) return;
  for (const auto& [app, table] : tables_) {
    for (const Endpoint& e : table.endpoints) {
      if (e.assignment == id && e.health == Health::kDraining) ReportOne(e);
    }
  }
}

void ModelProxy::ReportAll(std::shared_ptr<Link> link) {
  for (const auto& [app, table] : tables_) {
    for (const Endpoint& e : table.endpoints) ReportOne(e);
  }
  world_.executor.RunAfter(Millis{1'000}, [this, link] {
    if (link == reports_link_) ReportAll(link);
  });
}

}  // namespace pando::sim
