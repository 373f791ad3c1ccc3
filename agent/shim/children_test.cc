#include "agent/shim/children.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/testing/test_harness.h"

namespace pando::shim {
namespace {

pid_t StartChild() {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (true) pause();
}

void ExpectReapsAllButTheApp(const char* list) {
  const pid_t app = StartChild();
  const pid_t one = StartChild();
  const pid_t other = StartChild();
  ChildCount left = ReapOthers(app, 0, list);
  EXPECT_TRUE(left.known);
  EXPECT_EQ(left.count, 2);
  kill(one, SIGKILL);
  EXPECT_TRUE(agent::Eventually([&] { return ReapOthers(app, 0, list).count == 1; }));
  EXPECT_EQ(waitpid(one, nullptr, WNOHANG), -1);  // was waited for
  ReapOthers(app, SIGTERM, list);
  EXPECT_TRUE(agent::Eventually([&] { return ReapOthers(app, 0, list).count == 0; }));
  EXPECT_FALSE(agent::IsAlive(other));
  // The app got no signal, and when it has ended it is left for whoever wants its status.
  EXPECT_TRUE(agent::IsAlive(app));
  kill(app, SIGKILL);
  EXPECT_TRUE(agent::Eventually([&] { return !agent::IsAlive(app); }));
  EXPECT_EQ(ReapOthers(app, 0, list).count, 0);
  int status = 0;
  EXPECT_EQ(waitpid(app, &status, 0), app);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(ChildrenTest, AreFoundInTheKernelsList) { ExpectReapsAllButTheApp(kChildrenFile); }

TEST(ChildrenTest, AreFoundWhereTheKernelKeepsNoList) { ExpectReapsAllButTheApp("/no/such/list"); }

}  // namespace
}  // namespace pando::shim
