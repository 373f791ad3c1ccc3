#include "controller/core/placement.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::controller {
namespace {

constexpr uint32_t kWhole = 10'000;  // of NodeLoad.share

std::string Mebibytes(uint64_t bytes) { return absl::StrCat((bytes + (1 << 19)) >> 20, " MiB"); }

std::string Cpus(uint32_t millis) { return absl::StrCat(millis, "m cpu"); }

uint32_t Share(uint64_t used, uint64_t capacity) {
  if (capacity == 0) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(kWhole, used * kWhole / capacity));
}

NodeLoad LoadFor(const PlacementNode& node, const NodeUsage& used) {
  return {
      std::max({Share(used.instances, node.max_instances), Share(used.cpu_millis, node.cpu_millis),
                Share(used.memory_bytes, node.memory_bytes)}),
      used.instances};
}

bool HasRoom(const PlacementNode& node) {
  return node.max_instances == 0 || node.used.instances < node.max_instances;
}

// Absent when there is no limit, or nothing is asked.
std::optional<uint64_t> Free(uint64_t capacity, uint64_t used, uint64_t asked) {
  if (capacity == 0 || asked == 0) return std::nullopt;
  return used >= capacity ? 0 : capacity - used;
}

bool MatchesLabels(const RevisionConfig& needs, const Labels& labels) {
  for (const auto& [key, value] : needs.node_labels) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return std::all_of(needs.node_rules.begin(), needs.node_rules.end(),
                     [&](const LabelRule& rule) { return Matches(rule, labels); });
}

struct Objection {
  std::string need;  // what is asked for: "512 MiB"; empty when it is not about an amount
  std::string node;  // what the node says to it: "has 300 MiB free"
};

struct Question {
  const RevisionConfig& needs;
  const PlacementNode& node;
  uint32_t of_app = 0;  // instances of the app on the node
};

using Filter = std::optional<Objection> (*)(const Question&);

std::optional<Objection> AskOpen(const Question& q) {
  if (q.node.closed.empty()) return std::nullopt;
  return Objection{"", q.node.closed};
}

std::optional<Objection> AskLabels(const Question& q) {
  for (const auto& [key, value] : q.needs.node_labels) {
    const LabelRule rule{key, LabelRule::Kind::kOneOf, {value}};
    if (!Matches(rule, q.node.labels)) {
      return Objection{absl::StrCat("label ", ToText(rule)), WhyNotMatching(rule, q.node.labels)};
    }
  }
  for (const LabelRule& rule : q.needs.node_rules) {
    if (!Matches(rule, q.node.labels)) {
      return Objection{absl::StrCat("label ", ToText(rule)), WhyNotMatching(rule, q.node.labels)};
    }
  }
  return std::nullopt;
}

std::optional<Objection> AskRoom(const Question& q) {
  if (HasRoom(q.node)) return std::nullopt;
  return Objection{
      "", absl::StrCat("is full (", q.node.used.instances, " of ", q.node.max_instances, ")")};
}

std::optional<Objection> AskCount(const Question& q) {
  if (q.needs.max_per_node == 0 || q.of_app < q.needs.max_per_node) return std::nullopt;
  return Objection{absl::StrCat("at most ", q.needs.max_per_node, " on a node"),
                   absl::StrCat("has ", q.of_app)};
}

std::optional<Objection> AskMemory(const Question& q) {
  const uint64_t asked = q.needs.memory_bytes;
  const auto free = Free(q.node.memory_bytes, q.node.used.memory_bytes, asked);
  if (!free || *free >= asked) return std::nullopt;
  return Objection{Mebibytes(asked), absl::StrCat("has ", Mebibytes(*free), " free")};
}

std::optional<Objection> AskCpu(const Question& q) {
  const uint32_t asked = q.needs.cpu_millis;
  const auto free = Free(q.node.cpu_millis, q.node.used.cpu_millis, asked);
  if (!free || *free >= asked) return std::nullopt;
  return Objection{Cpus(asked), absl::StrCat("has ", Cpus(static_cast<uint32_t>(*free)), " free")};
}

constexpr Filter kFilters[] = {AskOpen, AskLabels, AskRoom, AskCount, AskMemory, AskCpu};

