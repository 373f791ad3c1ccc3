#include "agent/shim/port_lead.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "common/runtime/unique_fd.h"

namespace pando::shim {
namespace {

using testing::ElementsAre;

struct SocketAddress {
  sockaddr_storage bytes = {};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

SocketAddress Loopback(int family, uint16_t port) {
  SocketAddress address;
  if (family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.bytes);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof(v4);
  } else {
    reinterpret_cast<sockaddr_in6&>(address.bytes).sin6_addr = in6addr_loopback;
    address.size = sizeof(sockaddr_in6);
  }
  address.bytes.ss_family = static_cast<sa_family_t>(family);
  reinterpret_cast<sockaddr_in&>(address.bytes).sin_port = htons(port);
  return address;
}

int PortOf(int fd) {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address.bytes), &address.size);
  return ntohs(reinterpret_cast<sockaddr_in&>(address.bytes).sin_port);
}

// The port that a socket gets when it is bound, or -errno.
int BindOnce(int fd, const SocketAddress& address) {
  return bind(fd, address.get(), address.size) == 0 ? PortOf(fd) : -errno;
}
int Bind(int family, int type, uint16_t port) {
  return BindOnce(socket(family, type | SOCK_CLOEXEC, 0), Loopback(family, port));
}

uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
  return static_cast<uint16_t>(BindOnce(fd.get(), Loopback(AF_INET, 0)));
}

class PortLeadTest : public testing::Test {
 protected:
  // What a process tells of its binds.
  using App = std::function<std::vector<int>()>;

  ~PortLeadTest() override { EndApp(); }

