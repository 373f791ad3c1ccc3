#include "ctl/scale_args.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pando::ctl {

namespace {

constexpr int64_t kMaxReplicas = 1'000'000;  // the controller has its own, lower limit

bool LooksLikeCount(const std::string& word) {
  return !word.empty() && word.find_first_not_of("+-0123456789") == std::string::npos;
}

absl::Status SetCount(const std::string& text, v1::ScaleRequest& request) {
  const bool relative = !text.empty() && (text.front() == '+' || text.front() == '-');
  int64_t count = 0;
  const std::string digits = relative ? text.substr(1) : text;
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(digits, &count) || count > kMaxReplicas) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a number of replicas (8, +2 or -1)"));
  }
  request.set_relative(relative);
  if (relative) {
    request.set_delta(static_cast<int32_t>(text.front() == '-' ? -count : count));
  } else {
    request.set_replicas(static_cast<uint32_t>(count));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::ScaleRequest> ParseScaleArgs(const std::vector<std::string>& words,
                                                const std::string& replicas) {
  v1::ScaleRequest request;
  std::vector<std::string> counts;
  if (!replicas.empty()) counts.push_back(replicas);
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const size_t equals = word.find('=');
    const bool is_app = i == 0 && !LooksLikeCount(word);
    if (is_app && equals != std::string::npos) {
      request.set_app(word.substr(0, equals));
      counts.push_back(word.substr(equals + 1));
    } else if (is_app) {
      request.set_app(word);
    } else {
      counts.push_back(word);
    }
  }
  if (counts.empty()) {
    return absl::InvalidArgumentError("scale: say how many, for example: ctl scale web 8");
  }
  if (counts.size() > 1) {
    return absl::InvalidArgumentError("scale: the number of replicas is given twice");
  }
  if (absl::Status status = SetCount(counts.front(), request); !status.ok()) return status;
  return request;
}

}  // namespace pando::ctl
