#include "proxy/core/xds_subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::proxy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Texts = std::vector<std::string>;

// "EDS +a -b {c=1} nonce 5 error bad"
std::string Text(const XdsRequest& request) {
  std::string text = std::array{"CDS", "EDS", "LDS", "RDS"}[static_cast<size_t>(request.type)];
  for (const std::string& name : request.subscribe) absl::StrAppend(&text, " +", name);
  for (const std::string& name : request.unsubscribe) absl::StrAppend(&text, " -", name);
  if (!request.initial_versions.empty()) {
    absl::StrAppend(&text, " {",
                    absl::StrJoin(request.initial_versions, " ", absl::PairFormatter("=")), "}");
  }
  if (!request.response_nonce.empty()) absl::StrAppend(&text, " nonce ", request.response_nonce);
  if (request.error) absl::StrAppend(&text, " error ", *request.error);
  return text;
}

Texts All(const std::vector<XdsRequest>& requests) {
  Texts texts;
  for (const XdsRequest& request : requests) texts.push_back(Text(request));
  return texts;
}

XdsUpdate Update(XdsType type, const std::string& nonce, XdsResources resources,
                 std::vector<std::string> removed = {}) {
  return {type, nonce, std::move(resources), std::move(removed)};
}

TEST(XdsSubscriptionTest, StartsWithWildcards) {
  XdsSubscription subscription;
  EXPECT_THAT(All(subscription.OnConnected()), ElementsAre("CDS", "LDS"));
}

TEST(XdsSubscriptionTest, SubscribesWhatIsNamedAndOnlyTheDifference) {
  XdsSubscription subscription;
  subscription.OnConnected();
  EXPECT_THAT(All(subscription.Want({"a", "b"}, {"r"})), ElementsAre("EDS +a +b", "RDS +r"));
  EXPECT_THAT(All(subscription.Want({"a", "b"}, {"r"})), IsEmpty());
  EXPECT_THAT(All(subscription.Want({"b", "c"}, {})), ElementsAre("EDS +c -a", "RDS -r"));
  EXPECT_TRUE(subscription.Wanted(XdsType::kEndpoints, "c"));
  EXPECT_FALSE(subscription.Wanted(XdsType::kEndpoints, "a"));
  EXPECT_TRUE(subscription.Wanted(XdsType::kCluster, "any"));
}

TEST(XdsSubscriptionTest, TellsAgainEverythingOnANewStream) {
  XdsSubscription subscription;
  subscription.OnConnected();
  subscription.Accept(Update(XdsType::kCluster, "1", {{"a", {"c1", ""}}}));
  subscription.Want({"a"}, {"r"});
  subscription.Accept(Update(XdsType::kEndpoints, "1", {{"a", {"e1", ""}}}));
  subscription.OnDisconnected();
  EXPECT_THAT(All(subscription.Want({"a", "b"}, {"r"})), IsEmpty());
  EXPECT_THAT(All(subscription.OnConnected()),
              ElementsAre("CDS {a=c1}", "EDS +a +b {a=e1}", "LDS", "RDS +r"));
}

TEST(XdsSubscriptionTest, ARestoredSnapshotIsToldAtTheFirstConnection) {
  XdsSubscription subscription;
  XdsSnapshot snapshot;
  snapshot.of(XdsType::kCluster)["a"] = {"c1", ""};
  snapshot.of(XdsType::kEndpoints)["a"] = {"e1", ""};
  snapshot.of(XdsType::kEndpoints)["stale"] = {"e0", ""};
  subscription.Restore(snapshot);
  subscription.Want({"a"}, {});
  EXPECT_THAT(All(subscription.OnConnected()), ElementsAre("CDS {a=c1}", "EDS +a {a=e1}", "LDS"));
}

TEST(XdsSubscriptionTest, RemovedClustersGoButEndpointsStayWhileTheyAreNamed) {
  XdsSubscription subscription;
  subscription.OnConnected();
  subscription.Accept(Update(XdsType::kCluster, "1", {{"a", {"1", ""}}, {"b", {"1", ""}}}));
  subscription.Want({"a", "b"}, {});
  subscription.Accept(Update(XdsType::kEndpoints, "1", {{"a", {"1", ""}}, {"b", {"1", ""}}}));
  subscription.Accept(Update(XdsType::kEndpoints, "2", {}, {"a"}));
  EXPECT_TRUE(subscription.snapshot().of(XdsType::kEndpoints).contains("a"));
  subscription.Accept(Update(XdsType::kCluster, "2", {}, {"a"}));
  EXPECT_FALSE(subscription.snapshot().of(XdsType::kCluster).contains("a"));
  subscription.Want({"b"}, {});
  EXPECT_FALSE(subscription.snapshot().of(XdsType::kEndpoints).contains("a"));
  // On its way when it was unsubscribed.
  subscription.Accept(Update(XdsType::kEndpoints, "3", {{"a", {"2", ""}}}));
  EXPECT_FALSE(subscription.snapshot().of(XdsType::kEndpoints).contains("a"));
}

TEST(XdsSubscriptionTest, AcksBelongToTheirStream) {
  XdsSubscription subscription;
  subscription.OnConnected();
  const XdsReceipt receipt = subscription.Accept(Update(XdsType::kListener, "7", {}));
  EXPECT_EQ(Text(*subscription.Ack(receipt)), "LDS nonce 7");
  subscription.OnDisconnected();
  EXPECT_FALSE(subscription.Ack(receipt));
  subscription.OnConnected();
  EXPECT_FALSE(subscription.Ack(receipt));
}

TEST(XdsSubscriptionTest, NacksSayWhy) {
  EXPECT_EQ(Text(XdsSubscription::Nack(Update(XdsType::kRoute, "3", {}), "no")),
            "RDS nonce 3 error no");
}

}  // namespace
}  // namespace pando::proxy
