#include "agent/shim/app_process.h"

#include <gmock/gmock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace pando::shim {
namespace {

using testing::HasSubstr;

AppProcess Start(const PortLead& lead) {
  static char program[] = "/bin/true";
  static char* argv[] = {program, nullptr};
  AppStart start;
  start.argv = argv;
  start.lead = lead;
  AppProcess app;
  StartApp(start, app);
  if (app.pid > 0) waitpid(app.pid, nullptr, 0);
  return app;
}

// In a process whose binds are told already: the kernel tells them to one only.
std::string DescribeStartWhereBindsAreTold(const PortLead& lead) {
  int result[2];
  if (pipe(result) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (InterceptBinds() < 0) _exit(1);
    const AppProcess app = Start(lead);
    const std::string told = app.pid < 0        ? app.error
                             : app.binds_fd < 0 ? "started"
                                                : "started and told";
    _exit(write(result[1], told.data(), told.size()) > 0 ? 0 : 1);
  }
  close(result[1]);
  char text[600] = "";
  const ssize_t size = read(result[0], text, sizeof(text));
  close(result[0]);
  waitpid(child, nullptr, 0);
  return {text, size > 0 ? static_cast<size_t>(size) : 0};
}

TEST(AppProcessTest, BindsAreToldWhereAPortIsLed) {
  EXPECT_EQ(Start({}).binds_fd, -1);
  const AppProcess app = Start({8'080, false});
  EXPECT_GT(app.pid, 0) << app.error;
  EXPECT_GE(app.binds_fd, 0);
  close(app.binds_fd);
}

TEST(AppProcessTest, WherePortsCannotBeLedTheLibraryHasToDo) {
  EXPECT_EQ(DescribeStartWhereBindsAreTold({8'080, true}), "started");
  EXPECT_THAT(DescribeStartWhereBindsAreTold({8'080, false}),
              HasSubstr("port.fixed: cannot have its bind() told (seccomp): "));
}

}  // namespace
}  // namespace pando::shim
