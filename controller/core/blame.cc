#include "controller/core/blame.h"

#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace pando::controller {
namespace {

constexpr char kType[] = "pando/blame";

}  // namespace

absl::Status WithBlame(absl::Status error, const Blame& blame) {
  const char* kind = blame.kind == Blame::Kind::kApp ? "app" : "gateway";
  error.SetPayload(kType, absl::Cord(absl::StrCat(kind, "/", blame.name, "/", blame.field)));
  return error;
}

std::optional<Blame> BlameOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kType);
  if (!payload) return std::nullopt;
  const std::string text(*payload);
  // Names have no slash.
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 2));
  if (parts.size() != 3) return std::nullopt;
  return Blame{parts[0] == "app" ? Blame::Kind::kApp : Blame::Kind::kGateway, parts[1], parts[2]};
}

}  // namespace pando::controller
