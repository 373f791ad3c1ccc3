// As whom instances run and what they see. Most of it only root can give.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "agent/testing/agent_loop_fixture.h"

namespace pando::agent {
namespace {

using testing::Contains;
using testing::IsSupersetOf;

class AgentIsolationTest : public AgentLoopTest {
 protected:
  // The test's programs have to be within reach of a user without rights.
  AgentIsolationTest() { chmod(temp_.path().c_str(), 0755); }

  static v1::AppSpec Shell(const std::string& script) {
    return MakeSpec({"/bin/sh", "-c", script + "; exec " + TestApp() + " listen wait"});
  }
  // The log's lines of a start that became ready.
  std::vector<std::string> Run(const v1::AppSpec& spec) {
    EXPECT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
    AwaitReady(1);
    return Log();
  }
  static bool IsRoot() { return geteuid() == 0; }
};

TEST_F(AgentIsolationTest, AnAppRunsAsTheUserOfItsSpec) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  v1::AppSpec spec = Shell(
      "id -un; id -gn; id -G; echo $HOME $USER $LOGNAME; echo mine > \"$0\"; stat -c %U \"$0\"");
  spec.mutable_isolation()->set_user("nobody");
  spec.set_dir("/");
  const std::string file = temp_.path() + "/out";
  ASSERT_TRUE(WriteFileAtomically(file, "").ok());
  const passwd nobody = *getpwnam("nobody");
  ASSERT_EQ(chown(file.c_str(), nobody.pw_uid, nobody.pw_gid), 0);
  spec.add_command(file);  // $0
  EXPECT_THAT(Run(spec),
              IsSupersetOf<std::string>({"o nobody", "o nogroup", "o 65534",
                                         std::string("o ") + nobody.pw_dir + " nobody nobody"}));
  EXPECT_EQ(*ReadFile(file), "mine\n");
}

TEST_F(AgentIsolationTest, NumbersNeedNoEntry) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  v1::AppSpec spec = Shell("id -u; id -g; id -G; echo home $HOME");
  spec.mutable_isolation()->set_user("54321");
  spec.mutable_isolation()->set_group("12345");
  EXPECT_THAT(Run(spec), IsSupersetOf({"o 54321", "o 12345", "o home"}));
}

TEST_F(AgentIsolationTest, AGroupAloneKeepsTheUser) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  v1::AppSpec spec = Shell("id -u; id -g");
  spec.mutable_isolation()->set_group("nogroup");
  EXPECT_THAT(Run(spec), IsSupersetOf({"o 0", "o 65534"}));
}

TEST_F(AgentIsolationTest, AUserThatIsNotThereIsToldAndTriedAgain) {
  v1::AppSpec spec = Shell("true");
  spec.mutable_isolation()->set_user("no-such-user");
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  EXPECT_EQ(AwaitPhase(Status::FAILED).detail(),
            "isolation.user: no user no-such-user on this node");
  Await([](const Status& s) { return s.failed_starts() >= 2; });
}

TEST_F(AgentIsolationTest, PrivilegesCannotGrowUnlessTheSpecLetsThem) {
  for (const bool allowed : {false, true}) {
    v1::AppSpec spec = Shell("grep NoNewPrivs /proc/self/status");
    spec.mutable_isolation()->set_allow_new_privileges(allowed);
    v1::Orders orders = MakeOrders(spec, 1);
    const std::string id = allowed ? "web-2" : "web-1";
    orders.mutable_assignments(0)->set_id(id);
    ASSERT_TRUE(SetOrders(orders).ok());
    AwaitPhase(Status::READY, id);
    EXPECT_THAT(Log(id), Contains(allowed ? "o NoNewPrivs:\t0" : "o NoNewPrivs:\t1"));
  }
}

