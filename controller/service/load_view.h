// What GetLoad of the Admin API shows, from what proxies and agents said.
#pragma once

#include "controller/core/cluster.h"
#include "controller/service/load_book.h"
#include "pando/v1/admin.pb.h"

namespace pando::controller {

// `app` empty: all apps and their instances. Nodes are always all.
v1::LoadView ToLoadView(const Cluster& cluster, const LoadBook& load, const AppId& app, Instant now,
                        WallTime wall_now);

}  // namespace pando::controller
