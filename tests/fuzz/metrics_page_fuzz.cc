// Apps' pages for Prometheus: what is read of any bytes can be a delay, a page that is cut short
// says no more than its whole lines do, and what is said twice counts once.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/core/event_loop_delay.h"

namespace {

using pando::agent::EventLoopDelay;
using pando::agent::ReadEventLoopDelay;

void Require(bool condition) {
  if (!condition) std::abort();
}

void RequireDelay(const std::optional<double>& seconds) {
  Require(!seconds || (std::isfinite(*seconds) && *seconds >= 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  const EventLoopDelay delay = ReadEventLoopDelay(page);
  RequireDelay(delay.mean_seconds);
  RequireDelay(delay.p99_seconds);
  const size_t last = page.rfind('\n');
  const std::string lines(page.substr(0, last == std::string_view::npos ? 0 : last + 1));
  Require(ReadEventLoopDelay(lines) == delay);
  Require(ReadEventLoopDelay(lines + lines) == delay);
  return 0;
}
