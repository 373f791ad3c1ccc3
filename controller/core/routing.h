// Which app answers for which host and path. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

// Two apps with the same host and path.
struct RouteConflict {
  AppId first, second;  // in the order of the routes
  std::string text;     // "web and api both claim host shop.example.com path /"
};

// nullopt when there is no such pair.
std::optional<RouteConflict> FindRouteConflict(const std::vector<RoutingConfig::AppRoute>& routes);

RoutingConfig::AppRoute ToAppRoute(const AppId& app, const RevisionConfig& config);

}  // namespace pando::controller
