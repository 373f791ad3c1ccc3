#include "ctl/bench_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ctl/format.h"
#include "ctl/json.h"
#include "ctl/output.h"

namespace pando::ctl {
namespace {

using std::chrono::nanoseconds;

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"p50", 0.50}, {"p75", 0.75}, {"p90", 0.90}, {"p99", 0.99}, {"p99.9", 0.999}};
constexpr int kBarWidth = 50;

absl::Status Refuse(const std::string& url, const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat("URL: \"", url, "\" ", why,
                   " (allowed: http://host[:port][/path], for example "
                   "http://127.0.0.1:8080/)"));
}

double Seconds(nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

struct Bar {
  nanoseconds upper;
  uint64_t count = 0;
};

// Classes 1, 2, 5, 10, ... that cover what was recorded.
std::vector<Bar> Bars(const LatencyHistogram& latency) {
  std::vector<Bar> bars;
  if (latency.count() == 0) return bars;
  nanoseconds lower{-1};
  nanoseconds power{1'000};
  while (true) {
    for (const int step : {1, 2, 5}) {
      const nanoseconds upper = power * step;
      const uint64_t count = latency.CountBetween(lower, upper);
      if (count > 0 || !bars.empty()) bars.push_back({upper, count});
      lower = upper;
      if (upper >= latency.max() && latency.CountBetween(upper, nanoseconds::max()) == 0) {
        return bars;
      }
    }
    power *= 10;
  }
}

}  // namespace

absl::StatusOr<BenchUrl> ParseBenchUrl(const std::string& url) {
  absl::string_view rest = url;
  if (absl::StartsWithIgnoreCase(rest, "https://")) return Refuse(url, "needs TLS");
  if (!absl::StartsWithIgnoreCase(rest, "http://")) return Refuse(url, "is not a URL");
  rest.remove_prefix(7);
  const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  absl::string_view authority = rest.substr(0, end);
  BenchUrl parsed;
  parsed.target = std::string(rest.substr(end, rest.find('#') - end));
  if (parsed.target.empty() || parsed.target[0] != '/') parsed.target.insert(0, "/");
  for (const char c : parsed.target) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return Refuse(url, "has blanks");
  }
  const bool bracket = absl::StartsWith(authority, "[");
  const size_t host_end = bracket ? authority.find(']') : authority.find(':');
  if (bracket && host_end == absl::string_view::npos) return Refuse(url, "has no ] after its [");
  const absl::string_view host =
      bracket ? authority.substr(1, host_end - 1) : authority.substr(0, host_end);
  const absl::string_view behind =
      host_end == absl::string_view::npos ? "" : authority.substr(host_end + (bracket ? 1 : 0));
  if (host.empty() || absl::StrContains(host, '@')) return Refuse(url, "names no host");
  parsed.host = std::string(host);
  if (behind.empty()) return parsed;
  uint32_t port = 0;
  if (behind[0] != ':' || !absl::SimpleAtoi(behind.substr(1), &port) || port < 1 || port > 65'535) {
    return Refuse(url, "has a port that is not in 1-65535");
  }
  parsed.port = static_cast<uint16_t>(port);
  return parsed;
}

uint64_t BenchPlan::requests() const {
  const double seconds = std::chrono::duration<double>(duration).count();
  return std::max<uint64_t>(1, static_cast<uint64_t>(std::floor(rate * seconds + 1e-6)));
}

nanoseconds BenchPlan::DueAfter(uint64_t number) const {
  return nanoseconds{static_cast<int64_t>(static_cast<double>(number) / rate * 1e9)};
}

uint64_t BenchPlan::DueAt(nanoseconds elapsed) const {
  if (elapsed < nanoseconds{0}) return 0;
  auto due = static_cast<uint64_t>(Seconds(elapsed) * rate);
  while (DueAfter(due) <= elapsed) ++due;
  return std::min(due, requests());
}

absl::Status CheckBenchPlan(const BenchPlan& plan) {
  if (!(plan.rate > 0) || plan.rate > BenchPlan::kMaxRate) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--rate: %g is not in 0.001-%g requests a second", plan.rate, BenchPlan::kMaxRate));
  }
  if (plan.duration > BenchPlan::kMaxDuration) {
    return absl::InvalidArgumentError("--duration: at most 1h");
  }
  if (plan.connections < 1 || plan.connections > BenchPlan::kMaxConnections) {
    return absl::InvalidArgumentError(absl::StrCat("--connections: ", plan.connections,
                                                   " is not in 1-", BenchPlan::kMaxConnections));
  }
  return absl::OkStatus();
}

