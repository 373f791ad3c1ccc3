#include "controller/core/placement.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::controller {
namespace {

constexpr size_t kMostNodesNamed = 8;

std::string Mebibytes(uint64_t bytes) { return absl::StrCat((bytes + (1 << 19)) >> 20, " MiB"); }

std::string Cpus(uint32_t millis) { return absl::StrCat(millis, "m cpu"); }

// Absent when there is no limit, or nothing is asked.
std::optional<uint64_t> Free(uint64_t capacity, uint64_t used, uint64_t asked) {
  if (capacity == 0 || asked == 0) return std::nullopt;
  return used >= capacity ? 0 : capacity - used;
}

const std::pair<const std::string, std::string>* MissingLabel(const RevisionConfig& needs,
                                                              const PlacementNode& node) {
  for (const auto& label : needs.node_labels) {
    if (node.labels == nullptr) return &label;
    const auto found = node.labels->find(label.first);
    if (found == node.labels->end() || found->second != label.second) return &label;
  }
  return nullptr;
}

struct Objection {
  std::string need;  // what is asked for: "512 MiB"; empty when it is not about an amount
  std::string node;  // what the node says to it: "has 300 MiB free"
};

using Filter = std::optional<Objection> (*)(const RevisionConfig&, const PlacementNode&);

std::optional<Objection> IsOpen(const RevisionConfig&, const PlacementNode& node) {
  if (node.closed.empty()) return std::nullopt;
  return Objection{"", node.closed};
}

std::optional<Objection> HasLabels(const RevisionConfig& needs, const PlacementNode& node) {
  const auto* missing = MissingLabel(needs, node);
  if (missing == nullptr) return std::nullopt;
  return Objection{absl::StrCat("label ", missing->first, "=", missing->second),
                   "does not have it"};
}

std::optional<Objection> HasRoom(const RevisionConfig&, const PlacementNode& node) {
  if (node.max_instances == 0 || node.used.instances < node.max_instances) return std::nullopt;
  return Objection{"",
                   absl::StrCat("is full (", node.used.instances, " of ", node.max_instances, ")")};
}

std::optional<Objection> HasMemory(const RevisionConfig& needs, const PlacementNode& node) {
  const auto free = Free(node.memory_bytes, node.used.memory_bytes, needs.memory_bytes);
  if (!free || *free >= needs.memory_bytes) return std::nullopt;
  return Objection{Mebibytes(needs.memory_bytes), absl::StrCat("has ", Mebibytes(*free), " free")};
}

std::optional<Objection> HasCpu(const RevisionConfig& needs, const PlacementNode& node) {
  const auto free = Free(node.cpu_millis, node.used.cpu_millis, needs.cpu_millis);
  if (!free || *free >= needs.cpu_millis) return std::nullopt;
  return Objection{Cpus(needs.cpu_millis),
                   absl::StrCat("has ", Cpus(static_cast<uint32_t>(*free)), " free")};
}

constexpr Filter kFilters[] = {IsOpen, HasLabels, HasRoom, HasMemory, HasCpu};

std::optional<Objection> FirstObjection(const RevisionConfig& needs, const PlacementNode& node) {
  for (const Filter filter : kFilters) {
    if (auto objection = filter(needs, node)) return objection;
  }
  return std::nullopt;
}

}  // namespace

std::optional<size_t> ChooseNode(const RevisionConfig& needs,
                                 const std::vector<PlacementNode>& nodes) {
  const auto score = [](const PlacementNode& node) {
    return std::tie(node.same_app, node.used.instances, node.id);
  };
  std::optional<size_t> best;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (best && score(nodes[*best]) <= score(nodes[i])) continue;
    if (!FirstObjection(needs, nodes[i])) best = i;
  }
  return best;
}

std::string WhyNothingFits(const RevisionConfig& needs, const std::vector<PlacementNode>& nodes) {
  if (nodes.empty()) return "no node has joined";
  std::vector<std::string> asked;
  std::vector<std::string> answers;
  for (const PlacementNode& node : nodes) {
    const auto objection = FirstObjection(needs, node);
    if (!objection) continue;
    if (!objection->need.empty() &&
        std::find(asked.begin(), asked.end(), objection->need) == asked.end()) {
      asked.push_back(objection->need);
    }
    answers.push_back(absl::StrCat(node.id.value, " ", objection->node));
  }
  const size_t unnamed = answers.size() > kMostNodesNamed ? answers.size() - kMostNodesNamed : 0;
  answers.resize(answers.size() - unnamed);
  std::string text = absl::StrJoin(answers, "; ");
  if (unnamed > 0) absl::StrAppend(&text, "; and ", unnamed, " more");
  if (asked.empty()) return text;
  return absl::StrCat("needs ", absl::StrJoin(asked, ", "), ": ", text);
}

}  // namespace pando::controller
