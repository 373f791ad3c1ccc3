#include "agent/core/event_loop_delay.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace pando::agent {
namespace {

constexpr std::string_view kFamily = "nodejs_eventloop_";

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}
bool IsName(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

// What is left of a line. Each of these takes something off its front.
class Rest {
 public:
  explicit Rest(std::string_view text) : text_(text) {}

  bool empty() const { return text_.empty(); }
  void SkipBlanks() {
    while (!text_.empty() && IsBlank(text_.front())) text_.remove_prefix(1);
  }
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Empty: there is none.
  std::string_view TakeName() {
    size_t size = 0;
    if (!text_.empty() && IsNameStart(text_.front())) {
      while (size < text_.size() && IsName(text_[size])) ++size;
    }
    return TakeFirst(size);
  }
  std::string_view TakeWord() {
    size_t size = 0;
    while (size < text_.size() && !IsBlank(text_[size])) ++size;
    return TakeFirst(size);
  }
  // Behind its opening quote, to behind the closing one.
  bool TakeQuoted() {
    while (!text_.empty()) {
      if (Take('"')) return true;
      if (Take('\\') && (text_.empty() ||
                         std::string_view("\\\"n").find(text_.front()) == std::string_view::npos)) {
        return false;
      }
      text_.remove_prefix(1);
    }
    return false;
  }
  // Behind its opening brace, to behind the closing one.
  bool TakeLabels() {
    for (SkipBlanks(); !Take('}'); SkipBlanks()) {
      if (TakeName().empty()) return false;
      SkipBlanks();
      if (!Take('=')) return false;
      SkipBlanks();
      if (!Take('"') || !TakeQuoted()) return false;
      SkipBlanks();
      if (!Take(',') && (text_.empty() || text_.front() != '}')) return false;
    }
    return true;
  }

 private:
  std::string_view TakeFirst(size_t size) {
    const std::string_view taken = text_.substr(0, size);
    text_.remove_prefix(size);
    return taken;
  }

  std::string_view text_;
};

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Behind a sample's name.
std::optional<double> ReadValue(Rest rest) {
  rest.SkipBlanks();
  if (rest.Take('{') && !rest.TakeLabels()) return std::nullopt;
  rest.SkipBlanks();
  double value = 0;
  if (!absl::SimpleAtod(ToAbsl(rest.TakeWord()), &value)) return std::nullopt;
  rest.SkipBlanks();
  int64_t timestamp = 0;
  if (!rest.empty() && !absl::SimpleAtoi(ToAbsl(rest.TakeWord()), &timestamp)) return std::nullopt;
  rest.SkipBlanks();
  if (!rest.empty() || !std::isfinite(value) || value < 0) return std::nullopt;
  return value;
}

void KeepLargest(std::optional<double>& kept, double value) {
  kept = std::max(kept.value_or(value), value);
}

}  // namespace

EventLoopDelay ReadEventLoopDelay(std::string_view page) {
  EventLoopDelay delay;
  std::optional<double> single;
  for (size_t end; (end = page.find('\n')) != std::string_view::npos; page.remove_prefix(end + 1)) {
    std::string_view line = page.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with(kFamily)) continue;
    Rest rest(line);
    std::string_view name = rest.TakeName();
    name.remove_prefix(kFamily.size());
    std::optional<double>* kept = nullptr;
    if (name == "lag_p99_seconds" || name == "delay_p99_seconds") kept = &delay.p99_seconds;
    if (name == "lag_mean_seconds" || name == "delay_mean_seconds") kept = &delay.mean_seconds;
    if (name == "lag_seconds") kept = &single;
    if (kept == nullptr) continue;
    if (const std::optional<double> value = ReadValue(rest)) KeepLargest(*kept, *value);
  }
  if (!delay.mean_seconds) delay.mean_seconds = single;
  return delay;
}

}  // namespace pando::agent
