// Chooses nodes for new instances: hard filters first, then scores. Pure.
//
// Scores, in order: fewest instances of the same app (and revision) with the same value of each
// label the app is spread over (zones first), fewest of them on the node, the least used share of
// what the node declares, fewest instances at all, name. The first ones spread an app, the next
// the load, the last makes it repeatable.
//
// A choice costs the same in a cluster of any size: nodes are kept in order of their load, in
// groups of equal labels, and each group is gone through once for all instances of a batch.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "controller/core/model.h"

namespace pando::controller {

// What is declared by the instances bound to a node, until they are gone from it.
struct NodeUsage {
  uint32_t instances = 0;
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  bool operator==(const NodeUsage&) const = default;
};

struct PlacementNode {
  NodeId id;
  // Why it takes nothing now ("is cordoned", "is not connected"); empty when it does.
  std::string closed;
  Labels labels;
  // Zero: not declared, no limit.
  uint32_t cpu_millis = 0;
  uint64_t memory_bytes = 0;
  uint32_t max_instances = 0;
  NodeUsage used;
};

// How much of a node is used, in the order in which nodes are preferred.
struct NodeLoad {
  uint32_t share = 0;  // ten-thousandths of the scarcest thing it declares
  uint32_t instances = 0;
  auto operator<=>(const NodeLoad&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
};

NodeLoad LoadOf(const PlacementNode& node);
// As if an instance with these needs were on it as well.
NodeLoad LoadWith(const PlacementNode& node, const RevisionConfig& needs);

// All nodes. Not thread-safe; pointers to nodes live until the index does.
class NodeIndex {
 public:
  // Adds the node, or replaces what was known of it.
  void Put(PlacementNode node);
  void SetUsed(const NodeId& id, const NodeUsage& used);

  const PlacementNode* Find(const NodeId& id) const;
  size_t size() const { return entries_.size(); }

 private:
  friend class Placer;

  struct Group;
  struct Entry {
    PlacementNode node;
    NodeLoad load;
    Group* group = nullptr;
    bool listed = false;  // in its group's `open`
  };
  struct Key {  // where an entry stands in its group
    NodeLoad load;
    NodeId id;
    auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
  };
  struct Group {  // nodes with equal labels
    Labels labels;
    std::map<Key, Entry*> open;  // those that take instances at all
  };

  static Key KeyOf(const Entry& entry) { return {entry.load, entry.node.id}; }
  void List(Entry& entry);
  void Unlist(Entry& entry);

  std::map<NodeId, Entry> entries_;
  std::map<Labels, Group> groups_;
};

// Places a batch of instances of one app and revision. Lives shorter than anything else changes:
// within a batch nodes only get fuller.
class Placer {
 public:
  Placer(const NodeIndex& index, const RevisionConfig& needs);

  // An instance of the app (and revision) that is wanted where it is.
  void Count(const NodeId& node);
  void Discount(const NodeId& node);  // not wanted there any more; before the first Choose

  // The best node for one more; nullptr: nothing fits (ask WhyNothingFits). It is not counted by
  // itself: tell the index of its use, then Count it.
  const PlacementNode* Choose();

  // What a node scores for one more instance: smaller is better. Load comes last.
  struct Score {
    std::vector<uint32_t> of_labels;
    uint32_t on_node = 0;
    auto operator<=>(const Score&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
  };
  Score ScoreOf(const NodeId& node) const;

  // "needs 512 MiB; node-1 has 300 MiB free; node-2 is cordoned". Names at most `most` nodes.
  std::string WhyNothingFits(size_t most = 8) const;

 private:
  using Entry = NodeIndex::Entry;
  using Key = NodeIndex::Key;
  struct Taken {  // a node that has instances of the app already
    uint32_t count = 0;
    Key key;
    auto operator<=>(const Taken&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
  };
  struct GroupState {
    const NodeIndex::Group* group = nullptr;
    std::vector<std::string> values;  // of the labels it is spread over
    std::optional<Key> passed;        // of `open`: what is not after it was looked at
    std::map<Taken, const Entry*> taken;
    bool exhausted = false;
  };

  void Begin();
  Taken Ranked(const Taken& taken) const;
  Taken RankOf(const Entry& entry) const;
  bool Fits(const Entry& entry) const;
  const Entry* BestOf(GroupState& state);
  const Entry* BestFree(GroupState& state);
  std::vector<uint32_t> CountsOf(const std::vector<std::string>& values) const;
  std::vector<std::string> ValuesOf(const Labels& labels) const;

  const NodeIndex& index_;
  const RevisionConfig& needs_;
  bool begun_ = false;
  std::vector<GroupState> groups_;
  absl::flat_hash_map<const NodeIndex::Group*, size_t> state_of_;
  absl::flat_hash_map<const Entry*, Taken> on_node_;
  std::vector<std::map<std::string, uint32_t>> of_label_;  // as needs.spread, without "host"
};

}  // namespace pando::controller
