#include "proxy/core/maglev.h"

#include <algorithm>

#include "proxy/core/stable_hash.h"

namespace pando::proxy {
namespace {

constexpr uint32_t kFree = UINT32_MAX;
// A hundred places per endpoint keep the shares within a percent.
constexpr uint64_t kPlacesPerEndpoint = 100;
constexpr uint64_t kPrimes[] = {1'021, 4'093, 16'381, 65'537, 262'139, 1'048'573};

uint64_t TableSize(size_t endpoints) {
  for (const uint64_t prime : kPrimes) {
    if (prime >= endpoints * kPlacesPerEndpoint) return prime;
  }
  return kPrimes[std::size(kPrimes) - 1];
}

}  // namespace

Maglev::Maglev(const PolicyView& view, FastRandom random) : candidates_(view, random) {
  const std::vector<Endpoint>& endpoints = view.cluster.endpoints;
  if (endpoints.empty()) return;
  const uint64_t size = TableSize(endpoints.size());
  table_.assign(size, kFree);
  struct Row {
    uint64_t id;
    uint32_t endpoint;
    uint64_t next;  // place it would like
    uint64_t skip;
    double turns;   // it has had, by its weight
    double weight;  // over the largest
  };
  std::vector<Row> rows;
  double largest = 1;
  for (const Endpoint& endpoint : endpoints) largest = std::max<double>(largest, endpoint.weight);
  for (uint32_t i = 0; i < endpoints.size(); ++i) {
    const uint64_t id = EndpointHash(endpoints[i]);
    rows.push_back({id, i, MixHash(id ^ 1) % size, MixHash(id ^ 2) % (size - 1) + 1, 0,
                    std::max(endpoints[i].weight, 1u) / largest});
  }
  // Who comes first matters, so it must not depend on the order of the table.
  std::ranges::sort(rows, {}, &Row::id);
  // In rounds everybody takes the first free place of its own permutation; light ones sit some
  // rounds out.
  uint64_t filled = 0;
  for (double round = 1; filled < size; ++round) {
    for (Row& row : rows) {
      if (filled == size) break;
      if (row.turns + 1 > round * row.weight + 1e-9) continue;
      row.turns += 1;
      while (table_[row.next] != kFree) row.next = (row.next + row.skip) % size;
      table_[row.next] = row.endpoint;
      ++filled;
    }
  }
}

uint32_t Maglev::Choose(std::span<const uint32_t> candidates, const PolicyRequest& request) {
  if (!request.hash.has_value()) return candidates_.Any(candidates, candidates_.RandomKey());
  const uint64_t key = MixHash(*request.hash);
  candidates_.Set(candidates, key);
  // Each probe is a hash of its own, so that the keys of one that cannot take them spread out.
  uint64_t probe = key;
  for (size_t i = 0; i < table_.size(); ++i) {
    const uint32_t endpoint = table_[probe % table_.size()];
    if (candidates_.Takes(endpoint)) return endpoint;
    probe = MixHash(probe + 0x9e3779b97f4a7c15);
  }
  return candidates_.Any(candidates, key);
}

}  // namespace pando::proxy
