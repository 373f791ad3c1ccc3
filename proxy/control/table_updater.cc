#include "proxy/control/table_updater.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"
#include "proxy/control/xds_decode.h"

namespace pando::proxy {
namespace {

constexpr Millis kListenRetry{1'000};
constexpr Millis kSaveInterval{100};
constexpr size_t kMaxReasons = 8;  // of one NACK

std::string Text(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

TableUpdater::TableUpdater(Executor& loop, DataPlane& data_plane)
    : loop_(loop), data_plane_(data_plane) {}

void TableUpdater::Restore(const XdsSnapshot& snapshot) {
  XdsSnapshot good;
  std::array<XdsUpdate, kXdsTypes.size()> updates;
  // Clusters and listeners first: they say which endpoints and routes are wanted.
  for (const XdsType type :
       {XdsType::kCluster, XdsType::kListener, XdsType::kEndpoints, XdsType::kRoute}) {
    for (const auto& [name, resource] : snapshot.of(type)) {
      XdsUpdate update;
      update.type = type;
      update.resources[name] = resource;
      absl::StatusOr<Decoded> decoded = Decode(update);
      if (decoded.ok() && type == XdsType::kListener) {
        const absl::Status status = builder_.CheckListeners(decoded->listeners, {});
        if (!status.ok()) decoded = status;
      }
      if (!decoded.ok()) {
        LogWarn("saved resource left out", {{"error", Text(decoded.status())}});
        continue;
      }
      Commit(update, *std::move(decoded));
    }
  }
  if (subscription_.snapshot() == XdsSnapshot()) return;
  source_ = Source::kFile;
  Apply();
}

void TableUpdater::OnConnected() {
  // The server sends them again if it still wants them.
  deferred_.clear();
  connect_waits_ = switching_;
  if (!connect_waits_) SendFirstRequests();
}

void TableUpdater::OnDisconnected() {
  connect_waits_ = false;
  subscription_.OnDisconnected();
}

void TableUpdater::SendFirstRequests() { Send(subscription_.OnConnected()); }

void TableUpdater::OnUpdate(const XdsUpdate& update) {
  absl::StatusOr<Decoded> decoded = Decode(update);
  if (!decoded.ok()) return Refuse(update, decoded.status());
  if (update.type == XdsType::kListener) {
    for (const auto& [name, resource] : update.resources) deferred_.erase(name);
    for (const std::string& name : update.removed) deferred_.erase(name);
    if (const absl::Status status = Bind(update, *decoded); !status.ok()) {
      return Refuse(update, status);
    }
  }
  source_ = Source::kController;
  accepted_.push_back(Commit(update, *std::move(decoded)));
  Apply();
}

absl::StatusOr<TableUpdater::Decoded> TableUpdater::Decode(const XdsUpdate& update) const {
  Decoded decoded;
  std::vector<std::string> reasons;
  const auto take = [&reasons](auto result, auto& into) {
    if (result.ok()) {
      into.push_back(*std::move(result));
    } else if (reasons.size() < kMaxReasons) {
      reasons.push_back(Text(result.status()));
    }
  };
  for (const auto& [name, resource] : update.resources) {
    if (!subscription_.Wanted(update.type, name)) continue;
    switch (update.type) {
      case XdsType::kCluster:
        take(DecodeCluster(name, resource.any_bytes), decoded.clusters);
        break;
      case XdsType::kEndpoints: {
        std::vector<std::vector<Endpoint>> endpoints;
        take(DecodeEndpoints(name, resource.any_bytes), endpoints);
        if (!endpoints.empty()) decoded.endpoints.emplace_back(name, std::move(endpoints[0]));
        break;
      }
      case XdsType::kListener:
        take(DecodeListener(name, resource.any_bytes), decoded.listeners);
        break;
      case XdsType::kRoute:
        take(DecodeRoutes(name, resource.any_bytes), decoded.routes);
        break;
    }
  }
  if (!reasons.empty()) return absl::InvalidArgumentError(absl::StrJoin(reasons, "; "));
  return decoded;
}

absl::Status TableUpdater::Bind(const XdsUpdate& update, const Decoded& decoded) {
  PANDO_RETURN_IF_ERROR(builder_.CheckListeners(decoded.listeners, update.removed));
  absl::Status status = data_plane_.PrepareListeners(decoded.listeners);
  if (status.ok()) return status;
  for (const auto& [name, resource] : update.resources) deferred_[name] = {resource, Text(status)};
  RetrySoon();
  return status;
}

XdsReceipt TableUpdater::Commit(const XdsUpdate& update, Decoded decoded) {
  XdsReceipt receipt = subscription_.Accept(update);
  for (ClusterSpec& cluster : decoded.clusters) builder_.SetCluster(std::move(cluster));
  for (auto& [name, endpoints] : decoded.endpoints) {
    builder_.SetEndpoints(name, std::move(endpoints));
  }
  for (Listener& listener : decoded.listeners) builder_.SetListener(std::move(listener));
  for (RouteTable& routes : decoded.routes) builder_.SetRoutes(std::move(routes));
  for (const std::string& name : update.removed) {
    if (update.type == XdsType::kCluster) builder_.RemoveCluster(name);
    if (update.type == XdsType::kListener) builder_.RemoveListener(name);
  }
  NamedResources names = builder_.Prune();
  Send(subscription_.Want(std::move(names.endpoints), std::move(names.routes)));
  dirty_ = true;
  return receipt;
}

void TableUpdater::Refuse(const XdsUpdate& update, const absl::Status& reason) {
  ++nacks_total_;
  LogWarn("update refused", {{"type", TypeUrl(update.type)}, {"error", Text(reason)}});
  Send({XdsSubscription::Nack(update, Text(reason))});
}

void TableUpdater::Apply() {
  if (switching_ || !dirty_) return;
  dirty_ = false;
  switching_ = true;
  in_switch_ = std::exchange(accepted_, {});
  std::map<std::string, std::string> unbound;
  auto table = builder_.Build(++last_version_, [&](const Listener& listener) {
    const absl::Status status = data_plane_.PrepareListeners({listener});
    if (!status.ok()) unbound[listener.name] = Text(status);
    return status.ok();
  });
  for (const auto& [name, error] : unbound) {
    if (!unbound_.contains(name)) LogError("listener waits for its address", {{"error", error}});
  }
  unbound_ = std::move(unbound);
  if (!unbound_.empty()) RetrySoon();
  data_plane_.SetTable(table, [this, table, &loop = loop_, alive = std::weak_ptr(alive_)] {
    loop.Post([this, table, alive] {
      if (!alive.expired()) OnSwitched(table);
    });
  });
}

void TableUpdater::OnSwitched(std::shared_ptr<const ProxyTable> table) {
  switching_ = false;
  table_ = std::move(table);
  for (const XdsReceipt& receipt : std::exchange(in_switch_, {})) {
    if (auto ack = subscription_.Ack(receipt)) Send({*std::move(ack)});
  }
  if (hooks_.switched) hooks_.switched(table_);
  SaveSoon();
  Apply();
  if (connect_waits_ && !switching_) {
    connect_waits_ = false;
    SendFirstRequests();
  }
}

std::map<std::string, std::string> TableUpdater::ListenErrors() const {
  std::map<std::string, std::string> errors = unbound_;
  for (const auto& [name, deferred] : deferred_) errors[name] = deferred.error;
  return errors;
}

void TableUpdater::RetrySoon() {
  if (std::exchange(retry_scheduled_, true)) return;
  After(kListenRetry, [this] {
    retry_scheduled_ = false;
    RetryListeners();
  });
}

void TableUpdater::RetryListeners() {
  for (const auto& [name, deferred] : std::exchange(deferred_, {})) {
    XdsUpdate update;
    update.type = XdsType::kListener;
    update.resources[name] = deferred.resource;
    absl::StatusOr<Decoded> decoded = Decode(update);
    if (!decoded.ok() || !Bind(update, *decoded).ok()) {
      deferred_.try_emplace(name, deferred);
      continue;
    }
    LogInfo("listener got its address", {{"listener", name}});
    Commit(update, *std::move(decoded));
  }
  for (const Listener& listener : builder_.ReadyListeners()) {
    if (!unbound_.contains(listener.name)) continue;
    if (!data_plane_.PrepareListeners({listener}).ok()) continue;
    LogInfo("listener got its address", {{"listener", listener.name}});
    dirty_ = true;
  }
  Apply();
  if (!deferred_.empty() || !unbound_.empty()) RetrySoon();
}

void TableUpdater::SaveSoon() {
  if (!hooks_.save || std::exchange(save_scheduled_, true)) return;
  const Instant due = last_save_ + kSaveInterval;
  const auto wait = std::chrono::ceil<Millis>(std::max(due - loop_.Now(), Instant::duration{0}));
  After(wait, [this] {
    save_scheduled_ = false;
    last_save_ = loop_.Now();
    hooks_.save(subscription_.snapshot());
  });
}

void TableUpdater::Send(const std::vector<XdsRequest>& requests) {
  for (const XdsRequest& request : requests) {
    if (hooks_.send) hooks_.send(request);
  }
}

void TableUpdater::After(Millis delay, std::function<void()> task) {
  loop_.RunAfter(delay, [alive = std::weak_ptr(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

}  // namespace pando::proxy