uint64_t BenchResult::failed() const {
  uint64_t failed = due - answered;
  for (const auto& [status, count] : by_status) {
    if (status >= 500) failed += count;
  }
  return failed;
}

std::string BenchText(const BenchPlan& plan, const BenchResult& result, bool color) {
  std::string statuses;
  for (const auto& [status, count] : result.by_status) {
    absl::StrAppend(&statuses, statuses.empty() ? "" : ", ", status, ": ", count);
  }
  const double seconds = std::max(0.001, std::chrono::duration<double>(result.elapsed).count());
  std::string text = absl::StrCat("requests   ", result.due, " due, ", result.answered, " answered",
                                  statuses.empty() ? "" : absl::StrCat(" (", statuses, ")"), ", ");
  absl::StrAppend(&text,
                  Paint(absl::StrCat(result.failed(), " failed"),
                        result.failed() == 0 ? Color::kGreen : Color::kRed, color),
                  "\n");
  for (const auto& [what, count] : result.errors) {
    absl::StrAppend(&text, "           ", count, " x ", what, "\n");
  }
  absl::StrAppendFormat(&text, "rate       %.1f/s of %.1f/s\n",
                        static_cast<double>(result.answered) / seconds, plan.rate);
  absl::StrAppend(&text, "waited     at most ", FormatLatency(Seconds(result.longest_wait)),
                  " for one of ", plan.connections, " connections\n");
  if (result.latency.count() == 0) return text;
  absl::StrAppend(&text, "latency    mean ", FormatLatency(Seconds(result.latency.mean())));
  for (const auto& [name, q] : kQuantiles) {
    absl::StrAppend(&text, "  ", name, " ", FormatLatency(Seconds(result.latency.Quantile(q))));
  }
  absl::StrAppend(&text, "  max ", FormatLatency(Seconds(result.latency.max())),
                  "\n           from the moment a request was due\n\n");
  const std::vector<Bar> bars = Bars(result.latency);
  uint64_t largest = 1;
  for (const Bar& bar : bars) largest = std::max(largest, bar.count);
  for (const Bar& bar : bars) {
    const auto width = static_cast<size_t>(
        std::ceil(static_cast<double>(bar.count) * kBarWidth / static_cast<double>(largest)));
    absl::StrAppendFormat(&text, "  to %8s  %8d  %s\n", FormatLatency(Seconds(bar.upper)),
                          bar.count, std::string(width, '#'));
  }
  return text;
}

std::string BenchJson(const BenchPlan& plan, const BenchResult& result) {
  const auto number = [](double value) { return absl::StrFormat("%.9g", value); };
  JsonObject statuses, errors, latency;
  for (const auto& [status, count] : result.by_status) {
    statuses.Number(absl::StrCat(status), count);
  }
  for (const auto& [what, count] : result.errors) errors.Number(what, count);
  latency.Raw("mean", number(Seconds(result.latency.mean())));
  for (const auto& [name, q] : kQuantiles) {
    latency.Raw(name, number(Seconds(result.latency.Quantile(q))));
  }
  latency.Raw("max", number(Seconds(result.latency.max())));
  std::vector<std::string> bars;
  for (const Bar& bar : Bars(result.latency)) {
    bars.push_back(JsonObject()
                       .Raw("to_seconds", number(Seconds(bar.upper)))
                       .Number("requests", bar.count)
                       .Str());
  }
  const double seconds = std::max(0.001, std::chrono::duration<double>(result.elapsed).count());
  JsonObject bench;
  bench.Raw("rate", number(plan.rate))
      .Raw("duration_seconds", number(std::chrono::duration<double>(plan.duration).count()))
      .Number("connections", plan.connections)
      .Number("due", result.due)
      .Number("answered", result.answered)
      .Number("failed", result.failed())
      .Raw("statuses", statuses.Str())
      .Raw("errors", errors.Str())
      .Raw("answered_per_second", number(static_cast<double>(result.answered) / seconds))
      .Number("connects", result.connects)
      .Raw("longest_wait_seconds", number(Seconds(result.longest_wait)))
      .Raw("latency_seconds", latency.Str())
      .Raw("histogram", JsonArray(bars));
  return JsonObject().Raw("bench", bench.Str()).Str();
}

}  // namespace pando::ctl
