// The agent's end of one shim: what it says becomes events, and it can be told to stop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"
#include "agent/core/exit.h"
#include "agent/process.h"
#include "common/base/time.h"
#include "common/runtime/event_loop.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {

struct ShimRunning {
  uint32_t incarnation = 0;
  ProcessId app;
  uint16_t port = 0;
  int64_t started_unix_ms = 0;
};
struct ShimFailed {
  uint32_t incarnation = 0;
  std::string reason;
};
struct ShimExited {
  uint32_t incarnation = 0;
  Exit exit;
};
struct ShimEnded {};  // the shim and all it watched are gone; nothing follows
using ShimEvent = std::variant<ShimRunning, ShimFailed, ShimExited, ShimEnded>;

// A line of the shim (see shim/protocol.h); nothing for one that is not understood.
std::optional<ShimEvent> ParseShimLine(absl::string_view line);

// Used on the loop. The handler hears ShimEnded exactly once, as the last event, unless the client
// is destroyed before. When the shim vanishes without having said that the app exited, the client
// first kills what is left of the app.
class ShimClient {
 public:
  using Handler = std::function<void(const ShimEvent&)>;

  ShimClient(EventLoop& loop, SpawnedShim shim, Handler handler);
  ~ShimClient();
  ShimClient(const ShimClient&) = delete;
  ShimClient& operator=(const ShimClient&) = delete;

  void Stop(int signal, Millis grace);

 private:
  class Session;
  std::shared_ptr<Session> session_;
};

}  // namespace pando::agent
