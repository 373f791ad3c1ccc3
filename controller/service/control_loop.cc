#include "controller/service/control_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/runtime/log.h"
#include "controller/service/agent_translate.h"
#include "controller/service/registry_metrics.h"

namespace pando::controller {
namespace {

constexpr Millis kTickInterval{100};
constexpr Millis kViewInterval{20};
constexpr Millis kForgetInterval{60'000};

// What somebody should look at stands out in the log.
LogLevel LevelOf(const std::string& kind) {
  if (kind == "frozen") return LogLevel::kError;
  for (const char* warned :
       {"node-suspect", "node-lost", "unfrozen", "drain-timeout", "crash-loop",
        "node-drain-deadline", "pending", "proxy-nack", "proxy-forgotten", "prepare-failed"}) {
    if (kind == warned) return LogLevel::kWarn;
  }
  return LogLevel::kInfo;
}

}  // namespace

ControlLoop::ControlLoop(Executor& loop, StoreThread& store, ClusterPolicy policy,
                         LoadedState state, std::vector<v1::EventRecord> events,
                         Cluster::Random random, Metrics& metrics)
    : loop_(loop),
      store_(store),
      cluster_id_(state.record.cluster_id()),
      term_(state.record.term()),
      cluster_(policy, std::move(state.cluster), std::move(random), loop.Now()),
      timeline_(std::move(events), kMaxEvents),
      events_total_(AddCounterFamily(metrics, kEventsTotal)),
      next_event_(state.next_event_sequence) {}

void ControlLoop::Start(Outlets outlets) {
  outlets_ = std::move(outlets);
  Do([](Cluster& cluster, Instant now, Effects& effects) { cluster.Start(now, effects); });
  TickEvery100Millis();
  ForgetOldEvents();
}

void ControlLoop::Stop() {
  stopped_ = true;
  for (Batch& batch : std::exchange(queue_, {})) {
    if (!batch.released) continue;
    batch.released(absl::UnavailableError(
        "the controller is shutting down; the change may have been kept, look again"));
  }
}

void ControlLoop::Do(Decision decide, Released released, const std::vector<StoreWrite>* also) {
  if (stopped_) {
    if (released) released(absl::UnavailableError("the controller is shutting down"));
    return;
  }
  Effects effects;
  decide(cluster_, loop_.Now(), effects);
  ViewChanged();
  Admit(std::move(effects), std::move(released), also);
}

void ControlLoop::DoQuietly(Decision decide) {
  if (stopped_) return;
  Effects effects;
  decide(cluster_, loop_.Now(), effects);
  if (!effects.empty() || !effects.changed_apps.empty()) ViewChanged();
  Admit(std::move(effects), nullptr);
}

void ControlLoop::Admit(Effects effects, Released released, const std::vector<StoreWrite>* also) {
  if (effects.wake_at) WakeAt(*effects.wake_at);
  if (effects.empty() && !released) return;

  Batch batch;
  batch.sequence = next_batch_++;
  batch.gated = !effects.writes.empty() || (also != nullptr && !also->empty());
  batch.tables = std::move(effects.tables);
  batch.removed_tables = std::move(effects.removed_tables);
  batch.routing = std::move(effects.routing);
  batch.released = std::move(released);
  // Now, not at release: a later decision may have forgotten a revision by then.
  for (const NodeOrders& orders : effects.orders) {
    v1::Orders message = ToOrders(orders, cluster_);
    message.set_term(term_);
    message.set_version(next_orders_version_++);
    message.set_cluster_id(cluster_id_);
    batch.orders.emplace_back(orders.node, std::move(message));
  }

  const int64_t wall_ms = ToUnixMillis(loop_.WallNow());
  std::vector<StoreWrite> writes;
  if (also != nullptr) writes = *also;
  for (const Write& write : effects.writes) writes.push_back(ToStoreWrite(write, wall_ms));
  for (TimelineEvent& event : effects.events) {
    v1::EventRecord& record = batch.events.emplace_back();
    record.set_sequence(next_event_++);
    record.set_time_unix_ms(wall_ms);
    record.set_kind(std::move(event.kind));
    record.set_app(std::move(event.app.value));
    record.set_instance(std::move(event.instance));
    record.set_node(std::move(event.node.value));
    record.set_message(std::move(event.message));
    for (StoreWrite& write : ToStoreWrites(record)) writes.push_back(std::move(write));
  }
  if (batch.gated) {
    store_.Commit(std::move(writes), [this, sequence = batch.sequence] {
      committed_through_ = sequence;
      Release();
    });
  } else if (!writes.empty()) {
    // Only history: kept, but nobody has to wait for it.
    store_.Commit(std::move(writes), nullptr);
  }
  queue_.push_back(std::move(batch));
  Release();
}

void ControlLoop::Release() {
  if (releasing_) return;  // called by something a batch set off: the outer call goes on
  releasing_ = true;
  while (!queue_.empty() && !stopped_) {
    if (queue_.front().gated && queue_.front().sequence > committed_through_) break;
    Batch batch = std::move(queue_.front());
    queue_.pop_front();
    Send(batch);
  }
  releasing_ = false;
}

void ControlLoop::Send(Batch& batch) {
  for (auto& [node, orders] : batch.orders) outlets_.orders(node, std::move(orders));
  for (const UpstreamTable& table : batch.tables) outlets_.table(table);
  if (batch.routing) outlets_.routing(*batch.routing);
  for (const AppId& app : batch.removed_tables) outlets_.table_removed(app);
  for (v1::EventRecord& event : batch.events) Record(std::move(event));
  if (batch.released) batch.released(absl::OkStatus());
}

void ControlLoop::Record(v1::EventRecord event) {
  events_total_.Add({{"kind", event.kind()}}).Increment();
  const std::string& subject = !event.instance().empty() ? event.instance()
                               : !event.app().empty()    ? event.app()
                                                         : event.node();
  const LogLevel level = LevelOf(event.kind());
  if (event.node().empty() || &subject == &event.node()) {
    Log(level, event.kind(), {{"subject", subject}, {"detail", event.message()}});
  } else {
    Log(level, event.kind(),
        {{"subject", subject}, {"node", event.node()}, {"detail", event.message()}});
  }
  timeline_.Add(std::move(event));
}

void ControlLoop::TickEvery100Millis() {
  if (stopped_) return;
  DoQuietly([](Cluster& cluster, Instant now, Effects& effects) { cluster.Tick(now, effects); });
  loop_.RunAfter(kTickInterval, [this] { TickEvery100Millis(); });
}

void ControlLoop::ForgetOldEvents() {
  if (stopped_) return;
  std::vector<StoreWrite> writes;
  for (const uint64_t sequence :
       timeline_.DropBefore(ToUnixMillis(loop_.WallNow()) - kMaxEventAgeMs)) {
    writes.push_back(DeleteEvent(sequence));
  }
  if (!writes.empty()) store_.Commit(std::move(writes), nullptr);
  loop_.RunAfter(kForgetInterval, [this] { ForgetOldEvents(); });
}

void ControlLoop::WakeAt(Instant when) {
  const Instant now = loop_.Now();
  if (when - now >= kTickInterval) return;  // the regular tick is there in time, and asks again
  if (next_wake_ && *next_wake_ > now && *next_wake_ <= when) return;
  next_wake_ = when;
  // Rounded up: waking before `when` would only ask to be woken again; never a busy loop.
  loop_.RunAfter(std::max(Millis{1}, std::chrono::ceil<Millis>(when - now)), [this, when] {
    if (next_wake_ != when) return;
    next_wake_.reset();
    DoQuietly([](Cluster& cluster, Instant at, Effects& effects) { cluster.Tick(at, effects); });
  });
}

uint64_t ControlLoop::Watch(std::function<void()> changed) {
  watchers_.emplace(next_watcher_, std::move(changed));
  return next_watcher_++;
}

void ControlLoop::Unwatch(uint64_t id) { watchers_.erase(id); }

void ControlLoop::ViewChanged() {
  if (std::exchange(view_changed_, true)) return;
  loop_.RunAfter(kViewInterval, [this] {
    view_changed_ = false;
    // A watcher may end itself or another one while it is told.
    for (auto it = watchers_.begin(); it != watchers_.end();) {
      const uint64_t id = it->first;
      const auto changed = it->second;
      changed();
      it = watchers_.upper_bound(id);
    }
  });
}

}  // namespace pando::controller
