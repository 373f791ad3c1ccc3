#include "controller/service/proxy_lag.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

const AppId kWeb{"web"};
const AppId kApi{"api"};
const ProxyId kEdge{"edge-1"};

Instant At(int64_t ms) { return Instant{Millis{ms}}; }

TEST(ProxyLagTest, AProxyIsBehindUntilItAcknowledgesTheNewestTable) {
  ProxyLag lag;
  lag.Connected(kEdge, At(0));
  EXPECT_EQ(lag.Of(kEdge, At(50)), Millis{0});
  lag.Published(kWeb, 1, At(100));
  lag.Published(kWeb, 2, At(300));
  EXPECT_EQ(lag.Of(kEdge, At(400)), Millis{300});
  lag.Acked(kEdge, kWeb, 1);
  EXPECT_EQ(lag.Of(kEdge, At(500)), Millis{400}) << "an old table is not the newest";
  lag.Acked(kEdge, kWeb, 2);
  EXPECT_EQ(lag.Of(kEdge, At(600)), Millis{0});
}

TEST(ProxyLagTest, TheAppThatWaitsLongestCounts) {
  ProxyLag lag;
  lag.Connected(kEdge, At(0));
  lag.Published(kWeb, 1, At(0));
  lag.Published(kApi, 2, At(500));
  EXPECT_EQ(lag.Of(kEdge, At(1'000)), Millis{1'000});
  lag.Acked(kEdge, kWeb, 1);
  EXPECT_EQ(lag.Of(kEdge, At(1'000)), Millis{500});
  lag.Removed(kApi);
  EXPECT_EQ(lag.Of(kEdge, At(1'000)), Millis{0});
}

TEST(ProxyLagTest, TheSameTablePublishedAgainMakesNobodyLate) {
  ProxyLag lag;
  lag.Connected(kEdge, At(0));
  lag.Published(kWeb, 1, At(0));
  lag.Acked(kEdge, kWeb, 1);
  lag.Published(kWeb, 1, At(100));
  EXPECT_EQ(lag.Of(kEdge, At(900)), Millis{0});
}

TEST(ProxyLagTest, ANewSessionHasEverythingToAcknowledge) {
  ProxyLag lag;
  lag.Published(kWeb, 1, At(0));
  lag.Connected(kEdge, At(1'000));
  EXPECT_EQ(lag.Of(kEdge, At(1'200)), Millis{200});
  lag.Connected(kEdge, At(2'000));
  EXPECT_EQ(lag.Of(kEdge, At(2'200)), Millis{1'200}) << "it was late before";
}

TEST(ProxyLagTest, WhoIsGoneIsForgotten) {
  ProxyLag lag;
  lag.Connected(kEdge, At(0));
  lag.Published(kWeb, 1, At(0));
  lag.Keep({});
  EXPECT_EQ(lag.Of(kEdge, At(500)), Millis{0});
}

TEST(ProxyLagTest, ATableIsAsOldAsItsLastChange) {
  ProxyLag lag;
  EXPECT_EQ(lag.TableAge(kWeb, At(0)), std::nullopt);
  lag.Published(kWeb, 1, At(100));
  lag.Published(kWeb, 1, At(200));
  EXPECT_EQ(lag.TableAge(kWeb, At(250)), Millis{150});
}

}  // namespace
}  // namespace pando::controller
