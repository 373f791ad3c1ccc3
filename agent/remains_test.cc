// Numbers that were given to others: the kernel is made to reuse them, in a pid namespace of the
// test's own. Needs root.
#include "agent/remains.h"

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/instance_dir.h"
#include "agent/instance_search.h"
#include "agent/shim/start_time.h"
#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

constexpr pid_t kShim = 400;
constexpr pid_t kApp = 500;
constexpr pid_t kChild = 600;

pid_t ForkAs(pid_t pid) {
  clone_args args = {};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<uint64_t>(&pid);
  args.set_tid_size = 1;
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
}

[[noreturn]] void WaitForTheEnd() {
  while (true) pause();
}

// A session leader, in its session a process group, in that a second process: as a shim, an app and
// its child are. False when the kernel does not do it.
bool StartFamily() {
  std::array<int, 2> ready{};
  if (pipe(ready.data()) != 0) return false;
  if (ForkAs(kShim) == 0) {
    setsid();
    if (ForkAs(kApp) == 0) {
      setpgid(0, 0);
      const pid_t child = ForkAs(kChild);
      if (child == 0) WaitForTheEnd();
      const char answer = child == kChild ? 'y' : 'n';
      if (write(ready[1], &answer, 1) != 1) _exit(1);
      WaitForTheEnd();
    }
    WaitForTheEnd();
  }
  char answer = 'n';
  close(ready[1]);
  const bool told = read(ready[0], &answer, 1) == 1;
  close(ready[0]);
  return told && answer == 'y';
}

void EndFamily() {
  for (const pid_t pid : {kChild, kApp, kShim}) kill(pid, SIGKILL);
  while (wait(nullptr) > 0) {
  }
}

ProcessId IdOf(pid_t pid) { return {pid, shim::ReadStartTime(pid)}; }

#define CHECK_THAT(condition) \
  if (!(condition)) return "not true: " #condition

// Runs as process 1 of the namespace. Empty: all is well.
std::string Scenario(const std::string& dir_path) {
  CHECK_THAT(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  CHECK_THAT(mount("proc", "/proc", "proc", 0, nullptr) == 0);
  CHECK_THAT(StartFamily());
  const Traces traces{IdOf(kApp), IdOf(kShim), {}, ""};
  CHECK_THAT(OpenProcess(*traces.app).has_value());
  InstanceDir dir(dir_path);
  CHECK_THAT(dir.Create("").ok());
  CHECK_THAT(WriteFileAtomically(dir_path + "/run",
                                 absl::StrCat("boot_id=", BootId(), "\nshim_pid=", kShim,
                                              "\nshim_start=", traces.shim.start_time, "\napp_pid=",
                                              kApp, "\napp_start=", traces.app->start_time,
                                              "\nport=20000\nincarnation=1\nstarted_unix_ms=1\n"))
                 .ok());
  // While they are who they were, they are found, though not the shim.
  CHECK_THAT(KillRemains(traces) == 2);
  EndFamily();
  CHECK_THAT(KillRemains(traces) == 0);

  // The same numbers again; the kernel's clock of starts has ticks of 10 ms, so once more until
  // theirs differ.
  do {
    EndFamily();
    CHECK_THAT(StartFamily());
  } while (IdOf(kApp).start_time == traces.app->start_time ||
           IdOf(kShim).start_time == traces.shim.start_time);
  CHECK_THAT(!OpenProcess(*traces.app).has_value());
  CHECK_THAT(KillRemains(traces) == 0);
  const auto found = InstanceSearch(dir, BootId(), 0).Look(/*late=*/false);
  CHECK_THAT(found.ok());
  CHECK_THAT(!found->shim && found->remains.pid == 0 && found->remains.incarnation == 1);
  for (const pid_t pid : {kShim, kApp, kChild}) CHECK_THAT(IsAlive(pid));

  // Without its leader a strangers' group is known by its session's leader still.
  kill(kApp, SIGKILL);
  CHECK_THAT(Eventually([] { return !IsAlive(kApp); }));
  Traces of_the_group = traces;
  of_the_group.app->start_time = shim::ReadStartTime(kApp);  // as if the numbers agreed by chance
  CHECK_THAT(KillRemains(of_the_group) == 0);
  CHECK_THAT(IsAlive(kChild));
  EndFamily();
  return "";
}

TEST(RemainsTest, AReusedNumberIsAStranger) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDir temp;
  const std::string dir = temp.path() + "/web-1";
  std::array<int, 2> told{};
  ASSERT_EQ(pipe(told.data()), 0);
  const pid_t outer = fork();
  if (outer == 0) {
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) _exit(2);
    const pid_t inner = fork();
    if (inner == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const std::string problem = Scenario(dir);
      if (write(told[1], problem.data(), problem.size()) < 0) _exit(1);
      _exit(problem.empty() ? 0 : 1);
    }
    int status = 0;
    waitpid(inner, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
  }
  close(told[1]);
  std::string problem(200, '\0');
  const ssize_t size = read(told[0], problem.data(), problem.size());
  problem.resize(size > 0 ? static_cast<size_t>(size) : 0);
  close(told[0]);
  int status = 0;
  ASSERT_EQ(waitpid(outer, &status, 0), outer);
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(problem, "");
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace pando::agent
