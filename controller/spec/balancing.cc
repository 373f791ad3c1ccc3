#include "controller/spec/balancing.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/spec/choices.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/quantities.h"
#include "controller/spec/readers.h"

namespace pando::controller {
namespace {

using Balancing = v1::LoadBalancing;

constexpr uint32_t kMaxConcurrency = 100'000;
constexpr uint32_t kMaxQueue = 1'000'000;
constexpr char kDefaultCookie[] = "pando";

// RFC 9110 token: what names of fields and of cookies are made of.
bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           kMarks.find(c) != std::string_view::npos;
  });
}

void ReadPolicy(const Input& value, Balancing& into) {
  if (const auto chosen = value.OneOf(PolicyNames())) into.set_policy(PolicyAt(*chosen));
}

// "header:X-User", "cookie:sid" or "source".
void ReadKey(const Input& value, Balancing& into) {
  const std::optional<std::string> text = value.Text();
  if (!text) return;
  if (*text == "source") {
    into.set_key(Balancing::SOURCE);
    return;
  }
  const size_t colon = text->find(':');
  const std::string kind = text->substr(0, colon);
  const std::string name = colon == std::string::npos ? "" : text->substr(colon + 1);
  if ((kind != "header" && kind != "cookie") || !IsToken(name)) {
    value.Fail(
        absl::StrCat(Quoted(*text), " is not a key (allowed: header:NAME, cookie:NAME, source)"));
    return;
  }
  into.set_key(kind == "header" ? Balancing::HEADER : Balancing::COOKIE);
  into.set_key_name(kind == "header" ? absl::AsciiStrToLower(name) : name);
}

constexpr Field<Balancing> kBalancingFields[] = {
    {"policy", ReadPolicy},
    {"key", ReadKey},
    {"slow_start",
     [](const Input& value, Balancing& into) {
       if (const auto millis = value.Duration(0, kHour)) into.set_slow_start_ms(*millis);
     }},
};

constexpr Field<v1::RequestQueue> kQueueFields[] = {
    {"max",
     [](const Input& value, v1::RequestQueue& into) {
       if (const auto count = value.Whole(1, kMaxQueue)) into.set_max(*count);
     }},
    {"timeout",
     [](const Input& value, v1::RequestQueue& into) {
       if (const auto millis = value.Duration(1, kHour)) into.set_timeout_ms(*millis);
     }},
};

