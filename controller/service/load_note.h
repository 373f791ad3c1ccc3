// Takes down what a load report (LRS) says of traffic, for people; see load_book.h.
#pragma once

#include "controller/service/load_book.h"
#include "envoy/service/load_stats/v3/lrs.pb.h"

namespace pando::controller {

// Reports without an interval (a word on drains between two reports) say nothing of traffic.
void NoteLoad(const envoy::service::load_stats::v3::LoadStatsRequest& request, const ProxyId& proxy,
              Instant now, LoadBook& book);

}  // namespace pando::controller
