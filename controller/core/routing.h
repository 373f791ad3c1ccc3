// Which app answers for which host and path. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/model.h"

namespace pando::controller {

// "web and api both claim shop.example.com/": two apps with the same host and path; nullopt when
// there is no such pair.
std::optional<std::string> FindRouteConflict(const std::vector<RoutingConfig::AppRoute>& routes);

RoutingConfig::AppRoute ToAppRoute(const AppId& app, const RevisionConfig& config);

}  // namespace pando::controller
