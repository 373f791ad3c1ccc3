// What can be wrong on a host is told on the instance, and goes by itself when its cause does.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/shim/protocol.h"
#include "agent/shim/start_time.h"
#include "agent/testing/agent_loop_fixture.h"

namespace pando::agent {
namespace {

using testing::HasSubstr;

class FailStaticTest : public AgentLoopTest {
 protected:
  // A status of a process that cannot be, with a reason.
  Status AwaitFailure(const std::string& reason, const std::string& id = "web-1") {
    return Await(
        [&reason](const Status& s) {
          return s.phase() == Status::FAILED && s.detail().find(reason) != std::string::npos;
        },
        id);
  }
  static v1::Orders Listening(uint32_t replicas = 1) {
    return MakeOrders(MakeSpec({TestApp(), "listen", "wait"}), replicas);
  }
};

TEST_F(FailStaticTest, WhatTheSpecNamesMayComeLater) {
  const std::string dir = temp_.path();
  struct Case {
    std::string name;
    std::string program;
    std::string dir;
    std::string want;
    std::function<void()> heal;
  };
  const auto link = [](const std::string& path) {
    std::filesystem::create_symlink(TestApp(), path);
  };
  const std::string plain = dir + "/plain";
  const std::string late_dir = dir + "/late";
  const std::string script = dir + "/script";
  ASSERT_TRUE(WriteFileAtomically(plain, "#!/bin/sh\nexec " + TestApp() + " listen wait\n").ok());
  ASSERT_TRUE(
      WriteFileAtomically(script, "#!" + dir + "/sh\nexec " + TestApp() + " listen wait\n").ok());
  chmod(script.c_str(), 0755);
  const Case cases[] = {
      {"missing", dir + "/missing", "", "no such file: " + dir + "/missing",
       [&] { link(dir + "/missing"); }},
      {"not executable", plain, "", "not executable: " + plain,
       [&] { chmod(plain.c_str(), 0755); }},
      {"bad directory", TestApp(), late_dir, "no such directory: " + late_dir,
       [&] { std::filesystem::create_directory(late_dir); }},
      {"no interpreter", script, "", "its interpreter does not exist",
       [&] { std::filesystem::create_symlink("/bin/sh", dir + "/sh"); }},
  };
  v1::Orders orders;
  uint32_t number = 0;
  for (const Case& c : cases) {
    v1::AppSpec spec = MakeSpec({c.program, "listen", "wait"});
    spec.set_dir(c.dir);
    v1::Orders one = MakeOrders(spec, 1);
    one.mutable_assignments(0)->set_id("web-" + std::to_string(++number));
    one.mutable_assignments(0)->set_revision(number);
    one.mutable_revisions(0)->set_revision(number);
    orders.MergeFrom(one);
  }
  ASSERT_TRUE(SetOrders(orders).ok());
  number = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string id = "web-" + std::to_string(++number);
    AwaitFailure(c.want, id);
    c.heal();
    EXPECT_EQ(AwaitPhase(Status::READY, id).detail(), "");
  }
}

TEST_F(FailStaticTest, APortThatIsTakenIsWaitedFor) {
  StopAgent();
  ports_.last = ports_.first;
  StartAgent();
  UniqueFd taken(socket(AF_INET, SOCK_STREAM, 0));
  const int on = 1;
  setsockopt(taken.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(ports_.first);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  ASSERT_TRUE(SetOrders(Listening()).ok());
  const std::string port = std::to_string(ports_.first);
  AwaitFailure("no free port in " + port + "-" + port + " (--port-range)");
  taken.reset();
  EXPECT_EQ(AwaitPhase(Status::READY).port(), ports_.first);
}

// Sanitizers look at memory through pipes of their own.
void SkipWhereTheToolNeedsDescriptors() {
#ifdef PANDO_SANITIZED
  GTEST_SKIP() << "sanitizers need descriptors";
#endif
}

TEST_F(FailStaticTest, AnAgentWithoutDescriptorsKeepsWhatRunsAndStartsTheRestLater) {
  SkipWhereTheToolNeedsDescriptors();
  if (IsSkipped()) return;
  ASSERT_TRUE(SetOrders(Listening()).ok());
  const Status ready = AwaitReady(1);
  v1::Orders more = Listening(2);
  more.set_version(2);
  {
    const NoMoreDescriptors none;
    EXPECT_FALSE(SetOrders(more).ok());
    AwaitFailure("the node cannot keep its orders: ", "web-2");
    AwaitFailure("Too many open files", "web-2");
    EXPECT_EQ(AwaitPhase(Status::READY).pid(), ready.pid());
    kill(static_cast<pid_t>(ready.pid()), SIGKILL);
    AwaitFailure("Too many open files");
  }
  AwaitPhase(Status::READY);
  AwaitPhase(Status::READY, "web-2");
  EXPECT_EQ(agent_->orders_version(), 2u);
}

TEST_F(FailStaticTest, OrdersThatCouldNotBeKeptAreForgottenWhenOthersCome) {
  SkipWhereTheToolNeedsDescriptors();
  if (IsSkipped()) return;
  ASSERT_TRUE(SetOrders(Listening(1)).ok());
  AwaitReady(1);
  v1::Orders two = Listening(2);
  two.set_version(2);
  {
    const NoMoreDescriptors none;
    EXPECT_FALSE(SetOrders(two).ok());
    AwaitFailure("the node cannot keep its orders: ", "web-2");
  }
  v1::Orders one = Listening(1);
  one.set_version(3);
  ASSERT_TRUE(SetOrders(one).ok());
  AwaitGone("web-2");
  AwaitPhase(Status::READY);
  EXPECT_EQ(agent_->orders_version(), 3u);
}

// ---- a full disk ----

class FullDiskTest : public FailStaticTest {
 protected:
  FullDiskTest() {
    StopAgent();
    is_mounted_ = mount("tmpfs", Data().c_str(), "tmpfs", 0, "size=256k") == 0;
    if (is_mounted_) StartAgent();
  }
  ~FullDiskTest() override {
    StopEverything();
    if (is_mounted_) umount2(Data().c_str(), MNT_DETACH);
  }
  std::string Data() const { return temp_.path() + "/data"; }
  std::string Filler() const { return Data() + "/filler"; }
  void Fill() const {
    const UniqueFd filler(open(Filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(filler.valid());
    const std::string block(4'096, 'x');
    while (write(filler.get(), block.data(), block.size()) > 0) {
    }
    ASSERT_EQ(errno, ENOSPC);
  }

  bool is_mounted_ = false;
};

TEST_F(FullDiskTest, NewOrdersWaitForRoomAndSaySo) {
  if (!is_mounted_) GTEST_SKIP() << "may not mount a file system here";
  ASSERT_TRUE(SetOrders(Listening()).ok());
  const Status ready = AwaitReady(1);
  Fill();
  v1::Orders more = Listening(3);
  more.set_version(2);
  EXPECT_FALSE(SetOrders(more).ok());
  AwaitFailure("No space left on device", "web-2");
  EXPECT_EQ(AwaitPhase(Status::READY).pid(), ready.pid());
  ASSERT_EQ(unlink(Filler().c_str()), 0);
  AwaitPhase(Status::READY, "web-2");
  AwaitPhase(Status::READY, "web-3");
  EXPECT_EQ(agent_->orders_version(), 2u);
}

// ---- a host that forks no more ----

// Lets this process start no more processes, by a cgroup of its own, while it lives.
class NoMoreProcesses {
 public:
  NoMoreProcesses() {
    const auto own = ReadFile("/proc/self/cgroup");
    if (!own.ok()) return;
    const bool is_v1 = std::filesystem::exists("/sys/fs/cgroup/pids");
    const std::string mark = is_v1 ? ":pids:" : "0::";
    const size_t at = own->find(mark);
    if (at == std::string::npos) return;
    const size_t begin = at + mark.size();
    const std::string root = is_v1 ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
    before_ = root + own->substr(begin, own->find('\n', begin) - begin);
    group_ = root + "/pando-test-" + std::to_string(getpid());
    if (mkdir(group_.c_str(), 0755) != 0) return;
    works_ = Write(group_ + "/pids.max", "1") && Move(group_);
  }
  ~NoMoreProcesses() {
    if (works_) Move(before_);
    rmdir(group_.c_str());
  }
  bool works() const { return works_; }

 private:
  static bool Write(const std::string& path, const std::string& text) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return fd.valid() &&
           write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }
  static bool Move(const std::string& group) {
    return Write(group + "/cgroup.procs", std::to_string(getpid()));
  }

  std::string before_;
  std::string group_;
  bool works_ = false;
};

TEST_F(FailStaticTest, AHostThatForksNoMoreIsTriedAgain) {
  {
    const NoMoreProcesses none;
    if (!none.works()) GTEST_SKIP() << "may not make a cgroup here";
    ASSERT_TRUE(SetOrders(Listening()).ok());
    EXPECT_THAT(AwaitFailure("cannot start ").detail(),
                HasSubstr("Resource temporarily unavailable"));
  }
  AwaitPhase(Status::READY);
}

// ---- after a reboot ----

class RebootTest : public FailStaticTest {
 protected:
  // What a power cut leaves: no process, and records of another boot.
  void PowerCut(const std::string& id, const ProcessId& app_of_record) {
    const auto run = InstanceDir(Dir(id)).ReadRun();
    ASSERT_TRUE(run.has_value());
    StopAgent();
    kill(run->shim.pid, SIGKILL);
    kill(run->app.pid, SIGKILL);
    ASSERT_TRUE(Eventually([&] { return !IsAlive(run->shim.pid) && !IsAlive(run->app.pid); }));
    const std::string record =
        "boot_id=00000000-0000-4000-8000-000000000000\nshim_pid=" + std::to_string(run->shim.pid) +
        "\nshim_start=" + std::to_string(run->shim.start_time) +
        "\napp_pid=" + std::to_string(app_of_record.pid) +
        "\napp_start=" + std::to_string(app_of_record.start_time) +
        "\nport=" + std::to_string(run->port) +
        "\nincarnation=" + std::to_string(run->incarnation) +
        "\nstarted_unix_ms=" + std::to_string(run->started_unix_ms) + "\n";
    ASSERT_TRUE(WriteFileAtomically(Dir(id) + "/" + shim::kRunFile, record).ok());
  }
};

TEST_F(RebootTest, InstancesComeUpInTheirRevisionAndNoStrangerIsTouched) {
  ASSERT_TRUE(SetOrders(Listening(2)).ok());
  const Status before = AwaitReady(1);
  AwaitPhase(Status::READY, "web-2");
  // The kernel may have given the number, even the start time, to somebody else by now.
  std::string name = "sleep", seconds = "86395";
  char* const argv[] = {name.data(), seconds.data(), nullptr};
  pid_t stranger = 0;
  ASSERT_EQ(posix_spawnp(&stranger, "sleep", nullptr, nullptr, argv, environ), 0);
  PowerCut("web-1", {stranger, shim::ReadStartTime(stranger)});
  StartAgent();  // no controller: by the orders on disk
  EXPECT_EQ(FirstTold().detail(), "the host was restarted");
  const Status after = AwaitReady(2);
  EXPECT_EQ(after.revision(), before.revision());
  EXPECT_EQ(after.port(), before.port());
  EXPECT_NE(after.pid(), before.pid());
  AwaitPhase(Status::READY, "web-2");
  EXPECT_TRUE(IsAlive(stranger));
  kill(stranger, SIGKILL);
  waitpid(stranger, nullptr, 0);
}

}  // namespace
}  // namespace pando::agent
