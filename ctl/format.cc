#include "ctl/format.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pando::ctl {

std::string FormatElapsed(Millis elapsed) {
  const int64_t millis = elapsed.count();
  const double seconds = static_cast<double>(millis) / 1000;
  if (millis < 100) return absl::StrFormat("%.2f s", seconds);
  if (millis < 9'950) return absl::StrFormat("%.1f s", seconds);
  const int64_t whole = (millis + 500) / 1000;
  if (whole < 60) return absl::StrCat(whole, " s");
  return absl::StrCat(whole / 60, " min ", whole % 60, " s");
}

std::string FormatAge(int64_t millis) {
  if (millis < 0) return "-";
  const int64_t seconds = millis / 1000;
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrCat(seconds / 60, "m");
  if (seconds < 86'400) return absl::StrCat(seconds / 3600, "h");
  return absl::StrCat(seconds / 86'400, "d");
}

std::string FormatShortAge(int64_t millis) {
  if (millis < 0 || millis >= 60'000) return FormatAge(millis);
  return absl::StrFormat("%.1fs", static_cast<double>(millis) / 1000);
}

std::string FormatLatency(double seconds) {
  const double millis = seconds * 1'000;
  if (millis < 1) return absl::StrFormat("%.2fms", millis);
  if (millis < 9.95) return absl::StrFormat("%.1fms", millis);
  if (millis < 999.5) return absl::StrFormat("%.0fms", millis);
  return absl::StrFormat("%.2fs", seconds);
}

std::string FormatRate(double per_second) {
  if (per_second == 0) return "0";
  if (per_second < 9.995) return absl::StrFormat("%.2f", per_second);
  if (per_second < 99.95) return absl::StrFormat("%.1f", per_second);
  return absl::StrFormat("%.0f", per_second);
}

std::string Sparkline(const std::vector<double>& values, double least_top) {
  static constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr size_t kHeights = std::size(kBars);
  double top = least_top;
  for (const double value : values) top = std::max(top, value);
  std::string line;
  for (const double value : values) {
    const double share = top > 0 ? std::clamp(value / top, 0.0, 1.0) : 0.0;
    line += kBars[std::min(kHeights - 1, static_cast<size_t>(share * kHeights))];
  }
  return line;
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes == 0) return "0";
  constexpr double kMebi = 1024.0 * 1024;
  constexpr double kGibi = kMebi * 1024;
  const auto value = static_cast<double>(bytes);
  if (value >= 10 * kGibi) return absl::StrFormat("%.0fG", value / kGibi);
  if (value >= kGibi) return absl::StrFormat("%.1fG", value / kGibi);
  return absl::StrFormat("%.0fM", value / kMebi);
}

std::string FormatCpus(uint32_t millis) {
  if (millis % 1000 == 0) return absl::StrCat(millis / 1000);
  return absl::StrFormat("%.1f", millis / 1000.0);
}

std::string FormatClock(int64_t unix_millis, absl::TimeZone zone) {
  return absl::FormatTime("%H:%M:%E3S", absl::FromUnixMillis(unix_millis), zone);
}

std::string FormatDateTime(int64_t unix_millis, absl::TimeZone zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E3S", absl::FromUnixMillis(unix_millis), zone);
}

absl::StatusOr<Millis> ParseDuration(std::string_view text) {
  const absl::string_view view(text.data(), text.size());
  const bool bare =
      !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
  absl::Duration duration;
  const std::string with_unit = bare ? absl::StrCat(view, "s") : std::string(text);
  if (!absl::ParseDuration(with_unit, &duration) || duration < absl::Milliseconds(1) ||
      duration > absl::Hours(24 * 365)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", view, "\" is not a duration like 30s, 5m or 1h30m"));
  }
  return Millis{absl::ToInt64Milliseconds(duration)};
}

}  // namespace pando::ctl
