#include "tests/sim/model_controller.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/sim_world.h"

namespace pando::sim {

ModelController::ModelController(World& world, ClusterPolicy policy)
    : world_(world), policy_(policy) {}

void ModelController::Start() {
  ++life_;
  world_.Trace("controller starts");
  const Instant now = world_.executor.Now();
  cluster_ = std::make_unique<Cluster>(
      policy_, store_.Load(), [this] { return world_.random.Number(); }, now);
  Call([](Cluster& cluster, Instant at, Effects& effects) { cluster.Start(at, effects); });
  // At least every 100 ms, as the contract says; and at wake_at, see Take.
  TickAt(now + Millis{100});
}

void ModelController::TickAt(std::optional<Instant> when) {
  if (!when) return;
  const Instant now = world_.executor.Now();
  const auto wait = *when > now ? std::chrono::ceil<Millis>(*when - now) : Millis{0};
  world_.executor.RunAfter(wait, [this, life = life_] {
    if (life != life_ || cluster_ == nullptr) return;
    if (world_.executor.Now() < world_.controller_hangs_until) {
      return TickAt(world_.controller_hangs_until);
    }
    Call([](Cluster& cluster, Instant at, Effects& effects) { cluster.Tick(at, effects); });
    TickAt(world_.executor.Now() + Millis{100});
  });
}

void ModelController::Crash() {
  if (cluster_ == nullptr) return;
  world_.Trace("controller crashes");
  ++life_;
  cluster_.reset();
  // Between the commit and what follows from it: written, but nobody was told.
  if (!uncommitted_.empty() && world_.random.Percent(50)) {
    store_.Apply(uncommitted_.front().writes);
  }
  uncommitted_.clear();
  agents_.clear();
  proxies_.clear();
  for (const std::weak_ptr<Link>& weak : std::exchange(links_, {})) {
    if (const auto link = weak.lock()) link->CloseBy(Link::kServer);
  }
  published_.clear();
  acked_.clear();
  last_generation_.clear();
  world_.ForgetSeen();
}

void ModelController::Command(const std::function<void(Cluster&, Instant, Effects&)>& command) {
  Call(command);
}

void ModelController::Call(const std::function<void(Cluster&, Instant, Effects&)>& call) {
  if (cluster_ == nullptr) return;
  Effects effects;
  call(*cluster_, world_.executor.Now(), effects);
  world_.CheckEffects(effects);
  Take(std::move(effects));
}

void ModelController::Take(Effects effects) {
  for (const UpstreamTable& table : effects.tables) {
    uint64_t& last = last_generation_[table.app];
    if (table.generation <= last) {
      world_.Violation(absl::StrCat("table of ", table.app.value, " went from generation ", last,
                                    " to ", table.generation));
    }
    last = table.generation;
  }
  if (effects.empty()) return;
  uncommitted_.push_back(std::move(effects));
  if (uncommitted_.size() == 1) CommitNext();
}

void ModelController::CommitNext() {
  const Millis delay =
      uncommitted_.front().writes.empty() ? Millis{0} : world_.random.Between(0, 8);
  world_.executor.RunAfter(delay, [this, life = life_] {
    if (life != life_) return;
    const Effects effects = std::move(uncommitted_.front());
    store_.Apply(effects.writes);
    Release(effects);
    uncommitted_.pop_front();
    if (!uncommitted_.empty()) CommitNext();
  });
}

void ModelController::Release(const Effects& effects) {
  for (const controller::NodeOrders& orders : effects.orders) {
    const auto session = agents_.find(orders.node);
    if (session == agents_.end()) continue;
    session->second.newest = orders.assignments;
    if (std::exchange(session->second.sending, true)) continue;
    // One write at a time, the newest orders win: an agent may never see those in between.
    world_.executor.RunAfter(world_.random.Between(0, 20),
                             [this, node = orders.node, link = session->second.link] {
                               const auto found = agents_.find(node);
                               if (found != agents_.end() && found->second.link == link) {
                                 SendOrders(node);
                               }
                             });
  }
  for (const UpstreamTable& table : effects.tables) {
    published_[table.app] = table;
    for (auto& [id, session] : proxies_) session.dirty.insert(table.app);
  }
  for (const AppId& app : effects.removed_tables) {
    published_.erase(app);
    last_generation_.erase(app);
    for (auto& [id, session] : proxies_) {
      session.sent.erase(app);
      session.dirty.erase(app);
      session.link->Send(Link::kClient, [proxy = session.proxy, app] { proxy->DropTable(app); });
    }
  }
  for (auto& [id, session] : proxies_) SendTables(session);
}

void ModelController::SendOrders(const NodeId& node) {
  AgentSession& session = agents_.at(node);
  session.sending = false;
  session.link->Send(Link::kClient, [agent = session.agent, orders = session.newest] {
    agent->TakeOrders(orders);
  });
}

// ---- agents ----

void ModelController::AcceptAgent(ModelAgent& agent, std::shared_ptr<Link> link, NodeHello hello) {
  const NodeId node = agent.node();
  links_.push_back(link);
  link->Send(Link::kServer, [this, &agent, node, link, hello = std::move(hello), life = life_] {
    if (life != life_ || cluster_ == nullptr) return;
    agents_[node] = {&agent, link, false, {}};  // a newer session replaces the older one
    link->OnClosed(Link::kServer, [this, node, weak = std::weak_ptr(link)] {
      const auto found = agents_.find(node);
      if (found == agents_.end() || found->second.link != weak.lock()) return;
      agents_.erase(found);
      Call([&](Cluster& c, Instant at, Effects& e) { c.NodeDisconnected(node, at, e); });
    });
    for (const InstanceReport& report : hello.instances) world_.ReportSeen(report);
    Call([&](Cluster& c, Instant at, Effects& e) {
      if (!c.NodeConnected(hello, at, e).ok()) agent.Rejected();
    });
  });
}

void ModelController::AgentHeartbeat(const NodeId& node) {
  Call([&](Cluster& c, Instant at, Effects& e) { c.NodeHeartbeat(node, at, e); });
}

void ModelController::AgentReport(const NodeId& node, const InstanceReport& report) {
  world_.ReportSeen(report);
  Call([&](Cluster& c, Instant at, Effects& e) { c.InstanceChanged(node, report, at, e); });
}

void ModelController::AgentGone(const NodeId& node, const AssignmentId& id) {
  Call([&](Cluster& c, Instant at, Effects& e) { c.InstanceGone(node, id, at, e); });
}

// ---- proxies ----

void ModelController::AcceptProxy(ModelProxy& proxy, std::shared_ptr<Link> link,
                                  std::map<AppId, UpstreamTable> has) {
  const ProxyId id = proxy.id();
  links_.push_back(link);
  link->Send(Link::kServer, [this, &proxy, id, link, has = std::move(has), life = life_] {
    if (life != life_ || cluster_ == nullptr) return;
    ProxySession& session = proxies_[id];
    session = {&proxy, link, has, {}, false};
    for (const auto& [app, table] : published_) acked_.erase({id, app});
    proxy.Welcomed();
    link->OnClosed(Link::kServer, [this, id, weak = std::weak_ptr(link)] {
      const auto found = proxies_.find(id);
      if (found == proxies_.end() || found->second.link != weak.lock()) return;
      proxies_.erase(found);
      Call([&](Cluster& c, Instant at, Effects& e) { c.ProxyDisconnected(id, at, e); });
    });
    Call([&](Cluster& c, Instant at, Effects& e) {
      c.ProxyConnected(id, {"sim", proxy.reports_drains()}, at, e);
    });
    const std::vector<AppId> apps = cluster_->apps();
    for (const auto& [app, table] : has) {
      // An app that exists may just not be published yet, after a start: the proxy keeps it.
      if (std::find(apps.begin(), apps.end(), app) != apps.end()) continue;
      session.sent.erase(app);
      link->Send(Link::kClient, [&proxy, app = app] { proxy.DropTable(app); });
    }
    for (const auto& [app, table] : published_) session.dirty.insert(app);
    SendTables(session);
  });
}

void ModelController::SendTables(ProxySession& session) {
  if (session.in_flight) return;
  std::vector<UpstreamTable> tables;
  std::vector<std::pair<AppId, uint64_t>> caught_up;
  for (const AppId& app : std::exchange(session.dirty, {})) {
    const UpstreamTable& table = published_.at(app);
    const auto sent = session.sent.find(app);
    if (sent != session.sent.end() && sent->second.endpoints == table.endpoints) {
      caught_up.emplace_back(app, table.generation);  // equal content is not sent again
      continue;
    }
    session.sent[app] = table;
    tables.push_back(table);
  }
  if (!tables.empty()) {
    session.in_flight = true;
    session.link->Send(Link::kClient,
                       [proxy = session.proxy, tables] { proxy->TakeTables(tables); });
  }
  if (caught_up.empty()) return;
  world_.executor.Post([this, link = session.link, proxy = session.proxy, caught_up, life = life_] {
    if (life != life_) return;
    const auto found = proxies_.find(proxy->id());
    if (found == proxies_.end() || found->second.link != link) return;
    for (const auto& [app, generation] : caught_up) {
      Call([&, app = app, generation = generation](Cluster& c, Instant at, Effects& e) {
        c.ProxyAcked(proxy->id(), app, generation, at, e);
      });
    }
  });
}

void ModelController::ProxyAcks(ModelProxy& proxy, std::shared_ptr<Link> link,
                                const std::vector<std::pair<AppId, uint64_t>>& acked) {
  const auto found = proxies_.find(proxy.id());
  if (found == proxies_.end() || found->second.link != link) return;
  found->second.in_flight = false;
  for (const auto& [app, generation] : acked) {
    uint64_t& last = acked_[{proxy.id(), app}];
    if (generation < last) {
      world_.Violation(absl::StrCat(proxy.id().value, " acknowledged ", app.value, " ", generation,
                                    " after ", last));
    }
    last = generation;
    Call([&, app = app, generation = generation](Cluster& c, Instant at, Effects& e) {
      c.ProxyAcked(proxy.id(), app, generation, at, e);
    });
  }
  if (const auto session = proxies_.find(proxy.id()); session != proxies_.end()) {
    SendTables(session->second);
  }
}

void ModelController::ProxyReports(const ProxyId& proxy, const AssignmentId& id,
                                   const controller::EndpointReport& report) {
  Call([&](Cluster& c, Instant at, Effects& e) { c.ProxyReported(proxy, id, report, at, e); });
}

}  // namespace pando::sim
