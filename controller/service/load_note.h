// What a load report (LRS) says of traffic: for people (see load_book.h), and of each instance as
// evidence for or against its release (see controller/core/evidence.h).
#pragma once

#include <utility>
#include <vector>

#include "controller/core/evidence.h"
#include "controller/service/load_book.h"
#include "envoy/service/load_stats/v3/lrs.pb.h"

namespace pando::controller {

// Reports without an interval (a word on drains between two reports) say nothing of traffic.
void NoteLoad(const envoy::service::load_stats::v3::LoadStatsRequest& request, const ProxyId& proxy,
              Instant now, LoadBook& book);

// Those instances only that had requests.
std::vector<std::pair<AssignmentId, Load>> ToLoads(
    const envoy::service::load_stats::v3::LoadStatsRequest& request);

}  // namespace pando::controller
