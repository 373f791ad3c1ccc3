#include "controller/spec/health.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/quantities.h"
#include "controller/spec/readers.h"

namespace pando::controller {
namespace {

using Check = v1::HealthCheck;

constexpr uint32_t kMaxThreshold = 100;
constexpr uint32_t kFirstStatus = 100;
constexpr uint32_t kLastStatus = 599;
constexpr size_t kMaxCodes = 50;
constexpr size_t kMaxWords = 1'000;
constexpr uint32_t kDefaultTimeout = 500;
// A program has to be started first; and what is asked for a restart is not asked in a hurry.
constexpr uint32_t kPatientTimeout = 2 * kSecond;

// ---- reading ----

struct Draft {
  Check message;
  std::vector<std::string> kinds;  // the keys that say what is asked
  bool tcp_denied = false;
  bool has_timeout = false;
};

// "200" or "200-299".
std::optional<Check::Codes> ParseCodes(std::string_view text) {
  const size_t dash = text.find('-');
  const std::string_view first = text.substr(0, dash);
  const std::string_view last = dash == std::string_view::npos ? first : text.substr(dash + 1);
  Check::Codes codes;
  uint32_t number = 0;
  const auto read = [&](std::string_view digits) {
    return digits.size() == 3 && IsDecimal(digits) &&
           absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &number) &&
           number >= kFirstStatus && number <= kLastStatus;
  };
  if (!read(first)) return std::nullopt;
  codes.set_first(number);
  if (!read(last) || number < codes.first()) return std::nullopt;
  codes.set_last(number);
  return codes;
}

void ReadCode(const Input& value, Check& into) {
  const std::optional<std::string> text = value.Text();
  if (!text) return;
  if (const auto codes = ParseCodes(*text)) {
    *into.add_codes() = *codes;
  } else {
    value.Fail(absl::StrCat(Quoted(*text),
                            " is not a status (allowed: 100 to 599, or a range like 200-299)"));
  }
}

void ReadCodes(const Input& value, Check& into) {
  if (value.IsText()) return ReadCode(value, into);
  value.ForEachItem(kMaxCodes, [&](const Input& item) { ReadCode(item, into); });
}

void ReadCommandWords(const Input& value, Check& into) {
  value.ForEachItem(kMaxWords, [&](const Input& item) {
    if (auto word = item.Text()) into.add_command(*std::move(word));
  });
  if (into.command_size() > 0 && into.command(0).empty()) {
    value.Fail("the program to start is \"\"");
  }
}

template <auto Read>
void ReadPart(const Input& value, Draft& into) {
  Read(value, into.message);
}

// A key that says what is asked.
template <Check::Kind Kind>
void Choose(const char* key, Draft& into) {
  into.message.set_kind(Kind);
  into.kinds.emplace_back(key);
}

constexpr Field<Draft> kPath = {"path", [](const Input& value, Draft& into) {
                                  Choose<Check::HTTP>("path", into);
                                  ReadChecked<&Check::mutable_path, CheckProbePath>(value,
                                                                                    into.message);
                                }};
constexpr Field<Draft> kCodes = {"codes", ReadPart<ReadCodes>};
constexpr Field<Draft> kHeaders = {"headers", [](const Input& value, Draft& into) {
                                     ReadTextMap(value, CheckFieldName, CheckFieldValue,
                                                 *into.message.mutable_headers());
                                   }};
constexpr Field<Draft> kHost = {"host",
                                ReadPart<ReadChecked<&Check::mutable_host, CheckHostField, Check>>};
constexpr Field<Draft> kTcp = {"tcp", [](const Input& value, Draft& into) {
                                 const std::optional<bool> wanted = value.Bool();
                                 if (wanted == true) Choose<Check::TCP>("tcp", into);
                                 into.tcp_denied = wanted == false;
                               }};
constexpr Field<Draft> kCommand = {"command", [](const Input& value, Draft& into) {
                                     Choose<Check::EXEC>("command", into);
                                     ReadCommandWords(value, into.message);
                                   }};
constexpr Field<Draft> kGrpc = {"grpc", [](const Input& value, Draft& into) {
                                  if (value.Bool() == true) Choose<Check::GRPC>("grpc", into);
                                }};
constexpr Field<Draft> kService = {
    "service", ReadPart<ReadChecked<&Check::mutable_service, CheckGrpcService, Check>>};
constexpr Field<Draft> kInterval = {
    "interval", ReadPart<ReadDuration<&Check::set_interval_ms, 10, kHour, Check>>};
constexpr Field<Draft> kTimeout = {"timeout", [](const Input& value, Draft& into) {
                                     into.has_timeout = true;
                                     ReadDuration<&Check::set_timeout_ms, 10, 60 * kSecond>(
                                         value, into.message);
                                   }};
constexpr Field<Draft> kHealthy = {
    "healthy", ReadPart<ReadWhole<&Check::set_healthy_threshold, 1, kMaxThreshold, Check>>};
constexpr Field<Draft> kUnhealthy = {
    "unhealthy", ReadPart<ReadWhole<&Check::set_unhealthy_threshold, 1, kMaxThreshold, Check>>};
constexpr Field<Draft> kStartup = {
    "startup", ReadPart<ReadDuration<&Check::set_startup_ms, 100, kHour, Check>>};

constexpr Field<Draft> kHealthFields[] = {kPath,    kCodes,     kHeaders, kHost,     kTcp,
                                          kCommand, kGrpc,      kService, kInterval, kTimeout,
                                          kHealthy, kUnhealthy, kStartup};
constexpr Field<Draft> kStartupFields[] = {kPath, kCodes,   kHeaders,  kHost,    kTcp,    kCommand,
                                           kGrpc, kService, kInterval, kTimeout, kHealthy};
constexpr Field<Draft> kLivenessFields[] = {kPath,     kCodes,   kHeaders,  kHost,
                                            kTcp,      kCommand, kGrpc,     kService,
                                            kInterval, kTimeout, kUnhealthy};

void CheckKinds(const Input& value, const Draft& draft) {
  if (draft.kinds.size() > 1) {
    value.Fail(absl::StrCat("has ", absl::StrJoin(draft.kinds, " and "),
                            " (choose one: path asks over HTTP, tcp only connects, command runs a "
                            "program, grpc asks grpc.health.v1.Health)"));
    return;
  }
  if (draft.kinds.empty() && draft.tcp_denied) {
    value.Fail("tcp: false needs a path, command or grpc to ask instead");
  }
  for (const char* const key : {"codes", "headers", "host"}) {
    if (draft.message.kind() != Check::HTTP && value.Find(key)) {
      value.Find(key)->Fail("is for probes over HTTP (add a path)");
    }
  }
  if (draft.message.kind() != Check::GRPC && value.Find("service")) {
    value.Find("service")->Fail("is for probes over gRPC (add grpc: true)");
  }
}

// `into` holds the defaults.
void ReadCheck(const Input& value, std::span<const Field<Draft>> fields, Check& into) {
  Draft draft{into, {}, false, false};
  ReadFields<Draft>(value, fields, draft);
  if (value.node().kind != YamlNode::Kind::kMap) return;
  CheckKinds(value, draft);
  Check& check = draft.message;
  if (check.kind() == Check::EXEC && !draft.has_timeout) check.set_timeout_ms(kPatientTimeout);
  into = std::move(check);
}

void RequireKind(const Input& value, const Check& check) {
  if (value.node().kind == YamlNode::Kind::kMap && check.kind() == Check::KIND_UNSPECIFIED) {
    value.Fail("does not say what to ask (needed: path, tcp, command or grpc)");
  }
}

// ---- writing ----

using YAML::BeginMap;
using YAML::BeginSeq;
using YAML::DoubleQuoted;
using YAML::EndMap;
using YAML::EndSeq;
using YAML::Flow;
using YAML::Key;
using YAML::Value;

void EmitHttp(YAML::Emitter& out, const Check& check) {
  out << Key << "path" << Value << DoubleQuoted << check.path();
  // None are the default ones: specs of an older version have none, and are to stay equal to
  // theirs.
  if (!check.codes().empty()) {
    out << Key << "codes" << Value << Flow << BeginSeq;
    for (const Check::Codes& codes : check.codes()) {
      out << (codes.first() == codes.last() ? absl::StrCat(codes.first())
                                            : absl::StrCat(codes.first(), "-", codes.last()));
    }
    out << EndSeq;
  }
  if (!check.headers().empty()) {
    out << Key << "headers" << Value << BeginMap;
    for (const auto& [name, value] :
         std::map<std::string, std::string>(check.headers().begin(), check.headers().end())) {
      out << Key << DoubleQuoted << name << Value << DoubleQuoted << value;
    }
    out << EndMap;
  }
  if (!check.host().empty()) out << Key << "host" << Value << DoubleQuoted << check.host();
}

void EmitKind(YAML::Emitter& out, const Check& check) {
  switch (check.kind()) {
    case Check::HTTP:
      return EmitHttp(out, check);
    case Check::EXEC:
      out << Key << "command" << Value << Flow << BeginSeq;
      for (const std::string& word : check.command()) out << DoubleQuoted << word;
      out << EndSeq;
      return;
    case Check::GRPC:
      out << Key << "grpc" << Value << true;
      if (!check.service().empty()) {
        out << Key << "service" << Value << DoubleQuoted << check.service();
      }
      return;
    default:
      out << Key << "tcp" << Value << true;
  }
}

void EmitCheck(YAML::Emitter& out, const char* key, const Check& check) {
  out << Key << key << Value << BeginMap;
  EmitKind(out, check);
  out << Key << "interval" << Value << FormatDuration(check.interval_ms());
  out << Key << "timeout" << Value << FormatDuration(check.timeout_ms());
  if (check.healthy_threshold() > 0) {
    out << Key << "healthy" << Value << check.healthy_threshold();
  }
  if (check.unhealthy_threshold() > 0) {
    out << Key << "unhealthy" << Value << check.unhealthy_threshold();
  }
  if (check.startup_ms() > 0) {
    out << Key << "startup" << Value << FormatDuration(check.startup_ms());
  }
  out << EndMap;
}

}  // namespace

