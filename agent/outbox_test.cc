#include "agent/outbox.h"

#include <gtest/gtest.h>

namespace pando::agent {
namespace {

v1::InstanceStatus Status(const std::string& id, uint32_t incarnation) {
  v1::InstanceStatus status;
  status.set_assignment_id(id);
  status.set_incarnation(incarnation);
  return status;
}

v1::Heartbeat Beat(uint64_t orders_version) {
  v1::Heartbeat heartbeat;
  heartbeat.set_orders_version(orders_version);
  return heartbeat;
}

TEST(OutboxTest, TheNewestWordOfAnAssignmentWinsAndKeepsItsPlace) {
  Outbox outbox;
  outbox.Heartbeat(Beat(1));
  outbox.Status(Status("a", 1));
  outbox.Status(Status("b", 1));
  outbox.Status(Status("a", 2));
  outbox.Heartbeat(Beat(2));
  EXPECT_EQ(outbox.Next()->status().incarnation(), 2u);
  EXPECT_EQ(outbox.Next()->status().assignment_id(), "b");
  EXPECT_EQ(outbox.Next()->heartbeat().orders_version(), 2u);
  EXPECT_FALSE(outbox.Next().has_value());
  outbox.Status(Status("a", 3));
  EXPECT_EQ(outbox.Next()->status().incarnation(), 3u);
}

TEST(OutboxTest, GoneReplacesWhatWasToBeSaidBefore) {
  Outbox outbox;
  outbox.Status(Status("a", 1));
  outbox.Gone("a");
  EXPECT_EQ(outbox.Next()->gone().assignment_id(), "a");
  EXPECT_FALSE(outbox.Next().has_value());
}

TEST(OutboxTest, LogsWaitForEverythingElseAndAreBounded) {
  Outbox outbox;
  while (outbox.HasLogRoom()) outbox.LogChunk({});
  outbox.Status(Status("a", 1));
  EXPECT_TRUE(outbox.Next()->has_status());
  EXPECT_TRUE(outbox.Next()->has_log_chunk());
  EXPECT_TRUE(outbox.HasLogRoom());
  outbox.Clear();
  EXPECT_FALSE(outbox.Next().has_value());
}

}  // namespace
}  // namespace pando::agent
