#include <gmock/gmock.h>

#include "absl/status/status.h"
#include "controller/core/cluster_harness.h"

namespace pando::controller {
namespace {

using ::testing::HasSubstr;

TEST(ClusterOperatorsTest, ReplicasBelongToOperators) {
  struct Step {
    enum { kApply, kScale } what;
    std::optional<uint32_t> number;
    uint32_t want;
    std::string source;
  };
  struct Case {
    std::string name;
    std::vector<Step> steps;
  };
  const Case cases[] = {
      {"nothing said: one", {{Step::kApply, {}, 1, "default"}}},
      {"the spec says", {{Step::kApply, 3, 3, "spec"}}},
      {"scale survives apply",
       {{Step::kApply, 4, 4, "spec"},
        {Step::kScale, 8, 8, ""},
        {Step::kApply, 4, 8, "kept: set by scale, spec says 4"}}},
      {"a new number in the spec holds",
       {{Step::kApply, 4, 4, "spec"}, {Step::kScale, 8, 8, ""}, {Step::kApply, 5, 5, "spec"}}},
      {"a spec without a number keeps it",
       {{Step::kApply, 4, 4, "spec"}, {Step::kApply, {}, 4, "kept"}}},
      {"zero is a number", {{Step::kApply, 0, 0, "spec"}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ClusterHarness h;
    for (const Step& step : c.steps) {
      if (step.what == Step::kScale) {
        EXPECT_TRUE(h.Scale(*step.number).ok());
      } else {
        const auto outcome = h.Apply("v1", step.number);
        ASSERT_TRUE(outcome.ok());
        EXPECT_EQ(outcome->at(0).replicas_source, step.source);
        EXPECT_EQ(outcome->at(0).replicas, step.want);
      }
      EXPECT_EQ(h.Status().app.replicas, step.want);
      EXPECT_EQ(h.model.apps().at(kWeb).replicas, step.want);
    }
  }
}

TEST(ClusterOperatorsTest, EqualSpecsMakeNoRevision) {
  ClusterHarness h;
  const auto first = h.Apply("v1", 1);
  const auto again = h.Apply("v1", 1);
  const auto changed = h.Apply("v2", 1);
  EXPECT_EQ(first->at(0).old_revision, 0u);
  EXPECT_EQ(first->at(0).revision, 1u);
  EXPECT_EQ(again->at(0).revision, 1u);
  EXPECT_EQ(again->at(0).generation, first->at(0).generation);
  EXPECT_EQ(changed->at(0).old_revision, 1u);
  EXPECT_EQ(changed->at(0).revision, 2u);
  EXPECT_GT(changed->at(0).generation, first->at(0).generation);
}

TEST(ClusterOperatorsTest, DryRunChangesNothing) {
  ClusterHarness h;
  const auto outcome = h.Do([&](Effects& e) {
    return h.cluster->Apply({{kWeb, ClusterHarness::Config("v1"), 2}}, {}, {.dry_run = true}, h.now,
                            e);
  });
  EXPECT_EQ(outcome->at(0).revision, 1u);
  EXPECT_TRUE(h.last.empty());
  EXPECT_TRUE(h.cluster->apps().empty());
}

TEST(ClusterOperatorsTest, ErrorsChangeNothing) {
  ClusterHarness h;
  RevisionConfig api = ClusterHarness::Config("api");
  api.path = "/api";
  ASSERT_TRUE(h.Apply({{AppId{"api"}, api, 1}}).ok());
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  RevisionConfig thief = ClusterHarness::Config("thief");
  thief.path = "/api/";

  struct Case {
    std::string name;
    std::vector<AppRequest> requests;
    absl::StatusCode want;
    std::string text;
  };
  const AppRequest good{AppId{"zz"}, api, 1};
  const Case cases[] = {
      {"route taken by another app",
       {{AppId{"other"}, thief, 1}},
       absl::StatusCode::kInvalidArgument,
       "api and other both claim host * path /api"},
      {"two of one request",
       {{AppId{"x"}, thief, 1}, {AppId{"y"}, thief, 1}},
       absl::StatusCode::kInvalidArgument,
       "both claim"},
      {"too many replicas",
       {{kWeb, ClusterHarness::Config("v1"), 10'001}},
       absl::StatusCode::kInvalidArgument,
       "10001"},
      {"twice the same app",
       {{kWeb, thief, 1}, {kWeb, thief, 1}},
       absl::StatusCode::kInvalidArgument,
       "twice"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto outcome = h.Apply(c.requests);
    EXPECT_EQ(outcome.status().code(), c.want);
    EXPECT_THAT(std::string(outcome.status().message()), HasSubstr(c.text));
    EXPECT_TRUE(h.last.empty());
    EXPECT_EQ(h.cluster->apps().size(), 2u);
  }
  EXPECT_EQ(h.Scale(10'001).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      h.Do([&](Effects& e) { return h.cluster->ScaleBy(kWeb, -2, h.now, e); }).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      h.Do([&](Effects& e) { return h.cluster->Remove(AppId{"no"}, h.now, e); }).status().code(),
      absl::StatusCode::kNotFound);
}

TEST(ClusterOperatorsTest, RoutesMayBeSwappedInOneApply) {
  ClusterHarness h;
  RevisionConfig a = ClusterHarness::Config("a"), b = ClusterHarness::Config("b");
  a.path = "/a";
  b.path = "/b";
  ASSERT_TRUE(h.Apply({{AppId{"a"}, a, 1}, {AppId{"b"}, b, 1}}).ok());
  std::swap(a.path, b.path);
  EXPECT_TRUE(h.Apply({{AppId{"a"}, a, 1}, {AppId{"b"}, b, 1}}).ok());
  EXPECT_EQ(h.routing.routes.at(0).path, "/b");
}

TEST(ClusterOperatorsTest, StopKeepsTheAppAndStartBringsItBack) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  h.Do([&](Effects& e) { return h.cluster->SetStopped(kWeb, true, h.now, e); }).IgnoreError();
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_TRUE(h.model.assignments().empty());
  ASSERT_TRUE(h.Apply("v2", 2).ok());  // stays stopped
  h.Settle();
  EXPECT_TRUE(h.model.assignments().empty());
  EXPECT_EQ(h.routing.routes.size(), 1u);
  h.Do([&](Effects& e) { return h.cluster->SetStopped(kWeb, false, h.now, e); }).IgnoreError();
  h.Settle();
  EXPECT_EQ(h.Status().available, 2u);
  EXPECT_EQ(h.Of(1).at(0).revision, 2u);
}

TEST(ClusterOperatorsTest, RemoveDrainsThenForgetsAndSurvivesARestart) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  h.ConnectProxy("p");
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  h.Settle();
  const AssignmentId id = h.Of(1).at(0).id;
  EXPECT_TRUE(h.Do([&](Effects& e) { return h.cluster->Remove(kWeb, h.now, e); }).ok());
  EXPECT_TRUE(h.routing.routes.empty());
  EXPECT_EQ(h.Shown(), "web.1:draining");
  EXPECT_EQ(h.Apply("v1", 1).status().code(), absl::StatusCode::kFailedPrecondition);

  h.Restart();
  EXPECT_TRUE(h.routing.routes.empty());
  ASSERT_TRUE(h.Connect(h.HelloWithAll("n1")).ok());
  h.ConnectProxy("p");
  EXPECT_EQ(h.Shown(), "web.1:draining");
  h.Ack("p");
  EXPECT_TRUE(h.Ordered(id));
  h.InFlight("p", id, 0, true);
  EXPECT_FALSE(h.Ordered(id));
  h.Gone(id);
  EXPECT_EQ(h.last.removed_tables, std::vector<AppId>{kWeb});
  EXPECT_TRUE(h.model.apps().empty());
  EXPECT_TRUE(h.model.revisions().empty());
  EXPECT_TRUE(h.model.assignments().empty());
  EXPECT_TRUE(h.Apply("v1", 1).ok());
}

TEST(ClusterOperatorsTest, RestartIsANewRevisionOfTheSameSpec) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 2).ok());
  h.Settle();
  const auto outcome = h.Do([&](Effects& e) { return h.cluster->Restart(kWeb, h.now, e); });
  EXPECT_EQ(outcome->revision, 2u);
  EXPECT_EQ(h.cluster->FindRevision(kWeb, 2)->reason, "restart");
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  EXPECT_EQ(h.Of(2).at(0).revision, 2u);
}

TEST(ClusterOperatorsTest, KeepsTheLastTenRevisionsAndThoseInUse) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Apply("v1", 1).ok());
  h.Round();  // revision 1 runs on
  for (int i = 2; i <= 20; ++i) ASSERT_TRUE(h.Apply("v" + std::to_string(i), 1).ok());
  EXPECT_EQ(h.model.revisions().count({kWeb, 1}), 1u);
  EXPECT_EQ(h.model.revisions().size(), 11u);
  h.Settle();
  EXPECT_TRUE(h.Status().settled);
  ASSERT_TRUE(h.Apply("v21", 1).ok());
  EXPECT_EQ(h.model.revisions().count({kWeb, 1}), 0u);
}

TEST(ClusterOperatorsTest, CordonedNodesTakeNothingNew) {
  ClusterHarness h;
  ASSERT_TRUE(h.Connect("n1").ok());
  ASSERT_TRUE(h.Connect("n2").ok());
  EXPECT_TRUE(
      h.Do([&](Effects& e) { return h.cluster->SetCordoned(NodeId{"n1"}, true, h.now, e); }).ok());
  ASSERT_TRUE(h.Apply("v1", 3).ok());
  EXPECT_EQ(h.PerNode(), (std::map<std::string, int>{{"n2", 3}}));
  EXPECT_EQ(
      h.Do([&](Effects& e) { return h.cluster->SetCordoned(NodeId{"no"}, true, h.now, e); }).code(),
      absl::StatusCode::kNotFound);
}

TEST(ClusterOperatorsTest, GatewaysAreRouting) {
  ClusterHarness h;
  const auto apply = [&](Gateway gateway) {
    return h.Do([&](Effects& e) { return h.cluster->Apply({}, {gateway}, {}, h.now, e); });
  };
  EXPECT_TRUE(apply({"default", "0.0.0.0", 8080}).ok());
  EXPECT_TRUE(h.last.routing.has_value());
  EXPECT_TRUE(apply({"default", "0.0.0.0", 8080}).ok());
  EXPECT_FALSE(h.last.routing.has_value());
  EXPECT_EQ(apply({"second", "0.0.0.0", 8080}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ClusterOperatorsTest, ARedirectToHttpsClaimsItsPortAndItsName) {
  ClusterHarness h;
  const auto apply = [&](Gateway gateway) {
    const auto result =
        h.Do([&](Effects& e) { return h.cluster->Apply({}, {gateway}, {}, h.now, e); });
    return std::string(result.status().message());
  };
  Gateway secure{"default", "0.0.0.0", 8443};
  secure.tls = GatewayTls{{{"/a.pem", "/a.key"}}, false, 8080, 443};
  EXPECT_EQ(apply(secure), "");
  EXPECT_TRUE(h.last.routing.has_value());
  EXPECT_EQ(apply({"plain", "0.0.0.0", 8080}),
            "gateways default and plain both claim 0.0.0.0:8080");
  EXPECT_EQ(
      apply({"default-redirect", "0.0.0.0", 9000}),
      "gateway default-redirect: the name is that of the redirect to default (choose another)");
  EXPECT_EQ(apply({"plain", "127.0.0.1", 8080}),
            "gateways default and plain both claim port 8080: 0.0.0.0:8080 and 127.0.0.1:8080 "
            "overlap");
}

TEST(ClusterOperatorsTest, ARemovedGatewayLeavesItsPortAndIsForgotten) {
  ClusterHarness h;
  const std::vector<Gateway> both = {{"default", "0.0.0.0", 80}, {"edge", "0.0.0.0", 81}};
  ASSERT_TRUE(h.Do([&](Effects& e) { return h.cluster->Apply({}, both, {}, h.now, e); }).ok());
  const auto remove = [&](const std::string& name) {
    return h.Do([&](Effects& e) { return h.cluster->RemoveGateway(name, h.now, e); });
  };
  EXPECT_TRUE(remove("edge").ok());
  EXPECT_EQ(h.last.routing->gateways.size(), 1u);
  EXPECT_EQ(h.Count("gateway-removed"), 1u);
  const absl::Status again = remove("edge");
  EXPECT_EQ(again.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(std::string(again.message()), "no such gateway: edge (there are: default)");
  h.Restart();
  EXPECT_EQ(h.cluster->GetGateways().size(), 1u);
  const std::vector<Gateway> other = {{"other", "0.0.0.0", 81}};
  EXPECT_TRUE(h.Do([&](Effects& e) { return h.cluster->Apply({}, other, {}, h.now, e); }).ok());
}

TEST(ClusterOperatorsTest, GatewaysOfOnePortNeedAddressesOfTheirOwn) {
  struct Case {
    std::string name;
    std::string first, second;
    std::string want;  // empty: both fit
  };
  const Case cases[] = {
      {"two addresses", "127.0.0.1", "10.0.0.1", ""},
      {"two of IPv6", "::1", "fd00::1", ""},
      {"one of each family", "127.0.0.1", "::1", ""},
      {"all of each family", "0.0.0.0", "::", ""},
      {"all, and one of the other family", "0.0.0.0", "::1", ""},
      {"the same", "::1", "::1", "gateways a and b both claim [::1]:80"},
      {"one of all", "0.0.0.0", "127.0.0.1",
       "gateways a and b both claim port 80: 0.0.0.0:80 and 127.0.0.1:80 overlap"},
      {"all with one", "127.0.0.1", "0.0.0.0",
       "gateways a and b both claim port 80: 127.0.0.1:80 and 0.0.0.0:80 overlap"},
      {"one of all of IPv6", "::", "::1",
       "gateways a and b both claim port 80: [::]:80 and [::1]:80 overlap"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ClusterHarness h;
    const std::vector<Gateway> both = {{"a", c.first, 80}, {"b", c.second, 80}};
    const auto result = h.Do([&](Effects& e) { return h.cluster->Apply({}, both, {}, h.now, e); });
    EXPECT_EQ(std::string(result.status().message()), c.want);
    EXPECT_EQ(h.cluster->GetGateways().size(), c.want.empty() ? 2u : 0u);
  }
}

TEST(ClusterOperatorsTest, GatewaysThatOverlapSinceEverStopNoOtherChange) {
  ClusterHarness h;
  h.model.Apply({PutGateway{{"a", "0.0.0.0", 80}}, PutGateway{{"b", "127.0.0.1", 80}}});
  h.Restart();
  const auto apply = [&](Gateway gateway) {
    return h.Do([&](Effects& e) { return h.cluster->Apply({}, {gateway}, {}, h.now, e); }).status();
  };
  EXPECT_TRUE(h.Apply("v1", 1).ok());
  EXPECT_TRUE(apply({"c", "0.0.0.0", 81}).ok());
  EXPECT_FALSE(apply({"c", "0.0.0.0", 80}).ok());
  EXPECT_FALSE(apply({"b", "127.0.0.2", 80}).ok());
  EXPECT_TRUE(apply({"b", "127.0.0.1", 82}).ok());
}

}  // namespace
}  // namespace pando::controller
