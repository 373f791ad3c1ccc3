#include "controller/service/proxy_lag.h"

#include <algorithm>
#include <set>

namespace pando::controller {

void ProxyLag::Published(const AppId& app, uint64_t generation, Instant now) {
  Table& table = tables_[app];
  if (table.generation == generation) return;
  table = {generation, now};
  // Who is behind already stays so since then.
  for (auto& [proxy, behind] : behind_since_) behind.try_emplace(app, now);
}

void ProxyLag::Removed(const AppId& app) {
  tables_.erase(app);
  for (auto& [proxy, behind] : behind_since_) behind.erase(app);
}

void ProxyLag::Connected(const ProxyId& proxy, Instant now) {
  std::map<AppId, Instant>& behind = behind_since_[proxy];
  for (const auto& [app, table] : tables_) behind.try_emplace(app, now);
}

void ProxyLag::Acked(const ProxyId& proxy, const AppId& app, uint64_t generation) {
  const auto table = tables_.find(app);
  const auto behind = behind_since_.find(proxy);
  if (table == tables_.end() || behind == behind_since_.end()) return;
  if (generation >= table->second.generation) behind->second.erase(app);
}

void ProxyLag::Keep(const std::vector<ProxyStatus>& proxies) {
  std::set<ProxyId> known;
  for (const ProxyStatus& proxy : proxies) known.insert(proxy.id);
  std::erase_if(behind_since_, [&](const auto& entry) { return known.count(entry.first) == 0; });
}

Millis ProxyLag::Of(const ProxyId& proxy, Instant now) const {
  Millis lag{0};
  const auto behind = behind_since_.find(proxy);
  if (behind == behind_since_.end()) return lag;
  for (const auto& [app, since] : behind->second) {
    lag = std::max(lag, std::chrono::duration_cast<Millis>(now - since));
  }
  return lag;
}

std::optional<Millis> ProxyLag::TableAge(const AppId& app, Instant now) const {
  const auto table = tables_.find(app);
  if (table == tables_.end()) return std::nullopt;
  return std::chrono::duration_cast<Millis>(now - table->second.at);
}

}  // namespace pando::controller
