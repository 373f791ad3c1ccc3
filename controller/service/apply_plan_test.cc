#include "controller/service/apply_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "controller/spec/parse.h"
#include "controller/store/records.h"

namespace pando::controller {
namespace {

using ::testing::IsEmpty;

v1::AppSpec Spec(const std::string& env) {
  const auto specs =
      ParseSpecs("name: web\ncommand: [a]\nenv: {LEVEL: " + env + "}\n", ParseOptions());
  EXPECT_TRUE(specs.ok()) << specs.status();
  return specs.ok() ? specs->apps[0] : v1::AppSpec();
}

AppStatus Before(uint32_t replicas, bool stopped = false) {
  AppStatus before;
  before.app.id = {"web"};
  before.app.revision = 3;
  before.app.generation = 7;
  before.app.replicas = replicas;
  before.app.stopped = stopped;
  before.config = ToRevisionConfig(Spec("info"));
  return before;
}

ApplyOutcome Outcome(uint32_t old_revision, uint32_t revision, uint32_t replicas) {
  ApplyOutcome outcome;
  outcome.app = {"web"};
  outcome.old_revision = old_revision;
  outcome.revision = revision;
  outcome.replicas = replicas;
  outcome.replicas_source = "spec";
  outcome.generation = 8;
  return outcome;
}

TEST(ApplyPlanTest, SaysWhatIsDone) {
  struct Case {
    std::string name;
    std::optional<AppStatus> before;
    ApplyOutcome outcome;
    std::vector<std::string> want;
  };
  const Case cases[] = {
      {"new", std::nullopt, Outcome(0, 1, 3), {"starts 3 instances"}},
      {"new, none wanted", std::nullopt, Outcome(0, 1, 0), {"starts nothing: replicas is 0"}},
      {"nothing", Before(8), Outcome(3, 3, 8), {}},
      {"a release",
       Before(8),
       Outcome(3, 4, 8),
       {"replaces 8 instances, 2 at a time, the new ones first"}},
      {"a release of one", Before(1), Outcome(3, 4, 1), {"replaces 1 instance, the new one first"}},
      {"only more", Before(8), Outcome(3, 3, 10), {"starts 2 more"}},
      {"only less", Before(8), Outcome(3, 3, 5), {"drains and stops 3"}},
      {"a release and less",
       Before(8),
       Outcome(3, 4, 5),
       {"replaces 5 instances, 2 at a time, the new ones first", "drains and stops 3"}},
      {"a release of none", Before(0), Outcome(3, 4, 0), {"starts nothing: replicas is 0"}},
      {"stopped",
       Before(8, true),
       Outcome(3, 4, 8),
       {"starts nothing: the app is stopped (ctl start web)"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const v1::ApplyResponse::App app =
        DescribeApp(c.outcome, c.before ? &*c.before : nullptr, Spec("info"));
    EXPECT_EQ(std::vector<std::string>(app.steps().begin(), app.steps().end()), c.want);
  }
}

TEST(ApplyPlanTest, ThePaceIsThatOfTheStrategy) {
  const auto step = [](const std::string& strategy) {
    const auto specs =
        ParseSpecs("name: web\ncommand: [a]\nstrategy: " + strategy + "\n", ParseOptions());
    EXPECT_TRUE(specs.ok()) << specs.status();
    const AppStatus before = Before(8);
    return DescribeApp(Outcome(3, 4, 8), &before, specs.value_or(ParsedSpecs()).apps.at(0))
        .steps(0);
  };
  EXPECT_EQ(step("{max_surge: 100%}"), "replaces 8 instances, all at once, the new ones first");
  EXPECT_EQ(step("{max_surge: 0, max_unavailable: 3}"),
            "replaces 8 instances, 3 at a time, the old ones first");
}

TEST(ApplyPlanTest, TellsTheDifferencesAndWhatTheyAreBasedOn) {
  const AppStatus before = Before(8);
  const auto app = DescribeApp(Outcome(3, 4, 5), &before, Spec("debug"));
  ASSERT_EQ(app.changes_size(), 2);
  EXPECT_EQ(app.changes(0).field(), "env.LEVEL");
  EXPECT_EQ(app.changes(0).old_value(), "info");
  EXPECT_EQ(app.changes(0).new_value(), "debug");
  EXPECT_EQ(app.changes(1).field(), "replicas");
  EXPECT_EQ(app.changes(1).old_value(), "8");
  EXPECT_EQ(app.changes(1).new_value(), "5");
  EXPECT_EQ(app.old_generation(), 7u);
  EXPECT_EQ(app.old_replicas(), 8u);
  EXPECT_THAT(DescribeApp(Outcome(0, 1, 3), nullptr, Spec("info")).changes(), IsEmpty());
}

TEST(ApplyPlanTest, AGatewaysFingerprintIsThatOfItsContent) {
  Gateway gateway;
  const uint64_t plain = FingerprintOf(gateway);
  EXPECT_NE(plain, 0u);
  EXPECT_EQ(FingerprintOf(Gateway()), plain);
  gateway.port = 8081;
  EXPECT_NE(FingerprintOf(gateway), plain);

  const auto plan = DescribeGateway(&gateway, ToGatewaySpec(Gateway()));
  EXPECT_EQ(plan.old_version(), FingerprintOf(gateway));
  ASSERT_EQ(plan.changes_size(), 1);
  EXPECT_EQ(plan.changes(0).field(), "port");
  EXPECT_EQ(DescribeGateway(nullptr, ToGatewaySpec(gateway)).old_version(), 0u);
}

}  // namespace
}  // namespace pando::controller