std::optional<Objection> FirstObjection(const Question& question) {
  for (const Filter filter : kFilters) {
    if (auto objection = filter(question)) return objection;
  }
  return std::nullopt;
}

}  // namespace

NodeLoad LoadOf(const PlacementNode& node) { return LoadFor(node, node.used); }

NodeLoad LoadWith(const PlacementNode& node, const RevisionConfig& needs) {
  return LoadFor(node, {node.used.instances + 1, node.used.cpu_millis + needs.cpu_millis,
                        node.used.memory_bytes + needs.memory_bytes});
}

// ---- NodeIndex ----

void NodeIndex::List(Entry& entry) {
  entry.load = LoadOf(entry.node);
  if (!entry.node.closed.empty() || !HasRoom(entry.node)) return;
  entry.listed = true;
  entry.group->open.emplace(KeyOf(entry), &entry);
}

void NodeIndex::Unlist(Entry& entry) {
  if (!std::exchange(entry.listed, false)) return;
  entry.group->open.erase(KeyOf(entry));
}

void NodeIndex::Put(PlacementNode node) {
  Entry& entry = entries_[node.id];
  Unlist(entry);
  if (entry.group == nullptr || entry.group->labels != node.labels) {
    entry.group = &groups_[node.labels];
    entry.group->labels = node.labels;
  }
  entry.node = std::move(node);
  List(entry);
}

void NodeIndex::SetUsed(const NodeId& id, const NodeUsage& used) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Unlist(found->second);
  found->second.node.used = used;
  List(found->second);
}

const PlacementNode* NodeIndex::Find(const NodeId& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.node;
}

// ---- Placer ----

Placer::Placer(const NodeIndex& index, const RevisionConfig& needs)
    : index_(index), needs_(needs), of_label_(needs.spread_labels.size()) {}

std::vector<std::string> Placer::ValuesOf(const Labels& labels) const {
  std::vector<std::string> values;
  values.reserve(needs_.spread_labels.size());
  for (const std::string& key : needs_.spread_labels) {
    const auto found = labels.find(key);
    values.push_back(found == labels.end() ? "" : found->second);
  }
  return values;
}

std::vector<uint32_t> Placer::CountsOf(const std::vector<std::string>& values) const {
  std::vector<uint32_t> counts(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto found = of_label_[i].find(values[i]);
    if (found != of_label_[i].end()) counts[i] = found->second;
  }
  return counts;
}

void Placer::Count(const NodeId& node) {
  const auto found = index_.entries_.find(node);
  if (found == index_.entries_.end()) return;
  const Entry& entry = found->second;
  const std::vector<std::string> values = ValuesOf(entry.group->labels);
  for (size_t i = 0; i < values.size(); ++i) ++of_label_[i][values[i]];
  Taken& taken = on_node_[&entry];
  const auto state = state_of_.find(entry.group);
  GroupState* const of_group = state == state_of_.end() ? nullptr : &groups_[state->second];
  if (of_group != nullptr) of_group->taken.erase(Ranked(taken));
  taken = {taken.count + 1, NodeIndex::KeyOf(entry)};
  if (of_group != nullptr && entry.listed) {
    of_group->taken.emplace(Ranked(taken), &entry);
  }
}

void Placer::Discount(const NodeId& node) {
  const auto found = index_.entries_.find(node);
  if (found == index_.entries_.end()) return;
  const std::vector<std::string> values = ValuesOf(found->second.group->labels);
  for (size_t i = 0; i < values.size(); ++i) --of_label_[i][values[i]];
  const auto taken = on_node_.find(&found->second);
  if (--taken->second.count == 0) on_node_.erase(taken);
}

void Placer::Begin() {
  if (std::exchange(begun_, true)) return;
  for (const auto& [labels, group] : index_.groups_) {
    if (group.open.empty() || !MatchesLabels(needs_, labels)) continue;
    state_of_[&group] = groups_.size();
    GroupState& state = groups_.emplace_back();
    state.group = &group;
    state.values = ValuesOf(labels);
  }
  for (auto& [entry, taken] : on_node_) {
    const auto state = state_of_.find(entry->group);
    if (state == state_of_.end() || !entry->listed) continue;
    taken.key = NodeIndex::KeyOf(*entry);
    groups_[state->second].taken.emplace(Ranked(taken), entry);
  }
}

