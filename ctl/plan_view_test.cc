#include "ctl/plan_view.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

namespace pando::ctl {
namespace {

v1::ApplyResponse Plan(const std::string& text) {
  v1::ApplyResponse plan;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &plan)) << text;
  return plan;
}

TEST(PlanViewTest, SaysWhatDiffersWhatIsDoneAndWhoseNumberHolds) {
  const v1::ApplyResponse plan = Plan(R"(
      apps { name: 'web' old_revision: 41 revision: 42 old_replicas: 8 replicas: 8
             replicas_source: 'kept: set by scale, spec says 4'
             changes { field: 'env.LEVEL' old_value: 'info' new_value: 'debug' }
             changes { field: 'env.NEW' new_value: '1' }
             changes { field: 'env.OLD' old_value: '2' }
             steps: 'replaces 8 instances' warnings: 'no node has disk=ssd' }
      apps { name: 'api' revision: 1 replicas: 2 replicas_source: 'spec' steps: 'starts 2' }
      gateways: 'edge'
      gateway_plans { name: 'edge' changes { field: 'port' new_value: '443' } }
      gateway_plans { name: 'default' old_version: 5 })");
  EXPECT_EQ(PlanText(plan, false),
            "web: r41 -> r42  replicas 8 (kept: set by scale, spec says 4)\n"
            "  ~ env.LEVEL: info -> debug\n"
            "  + env.NEW: 1\n"
            "  - env.OLD: 2\n"
            "  replaces 8 instances\n"
            "  warning: no node has disk=ssd\n"
            "api: new, r1  replicas 2\n"
            "  starts 2\n"
            "gateway edge: new\n"
            "  + port: 443\n"
            "gateway default: unchanged\n");
  EXPECT_EQ(PlanSummary(plan), "2 apps, 1 gateway to change");
  EXPECT_TRUE(IsPending(plan));
}

TEST(PlanViewTest, NothingToChangeIsSaidSo) {
  const v1::ApplyResponse plan = Plan(
      "apps { name: 'web' old_revision: 3 revision: 3 old_replicas: 8 replicas: 8 } "
      "gateway_plans { name: 'default' old_version: 5 }");
  EXPECT_FALSE(IsPending(plan));
  EXPECT_EQ(PlanSummary(plan), "nothing to change");
  EXPECT_TRUE(IsPending(Plan("apps { old_revision: 3 revision: 3 old_replicas: 8 replicas: 9 }")));
}

TEST(PlanViewTest, WhatApplyWouldRefuseIsSaidSo) {
  const v1::ApplyResponse plan =
      Plan("apps { name: 'web' old_revision: 2 revision: 4 refused: 'this is what r3 was' }");
  EXPECT_EQ(PlanText(plan, false), "web: r2 -> r4  replicas 0\n  refused: this is what r3 was\n");
}

TEST(PlanViewTest, ValuesNeitherBreakLinesNorSteerTheTerminal) {
  const v1::ApplyResponse plan = Plan(
      "apps { name: 'web' old_revision: 1 revision: 2 "
      "changes { field: 'env.A' old_value: 'a\\nb' new_value: '\\033[31m\\t' } }");
  EXPECT_EQ(PlanText(plan, false), "web: r1 -> r2  replicas 0\n  ~ env.A: a\\nb -> \\x1b[31m\\t\n");
}

}  // namespace
}  // namespace pando::ctl