constexpr Field<v1::Outliers> kOutlierFields[] = {
    {"failures",
     [](const Input& value, v1::Outliers& into) {
       if (const auto count = value.Whole(1, 1'000)) into.set_failures(*count);
     }},
    {"ejection",
     [](const Input& value, v1::Outliers& into) {
       if (const auto millis = value.Duration(100, kHour)) into.set_ejection_ms(*millis);
     }},
    {"max_ejection",
     [](const Input& value, v1::Outliers& into) {
       if (const auto millis = value.Duration(100, kHour)) into.set_max_ejection_ms(*millis);
     }},
    {"max_percent",
     [](const Input& value, v1::Outliers& into) {
       if (const auto percent = value.Whole(1, 100)) into.set_max_percent(*percent);
     }},
};

std::string KeyText(const Balancing& balancing) {
  switch (balancing.key()) {
    case Balancing::HEADER:
      return absl::StrCat("header:", balancing.key_name());
    case Balancing::COOKIE:
      return absl::StrCat("cookie:", balancing.key_name());
    default:
      return "source";
  }
}

}  // namespace

void ReadLoadBalancing(const Input& value, v1::AppSpec& into) {
  Balancing& balancing = *into.mutable_load_balancing();
  if (value.IsText()) {
    ReadPolicy(value, balancing);
  } else {
    ReadFields<Balancing>(value, kBalancingFields, balancing);
  }
  const bool has_key = balancing.key() != Balancing::KEY_UNSPECIFIED;
  switch (balancing.policy()) {
    case Balancing::RING_HASH:
    case Balancing::MAGLEV:
      if (!has_key && !(value.node().kind == YamlNode::Kind::kMap && value.Find("key"))) {
        value.FailMissing("key", "what belongs together: header:NAME, cookie:NAME or source");
      }
      return;
    case Balancing::STICKY:
      if (has_key && balancing.key() != Balancing::COOKIE) {
        value.Fail("sticky goes by a cookie (allowed: key: cookie:NAME)");
      } else if (!has_key) {
        balancing.set_key(Balancing::COOKIE);
        balancing.set_key_name(kDefaultCookie);
      }
      return;
    default:
      if (has_key) value.Fail("only ring_hash, maglev and sticky have a key");
  }
}

void ReadConcurrency(const Input& value, v1::AppSpec& into) {
  const std::optional<std::string> text = value.Text();
  if (!text) return;
  v1::Concurrency& concurrency = *into.mutable_concurrency();
  uint32_t limit = 0;
  if (*text == "auto") {
    concurrency.set_kind(v1::Concurrency::AUTO);
  } else if (*text == "unlimited") {
    concurrency.set_kind(v1::Concurrency::UNLIMITED);
  } else if (absl::SimpleAtoi(*text, &limit) && limit >= 1 && limit <= kMaxConcurrency) {
    concurrency.set_kind(v1::Concurrency::FIXED);
    concurrency.set_limit(limit);
  } else {
    value.Fail(absl::StrCat(Quoted(*text), " is not a limit (allowed: auto, unlimited, or 1 to ",
                            kMaxConcurrency, ")"));
  }
}

void ReadQueue(const Input& value, v1::AppSpec& into) {
  ReadFields<v1::RequestQueue>(value, kQueueFields, *into.mutable_queue());
}

void ReadOutliers(const Input& value, v1::AppSpec& into) {
  v1::Outliers& outliers = *into.mutable_outliers();
  if (value.IsText()) {
    if (value.OneOf({"off"})) outliers.set_off(true);
    return;
  }
  ReadFields<v1::Outliers>(value, kOutlierFields, outliers);
  if (outliers.max_ejection_ms() > 0 && outliers.max_ejection_ms() < outliers.ejection_ms()) {
    value.Fail("max_ejection is shorter than ejection");
  }
}

void EmitBalancing(YAML::Emitter& out, const v1::AppSpec& spec) {
  using YAML::BeginMap;
  using YAML::EndMap;
  using YAML::Key;
  using YAML::Value;
  const Balancing& balancing = spec.load_balancing();
  out << Key << "load_balancing" << Value << BeginMap;
  out << Key << "policy" << Value << PolicyName(balancing.policy());
  if (balancing.key() != Balancing::KEY_UNSPECIFIED) {
    out << Key << "key" << Value << YAML::DoubleQuoted << KeyText(balancing);
  }
  if (balancing.slow_start_ms() > 0) {
    out << Key << "slow_start" << Value << FormatDuration(balancing.slow_start_ms());
  }
  out << EndMap;
  if (spec.has_concurrency()) {
    out << Key << "concurrency" << Value;
    if (spec.concurrency().kind() == v1::Concurrency::FIXED) {
      out << spec.concurrency().limit();
    } else {
      out << (spec.concurrency().kind() == v1::Concurrency::UNLIMITED ? "unlimited" : "auto");
    }
  }
  if (spec.queue().max() > 0 || spec.queue().timeout_ms() > 0) {
    out << Key << "queue" << Value << BeginMap;
    if (spec.queue().max() > 0) out << Key << "max" << Value << spec.queue().max();
    if (spec.queue().timeout_ms() > 0) {
      out << Key << "timeout" << Value << FormatDuration(spec.queue().timeout_ms());
    }
    out << EndMap;
  }
  if (!spec.has_outliers()) return;
  const v1::Outliers& outliers = spec.outliers();
  out << Key << "outliers" << Value;
  if (outliers.off()) {
    out << "off";
    return;
  }
  out << BeginMap;
  if (outliers.failures() > 0) out << Key << "failures" << Value << outliers.failures();
  if (outliers.ejection_ms() > 0) {
    out << Key << "ejection" << Value << FormatDuration(outliers.ejection_ms());
  }
  if (outliers.max_ejection_ms() > 0) {
    out << Key << "max_ejection" << Value << FormatDuration(outliers.max_ejection_ms());
  }
  if (outliers.max_percent() > 0) out << Key << "max_percent" << Value << outliers.max_percent();
  out << EndMap;
}

}  // namespace pando::controller