bool Placer::Fits(const Entry& entry) const {
  const auto taken = on_node_.find(&entry);
  const Question question{needs_, entry.node, taken == on_node_.end() ? 0 : taken->second.count};
  return !AskCount(question) && !AskMemory(question) && !AskCpu(question);
}

// The least loaded one that has no instance of the app.
const Placer::Entry* Placer::BestFree(GroupState& state) {
  const auto& open = state.group->open;
  auto it = state.passed ? open.upper_bound(*state.passed) : open.begin();
  for (; it != open.end(); ++it) {
    if (!on_node_.contains(it->second) && Fits(*it->second)) return it->second;
    state.passed = it->first;
  }
  return nullptr;
}

Placer::Taken Placer::Ranked(const Taken& taken) const {
  return {needs_.spread_hosts ? taken.count : 0, taken.key};
}

const Placer::Entry* Placer::BestOf(GroupState& state) {
  const Entry* const free = BestFree(state);
  // What does not fit now fits no later instance of the batch either.
  while (!state.taken.empty() && !Fits(*state.taken.begin()->second)) {
    state.taken.erase(state.taken.begin());
  }
  if (state.taken.empty()) {
    state.exhausted = free == nullptr;
    return free;
  }
  const auto& [taken, entry] = *state.taken.begin();
  return free != nullptr && Taken{0, NodeIndex::KeyOf(*free)} < taken ? free : entry;
}

Placer::Taken Placer::RankOf(const Entry& entry) const {
  const auto found = on_node_.find(&entry);
  const uint32_t count = found == on_node_.end() ? 0 : found->second.count;
  return Ranked({count, NodeIndex::KeyOf(entry)});
}

const PlacementNode* Placer::Choose() {
  Begin();
  for (;;) {
    std::vector<GroupState*> candidates;
    std::vector<uint32_t> fewest;
    for (GroupState& state : groups_) {
      if (state.exhausted) continue;
      std::vector<uint32_t> counts = CountsOf(state.values);
      if (!candidates.empty() && counts > fewest) continue;
      if (candidates.empty() || counts < fewest) {
        candidates.clear();
        fewest = std::move(counts);
      }
      candidates.push_back(&state);
    }
    if (candidates.empty()) return nullptr;

    const Entry* best = nullptr;
    for (GroupState* state : candidates) {
      const Entry* const entry = BestOf(*state);
      if (entry != nullptr && (best == nullptr || RankOf(*entry) < RankOf(*best))) {
        best = entry;
      }
    }
    if (best != nullptr) return &best->node;
  }
}

Placer::Score Placer::ScoreOf(const NodeId& node) const {
  Score score;
  const auto found = index_.entries_.find(node);
  if (found == index_.entries_.end()) return score;
  score.of_labels = CountsOf(ValuesOf(found->second.group->labels));
  const auto taken = on_node_.find(&found->second);
  if (needs_.spread_hosts && taken != on_node_.end()) score.on_node = taken->second.count;
  return score;
}

std::string Placer::WhyNothingFits(size_t most) const {
  if (index_.entries_.empty()) return "no node has joined";
  std::vector<std::string> asked;
  std::vector<std::string> answers;
  size_t unnamed = 0;
  for (const auto& [id, entry] : index_.entries_) {
    const auto taken = on_node_.find(&entry);
    const uint32_t of_app = taken == on_node_.end() ? 0 : taken->second.count;
    const auto objection = FirstObjection({needs_, entry.node, of_app});
    if (!objection) continue;
    if (!objection->need.empty() &&
        std::find(asked.begin(), asked.end(), objection->need) == asked.end()) {
      asked.push_back(objection->need);
    }
    if (answers.size() < most) {
      answers.push_back(absl::StrCat(id.value, " ", objection->node));
    } else {
      ++unnamed;
    }
  }
  std::string text = absl::StrJoin(answers, "; ");
  if (unnamed > 0) absl::StrAppend(&text, "; and ", unnamed, " more");
  if (asked.empty()) return text;
  return absl::StrCat("needs ", absl::StrJoin(asked, ", "), "; ", text);
}

}  // namespace pando::controller
