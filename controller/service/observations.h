// What the controller keeps beside the cluster for people and monitoring: nothing in it decides
// anything. Used on the loop.
#pragma once

#include <string>
#include <utility>

#include "controller/service/load_book.h"
#include "controller/service/proxy_lag.h"
#include "controller/service/scrape_targets.h"

namespace pando::controller {

struct Observations {
  explicit Observations(std::string host_name) : targets(std::move(host_name)) {}

  ProxyLag lag;
  LoadBook load;
  ScrapeTargets targets;
};

}  // namespace pando::controller
