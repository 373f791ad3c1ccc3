#include "common/runtime/process_main.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>

namespace pando {
namespace {

constexpr int kInterruptedExit = 130;

void WaitForSignal(std::shared_ptr<boost::asio::signal_set> signals,
                   std::shared_ptr<absl::AnyInvocable<void()>> task) {
  boost::asio::signal_set& waiting = *signals;
  waiting.async_wait([signals = std::move(signals), task = std::move(task)](
                         const boost::system::error_code& error, int) mutable {
    if (error) return;
    (*task)();
    WaitForSignal(std::move(signals), std::move(task));
  });
}

}  // namespace

void OnShutdownSignal(EventLoop& loop, absl::AnyInvocable<void()> on_shutdown) {
  std::signal(SIGPIPE, SIG_IGN);
  auto signals = std::make_unique<boost::asio::signal_set>(loop.io(), SIGTERM, SIGINT);
  boost::asio::signal_set& waiting = *signals;
  waiting.async_wait([signals = std::move(signals), on_shutdown = std::move(on_shutdown)](
                         const boost::system::error_code& error, int) mutable {
    if (error) return;
    signals->clear();
    // A plain handler, so that the second signal works even when the loop is stuck.
    struct sigaction at_once {};
    at_once.sa_handler = [](int) { _exit(kInterruptedExit); };
    sigaction(SIGTERM, &at_once, nullptr);
    sigaction(SIGINT, &at_once, nullptr);
    on_shutdown();
  });
}

void OnSignal(EventLoop& loop, int signal, absl::AnyInvocable<void()> task) {
  WaitForSignal(std::make_shared<boost::asio::signal_set>(loop.io(), signal),
                std::make_shared<absl::AnyInvocable<void()>>(std::move(task)));
}

int FatalError(const std::string& program, const absl::Status& status) {
  const std::string message(status.message());
  std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
  return 1;
}

void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // on failure the old limit simply stays
}

}  // namespace pando
