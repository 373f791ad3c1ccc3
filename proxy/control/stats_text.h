// The figures of /stats for people: a table of apps and their instances. Pure.
#pragma once

#include <string>

#include "proxy/core/traffic_stats.h"

namespace pando::proxy {

std::string StatsText(const DataPlaneStats& stats);

}  // namespace pando::proxy