  // Starts a process whose binds are told at binds_.
  void StartApp(const App& app) {
    int sockets[2];
    int results[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    ASSERT_EQ(pipe2(results, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      const int binds = InterceptBinds();
      if (binds < 0 || !SendDescriptor(sockets[1], binds)) _exit(1);
      close(binds);
      const std::vector<int> told = app();
      const size_t size = told.size() * sizeof(int);
      _exit(write(results[1], told.data(), size) == static_cast<ssize_t>(size) ? 0 : 2);
    }
    close(sockets[1]);
    close(results[1]);
    results_.reset(results[0]);
    const UniqueFd ours(sockets[0]);
    pollfd arrives = {ours.get(), POLLIN, 0};
    poll(&arrives, 1, 20'000);
    binds_.reset(ReceiveDescriptor(ours.get()));
    ASSERT_TRUE(binds_.valid());
  }
  // What happens next at binds_.
  int AwaitEvent() const {
    pollfd event = {binds_.get(), POLLIN, 0};
    return poll(&event, 1, 20'000) == 1 ? event.revents : 0;
  }
  // Answers it until nobody is left who could bind.
  std::vector<int> Run(const App& app) {
    StartApp(app);
    int events = 0;
    while (((events = AwaitEvent()) & POLLIN) != 0) AnswerBind(binds_.get(), fixed_, own_);
    EXPECT_EQ(events, POLLHUP);
    std::vector<int> told(16);
    const ssize_t size = read(results_.get(), told.data(), told.size() * sizeof(int));
    told.resize(size > 0 ? static_cast<size_t>(size) / sizeof(int) : 0);
    return told;
  }
  void EndApp() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  const uint16_t fixed_ = FreePort();
  const uint16_t own_ = FreePort();
  const uint16_t other_ = FreePort();
  pid_t pid_ = 0;
  UniqueFd binds_;
  UniqueFd results_;
};

TEST_F(PortLeadTest, TheFixedPortIsLedInBothFamiliesAndNoOtherIs) {
  EXPECT_THAT(Run([&] {
                return std::vector{
                    Bind(AF_INET, SOCK_STREAM, fixed_), Bind(AF_INET6, SOCK_STREAM, fixed_),
                    Bind(AF_INET, SOCK_DGRAM, fixed_), Bind(AF_INET, SOCK_STREAM, other_)};
              }),
              ElementsAre(own_, own_, own_, other_));
}

TEST_F(PortLeadTest, TheAppSeesItsOwnMistakes) {
  EXPECT_THAT(Run([&] {
                SocketAddress address = Loopback(AF_INET, fixed_);
                const int fd = socket(AF_INET, SOCK_STREAM, 0);
                const int no_socket = open("/dev/null", O_RDONLY);
                std::vector<int> told = {BindOnce(999, address), BindOnce(no_socket, address)};
                address.size = 4;
                told.push_back(BindOnce(fd, address));
                told.push_back(syscall(SYS_bind, fd, nullptr, 16) == 0 ? 0 : -errno);
                told.push_back(syscall(SYS_bind, fd, &address, -1) == 0 ? 0 : -errno);
                // Two sockets of one address.
                told.push_back(Bind(AF_INET, SOCK_STREAM, fixed_));
                told.push_back(Bind(AF_INET, SOCK_STREAM, fixed_));
                return told;
              }),
              ElementsAre(-EBADF, -ENOTSOCK, -EINVAL, -EFAULT, -EINVAL, own_, -EADDRINUSE));
}

TEST_F(PortLeadTest, OtherSocketsAreLeftAlone) {
  EXPECT_THAT(Run([&] {
                SocketAddress address;
                // Bytes that would be the port of another family.
                auto& name = reinterpret_cast<sockaddr_un&>(address.bytes);
                name.sun_family = AF_UNIX;
                const uint16_t port = htons(fixed_);
                memcpy(name.sun_path, &port, sizeof(port));
                name.sun_path[0] = '\0';  // abstract
                address.size = sizeof(name);
                const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
                return std::vector{bind(fd, address.get(), address.size)};
              }),
              ElementsAre(0));
}

TEST_F(PortLeadTest, ThreadsAndChildrenAreLedToo) {
  EXPECT_THAT(Run([&] {
                int of_thread = 0;
                std::thread([&] { of_thread = Bind(AF_INET, SOCK_STREAM, fixed_); }).join();
                const pid_t child = fork();
                if (child == 0) _exit(Bind(AF_INET6, SOCK_STREAM, fixed_) == own_ ? 0 : 1);
                int status = -1;
                waitpid(child, &status, 0);
                return std::vector{of_thread, status};
              }),
              ElementsAre(own_, 0));
}

TEST_F(PortLeadTest, WhoAsksAgainForWhatIsDoneGetsNoError) {
  EXPECT_THAT(Run([&] {
                const int fd = socket(AF_INET, SOCK_STREAM, 0);
                const SocketAddress fixed = Loopback(AF_INET, fixed_);
                return std::vector{BindOnce(fd, fixed), BindOnce(fd, fixed),
                                   BindOnce(fd, Loopback(AF_INET, other_))};
              }),
              ElementsAre(own_, own_, -EINVAL));
}

TEST_F(PortLeadTest, ACallerThatIsKilledBlocksNobody) {
  StartApp([&] { return std::vector{Bind(AF_INET, SOCK_STREAM, fixed_)}; });
  ASSERT_EQ(AwaitEvent(), POLLIN);
  EndApp();
  AnswerBind(binds_.get(), fixed_, own_);
  EXPECT_EQ(AwaitEvent(), POLLHUP);
}

TEST_F(PortLeadTest, WhetherItMayLookIntoAProcess) {
  StartApp([] {
    close(STDIN_FILENO);
    pause();
    return std::vector<int>();
  });
  EXPECT_TRUE(MayLookInto(pid_));
  if (geteuid() != 0) {
    EXPECT_FALSE(MayLookInto(1));
  }
}

TEST(PortLeadDescriptorTest, NoneIsReceivedWhereNoneWasSent) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  const UniqueFd ours(sockets[0]);
  UniqueFd other(sockets[1]);
  EXPECT_EQ(ReceiveDescriptor(ours.get()), -1);
  ASSERT_EQ(write(other.get(), "x", 1), 1);
  EXPECT_EQ(ReceiveDescriptor(ours.get()), -1);
  other.reset();
  EXPECT_EQ(ReceiveDescriptor(ours.get()), -1);
}

}  // namespace
}  // namespace pando::shim
