#include "controller/core/routing.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

// Paths match whole segments: "/api" and "/api/" are the same.
std::string NormalizedPath(const std::string& path) {
  std::string normalized = path.empty() ? "/" : path;
  while (normalized.size() > 1 && normalized.back() == '/') normalized.pop_back();
  return normalized;
}

}  // namespace

std::optional<RouteConflict> FindRouteConflict(const std::vector<RoutingConfig::AppRoute>& routes) {
  std::map<std::pair<std::string, std::string>, AppId> owners;
  for (const RoutingConfig::AppRoute& route : routes) {
    for (const std::string& host : route.hosts) {
      const std::string lower = absl::AsciiStrToLower(host);
      const std::string path = NormalizedPath(route.path);
      const auto [owner, added] = owners.try_emplace({lower, path}, route.app);
      if (added || owner->second == route.app) continue;
      return RouteConflict{owner->second, route.app,
                           absl::StrCat(owner->second.value, " and ", route.app.value,
                                        " both claim host ", lower, " path ", path)};
    }
  }
  return std::nullopt;
}

RoutingConfig::AppRoute ToAppRoute(const AppId& app, const RevisionConfig& config) {
  return {.app = app,
          .hosts = config.hosts,
          .path = config.path,
          .lb_policy = config.lb_policy,
          .bounds = config.bounds,
          .balancing = config.balancing};
}

}  // namespace pando::controller