v1::HealthCheck DefaultHealth() {
  Check check;
  check.set_kind(Check::TCP);
  check.set_interval_ms(kSecond);
  check.set_timeout_ms(kDefaultTimeout);
  check.set_healthy_threshold(1);
  check.set_unhealthy_threshold(3);
  check.set_startup_ms(30 * kSecond);
  return check;
}

void ReadHealth(const Input& value, v1::HealthCheck& into) {
  into = DefaultHealth();
  ReadCheck(value, kHealthFields, into);
}

void ReadStartup(const Input& value, v1::HealthCheck& into) {
  into.set_interval_ms(kSecond);
  into.set_timeout_ms(kDefaultTimeout);
  into.set_healthy_threshold(1);
  ReadCheck(value, kStartupFields, into);
  RequireKind(value, into);
}

void ReadLiveness(const Input& value, v1::HealthCheck& into) {
  into.set_interval_ms(5 * kSecond);
  into.set_timeout_ms(kPatientTimeout);
  into.set_unhealthy_threshold(3);
  ReadCheck(value, kLivenessFields, into);
  RequireKind(value, into);
}

void EmitHealth(YAML::Emitter& out, const v1::AppSpec& spec) {
  EmitCheck(out, "health", spec.health());
  if (spec.has_startup()) EmitCheck(out, "startup", spec.startup());
  if (spec.has_liveness()) EmitCheck(out, "liveness", spec.liveness());
}

}  // namespace pando::controller