TEST_F(AgentIsolationTest, TmpIsItsOwnAndEmptyAtEachStart) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  // The test's own directory is below /tmp: an app of which nothing is there.
  const std::string name = "pando-isolation-" + std::to_string(getpid());
  v1::AppSpec spec = MakeSpec({"/bin/sh", "-c",
                               "ls /tmp /var/tmp; stat -c %a /tmp; touch /tmp/" + name +
                                   " /var/tmp/" + name + " && echo touched; exit 3"});
  spec.set_dir("/");
  spec.mutable_isolation()->set_private_tmp(true);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  Await([](const Status& s) { return s.failed_starts() >= 2; });
  EXPECT_FALSE(std::filesystem::exists("/tmp/" + name));
  EXPECT_FALSE(std::filesystem::exists("/var/tmp/" + name));
  EXPECT_TRUE(Eventually([&] { return Log().size() >= 8; }));
  const std::vector<std::string> lines = Log();
  EXPECT_THAT(lines, IsSupersetOf({"o /tmp:", "o /var/tmp:", "o 1777", "o touched"}));
  EXPECT_THAT(lines, testing::Not(Contains("o " + name)));  // not at the second start either
}

TEST_F(AgentIsolationTest, ReadOnlyPathsAreThatWithAllBelowThem) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  const std::string dir = temp_.path() + "/shared";
  std::filesystem::create_directories(dir + "/below");
  v1::AppSpec spec = Shell("touch " + dir + "/below/x || echo refused; touch " + temp_.path() +
                           "/y && echo written");
  spec.mutable_isolation()->add_read_only(dir);
  EXPECT_THAT(Run(spec), IsSupersetOf({"o refused", "o written"}));
  EXPECT_FALSE(std::filesystem::exists(dir + "/below/x"));
  ASSERT_TRUE(WriteFileAtomically(dir + "/below/z", "").ok());  // only to the app
}

TEST_F(AgentIsolationTest, TheWholeRootMayBeReadOnlyButForTmp) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  v1::AppSpec spec = MakeSpec({"/bin/sh", "-c",
                               "touch /pando-x || echo refused; touch /tmp/x && echo written; "
                               "echo x > /dev/null && echo null; exit 3"});
  spec.set_dir("/");
  spec.mutable_isolation()->add_read_only("/");
  spec.mutable_isolation()->set_private_tmp(true);
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  Await([](const Status& s) { return s.failed_starts() >= 1; });
  EXPECT_TRUE(Eventually([&] { return Log().size() >= 4; }));
  EXPECT_THAT(Log(), IsSupersetOf({"o refused", "o written", "o null"}));
  EXPECT_FALSE(std::filesystem::exists("/pando-x"));
}

TEST_F(AgentIsolationTest, AReadOnlyPathThatIsNotThereIsTold) {
  if (!IsRoot()) GTEST_SKIP() << "needs root";
  v1::AppSpec spec = Shell("true");
  spec.mutable_isolation()->add_read_only("/no/such/path");
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  EXPECT_EQ(AwaitPhase(Status::FAILED).detail(),
            "isolation.read_only: cannot make /no/such/path read-only: No such file or directory");
}

TEST_F(AgentIsolationTest, EnvironmentComesFromFilesToo) {
  v1::AppSpec spec = Shell("echo $A $B $C");
  spec.set_dir(temp_.path());
  spec.add_env_files(".env");
  (*spec.mutable_env())["B"] = "spec";
  ASSERT_TRUE(SetOrders(MakeOrders(spec, 1)).ok());
  // Told while the file is missing or wrong; fine when it is there.
  EXPECT_EQ(AwaitPhase(Status::FAILED).detail(),
            "env_files: no such file: " + temp_.path() + "/.env");
  ASSERT_TRUE(WriteFileAtomically(temp_.path() + "/.env", "A='file'\nB\n").ok());
  Await([](const Status& s) {
    return s.detail().find(".env: line 2: there is no =") != std::string::npos;
  });
  ASSERT_TRUE(WriteFileAtomically(temp_.path() + "/.env", "A='file'\nB=file\nC=file\n").ok());
  AwaitPhase(Status::READY);
  EXPECT_THAT(Log(), Contains("o file spec file"));
}

}  // namespace
}  // namespace pando::agent
