#include "proxy/core/table_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pando::proxy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ClusterSpec Spec(const std::string& name) {
  ClusterSpec spec;
  spec.name = name;
  spec.endpoints_name = name;
  return spec;
}

Endpoint At(uint16_t port) {
  Endpoint endpoint;
  endpoint.address = "127.0.0.1";
  endpoint.port = port;
  return endpoint;
}

bool Any(const Listener&) { return true; }

TEST(TableBuilderTest, ListenersWaitForTheirRoutes) {
  TableBuilder builder;
  builder.SetListener({"l", "0.0.0.0", 80, "r"});
  EXPECT_THAT(builder.Build(1, Any)->listeners, IsEmpty());
  builder.SetRoutes({"r", {}});
  EXPECT_THAT(builder.Build(2, Any)->listeners, SizeIs(1));
  EXPECT_THAT(builder.Build(3, [](const Listener&) { return false; })->listeners, IsEmpty());
}

TEST(TableBuilderTest, UnchangedClustersAreTheSameObjects) {
  TableBuilder builder;
  builder.SetCluster(Spec("a"));
  builder.SetCluster(Spec("b"));
  builder.SetEndpoints("a", {At(1)});
  const auto first = builder.Build(1, Any);
  builder.SetEndpoints("b", {At(2)});
  const auto second = builder.Build(2, Any);
  EXPECT_EQ(first->clusters.at("a"), second->clusters.at("a"));
  EXPECT_NE(first->clusters.at("b"), second->clusters.at("b"));
  EXPECT_EQ(second->version, 2u);
}

TEST(TableBuilderTest, CountersLiveOnFromTableToTable) {
  TableBuilder builder;
  builder.SetCluster(Spec("a"));
  builder.SetEndpoints("a", {At(1)});
  const auto first = builder.Build(1, Any);
  first->clusters.at("a")->endpoints[0].counters->in_flight = 5;
  Endpoint draining = At(1);
  draining.health = EndpointHealth::kDraining;
  builder.SetEndpoints("a", {At(2), draining});
  const auto second = builder.Build(2, Any);
  EXPECT_EQ(second->clusters.at("a")->endpoints[0].counters->in_flight, 0u);
  EXPECT_EQ(second->clusters.at("a")->endpoints[1].counters->in_flight, 5u);
}

TEST(TableBuilderTest, NamesWhatIsWantedAndDropsTheRest) {
  TableBuilder builder;
  ClusterSpec fixed = Spec("fixed");
  fixed.fixed_endpoints = std::vector{At(3)};
  builder.SetCluster(fixed);
  builder.SetCluster(Spec("a"));
  builder.SetListener({"l", "0.0.0.0", 80, "r"});
  builder.SetEndpoints("a", {At(1)});
  EXPECT_THAT(builder.Prune().endpoints, ElementsAre("a"));
  EXPECT_THAT(builder.Prune().routes, ElementsAre("r"));
  EXPECT_THAT(builder.Build(1, Any)->clusters.at("fixed")->endpoints, SizeIs(1));
  builder.RemoveCluster("a");
  EXPECT_THAT(builder.Prune().endpoints, IsEmpty());
  builder.SetCluster(Spec("a"));  // back, but its endpoints have to come again
  EXPECT_THAT(builder.Build(2, Any)->clusters.at("a")->endpoints, IsEmpty());
}

TEST(TableBuilderTest, TwoListenersCannotShareAnAddress) {
  TableBuilder builder;
  builder.SetListener({"a", "0.0.0.0", 80, "r"});
  builder.SetListener({"b", "::", 80, "r"});
  EXPECT_TRUE(builder.CheckListeners({{"a", "0.0.0.0", 80, "r2"}}, {}).ok());
  EXPECT_EQ(builder.CheckListeners({{"c", "::", 80, "r"}}, {}).message(),
            "listener c: address: [::]:80 is that of listener b");
  EXPECT_TRUE(builder.CheckListeners({{"c", "::", 80, "r"}}, {"b"}).ok());
  // They may swap.
  EXPECT_TRUE(builder.CheckListeners({{"a", "::", 80, "r"}, {"b", "0.0.0.0", 80, "r"}}, {}).ok());
}

}  // namespace
}  // namespace pando::proxy
