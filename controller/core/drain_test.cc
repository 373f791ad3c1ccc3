#include "controller/core/drain.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

using std::chrono::seconds;

TEST(DrainTest, StopsOnlyWhatNoProxyUses) {
  const Instant now{seconds(100)};
  const auto proxy = [](std::string id, uint64_t acked, bool reports, bool empty) {
    return DrainProxy{ProxyId{std::move(id)}, acked, 0, reports, empty};
  };
  DrainProxy tunnels = proxy("p", 5, true, false);
  tunnels.tunnels = 2;
  DrainInput draining;  // shown draining since generation 5
  draining.unpickable_since = 5;
  draining.deadline = now + seconds(30);
  draining.tunnel_deadline = now + seconds(300);
  DrainInput unused = draining, unpublished = draining, late = draining;
  unused.unused = true;
  unpublished.unpickable_since.reset();
  late.deadline = now;
  DrainInput too_late = late;
  too_late.tunnel_deadline = now;

  struct Case {
    std::string name;
    DrainInput input;
    std::vector<DrainProxy> proxies;
    DrainResult want;
    std::vector<std::string> holders;
  };
  const Case cases[] = {
      {"no proxy", draining, {}, DrainResult::kDone, {}},
      {"acknowledged and empty", draining, {proxy("p", 5, true, true)}, DrainResult::kDone, {}},
      {"later table, empty", draining, {proxy("p", 9, true, true)}, DrainResult::kDone, {}},
      {"not acknowledged", draining, {proxy("p", 4, true, true)}, DrainResult::kWait, {"p"}},
      {"still in flight", draining, {proxy("p", 5, true, false)}, DrainResult::kWait, {"p"}},
      {"one of two holds",
       draining,
       {proxy("p", 5, true, true), proxy("q", 4, true, true)},
       DrainResult::kWait,
       {"q"}},
      {"a client that does not tell",
       draining,
       {proxy("p", 5, false, false)},
       DrainResult::kWait,
       {"p"}},
      {"still pickable in the last table",
       unpublished,
       {proxy("p", 5, true, true)},
       DrainResult::kWait,
       {"p"}},
      {"nothing can be in flight", unused, {proxy("p", 0, true, false)}, DrainResult::kDone, {}},
      {"time is over", late, {proxy("p", 4, true, false)}, DrainResult::kTimedOut, {"p"}},
      {"time is over, but not that of tunnels", late, {tunnels}, DrainResult::kWait, {"p"}},
      {"that of tunnels too", too_late, {tunnels}, DrainResult::kTimedOut, {"p"}},
      {"over, and done", late, {proxy("p", 5, true, true)}, DrainResult::kDone, {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const DrainVerdict verdict = JudgeDrain(c.input, c.proxies, now);
    EXPECT_EQ(verdict.result, c.want);
    std::vector<std::string> holders;
    for (const ProxyId& id : verdict.holders) holders.push_back(id.value);
    EXPECT_EQ(holders, c.holders);
  }
}

}  // namespace
}  // namespace pando::controller
