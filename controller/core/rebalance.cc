#include "controller/core/rebalance.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

// Worst nodes that are tried as sources before there is nothing to gain.
constexpr size_t kMostSources = 4;

// Whether an instance less on `from` and one more on `to` is worth a move.
bool Relieves(const PlacementNode& from, const PlacementNode& to, const RevisionConfig& needs) {
  const NodeLoad before = LoadOf(from);
  const NodeLoad after = LoadWith(to, needs);
  if (before.share > 0 || after.share > 0) {
    return after.share + std::max<uint32_t>(before.share / 4, 100) <= before.share;
  }
  return after.instances + std::max<uint32_t>(before.instances / 4, 1) <= before.instances;
}

// While a plan is made the index shows the moves as if they were done.
class Trial {
 public:
  Trial(NodeIndex& index, const RevisionConfig& needs) : index_(index), needs_(needs) {}
  ~Trial() {
    for (const auto& [id, used] : before_) index_.SetUsed(id, used);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  void Move(const NodeId& from, const NodeId& to) {
    Change(from, [&](NodeUsage& used) {
      used.instances -= 1;
      used.cpu_millis -= needs_.cpu_millis;
      used.memory_bytes -= needs_.memory_bytes;
    });
    Change(to, [&](NodeUsage& used) {
      used.instances += 1;
      used.cpu_millis += needs_.cpu_millis;
      used.memory_bytes += needs_.memory_bytes;
    });
  }

 private:
  template <class Edit>
  void Change(const NodeId& id, const Edit& edit) {
    NodeUsage used = index_.Find(id)->used;
    before_.try_emplace(id, used);
    edit(used);
    index_.SetUsed(id, used);
  }

  NodeIndex& index_;
  const RevisionConfig& needs_;
  std::map<NodeId, NodeUsage> before_;
};

std::optional<PlannedMove> BestMove(const NodeIndex& index, const RevisionConfig& needs,
                                    const std::vector<PlacedInstance>& placed,
                                    const std::set<AssignmentId>& moved) {
  Placer all(index, needs);
  std::map<NodeId, const PlacedInstance*> movable;
  for (const PlacedInstance& instance : placed) {
    all.Count(instance.node);
    if (moved.count(instance.id) == 0) movable.emplace(instance.node, &instance);
  }
  using Rank = std::tuple<Placer::Score, NodeLoad, NodeId>;
  std::vector<std::pair<Rank, const PlacedInstance*>> sources;
  for (const auto& [node, instance] : movable) {
    const PlacementNode* const known = index.Find(node);
    if (known != nullptr) sources.push_back({{all.ScoreOf(node), LoadOf(*known), node}, instance});
  }
  std::sort(sources.begin(), sources.end(),
            [](const auto& a, const auto& b) { return b.first < a.first; });
  sources.resize(std::min(sources.size(), kMostSources));

  for (const auto& [rank, instance] : sources) {
    Placer without(index, needs);
    for (const PlacedInstance& other : placed) {
      if (&other != instance) without.Count(other.node);
    }
    const PlacementNode* const target = without.Choose();
    if (target == nullptr || target->id == instance->node) continue;
    const Placer::Score here = without.ScoreOf(instance->node);
    const Placer::Score there = without.ScoreOf(target->id);
    const bool spreads = there < here;
    if (!spreads && !(there == here && Relieves(*index.Find(instance->node), *target, needs))) {
      continue;
    }
    return PlannedMove{instance->id, instance->node, target->id,
                       spreads ? "better spread" : "less load"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<PlannedMove> PlanRebalance(NodeIndex& index, const RevisionConfig& needs,
                                       std::vector<PlacedInstance> placed, size_t most) {
  std::vector<PlannedMove> moves;
  Trial trial(index, needs);
  std::set<AssignmentId> moved;
  while (moves.size() < most) {
    std::optional<PlannedMove> move = BestMove(index, needs, placed, moved);
    if (!move) break;
    trial.Move(move->from, move->to);
    moved.insert(move->id);
    const auto instance = std::find_if(placed.begin(), placed.end(),
                                       [&](const auto& each) { return each.id == move->id; });
    instance->node = move->to;
    moves.push_back(*std::move(move));
  }
  return moves;
}

}  // namespace pando::controller
