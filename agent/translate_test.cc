#include "agent/translate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;

TEST(TranslateTest, AnAssignmentGetsWhatItsRevisionSays) {
  v1::AppSpec spec = MakeSpec({"node", "server.js"});
  spec.set_dir("/srv/web");
  (*spec.mutable_env())["A"] = "1";
  spec.mutable_health()->set_kind(v1::HealthCheck::HTTP);
  spec.mutable_health()->set_path("/healthz");
  spec.mutable_stop()->set_signal("SIGINT");
  const std::vector<Assignment> assignments = ToAssignments(MakeOrders(spec, 2));
  ASSERT_EQ(assignments.size(), 2u);
  const Assignment& second = assignments[1];
  EXPECT_EQ(second.id.value, "web-2");
  EXPECT_EQ(InstanceName(second), "web.2");
  EXPECT_EQ(second.revision, 7u);
  EXPECT_THAT(second.command.argv, ElementsAre("node", "server.js"));
  EXPECT_EQ(second.command.dir, "/srv/web");
  EXPECT_EQ(second.command.env.at("A"), "1");
  EXPECT_EQ(second.probe.kind, ProbePolicy::Kind::kHttp);
  EXPECT_EQ(second.probe.path, "/healthz");
  EXPECT_EQ(second.probe.interval, Millis{50});
  EXPECT_EQ(second.stop.signal, SIGINT);
  EXPECT_EQ(second.stop.grace, Millis{5'000});
  EXPECT_EQ(second.restart.backoff.initial, Millis{20});
}

TEST(TranslateTest, AnAssignmentWithoutItsRevisionIsLeftOut) {
  v1::Orders orders = MakeOrders(MakeSpec({"x"}), 2);
  orders.mutable_assignments(0)->set_revision(8);
  EXPECT_EQ(ToAssignments(orders).size(), 1u);
}

TEST(TranslateTest, AShellGetsTheWordsAsOneLine) {
  v1::AppSpec spec = MakeSpec({"node", "server.js", "$ARGS"});
  spec.set_shell(true);
  EXPECT_THAT(ToAssignments(MakeOrders(spec, 1))[0].command.argv,
              ElementsAre("/bin/sh", "-c", "exec node server.js $ARGS"));
}

TEST(TranslateTest, AnExcerptHoldsOneAssignmentAndItsRevision) {
  const v1::Orders excerpt = Excerpt(MakeOrders(MakeSpec({"x"}), 3), "web-2");
  EXPECT_EQ(ToAssignments(excerpt).at(0).id.value, "web-2");
  EXPECT_EQ(excerpt.assignments_size(), 1);
  EXPECT_EQ(excerpt.revisions_size(), 1);
}

TEST(TranslateTest, StatusesAreValidUtf8) {
  InstanceStatus status;
  status.detail = "no such file: \xFF";
  EXPECT_EQ(ToProto(status).detail(), "no such file: \xEF\xBF\xBD");
}

TEST(TranslateTest, SignalsHaveNumbers) {
  EXPECT_EQ(SignalNumber("SIGTERM"), SIGTERM);
  EXPECT_EQ(SignalNumber("SIGQUIT"), SIGQUIT);
  EXPECT_EQ(SignalNumber("SIGUSR2"), SIGUSR2);
  EXPECT_EQ(SignalNumber("nonsense"), SIGTERM);
}

TEST(TranslateTest, AnInstallStepIsItsUsersAndWithoutAStepTheCodeIsAnybodys) {
  v1::Orders orders = MakeOrders(MakeSpec({"true"}), 1);
  v1::AppSpec& spec = *orders.mutable_revisions(0)->mutable_spec();
  spec.mutable_source()->set_digest(std::string(64, 'a'));
  spec.mutable_isolation()->set_user("web");
  spec.mutable_isolation()->set_group("www");
  const Artifact plain = ToAssignments(orders).at(0).artifact;
  EXPECT_EQ(plain.user + plain.group, "");
  spec.mutable_source()->add_install("make");
  const Artifact installed = ToAssignments(orders).at(0).artifact;
  EXPECT_EQ(installed.user, "web");
  EXPECT_EQ(installed.group, "www");
  spec.mutable_metrics()->set_path("/metrics");
  EXPECT_EQ(ToAssignments(orders).at(0).metrics_path, "/metrics");
}

}  // namespace
}  // namespace pando::agent
