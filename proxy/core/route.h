// Which cluster a request goes to, by its host and path.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/core/upstream_table.h"

namespace pando::proxy {

// Built once per table and shared by all workers; immutable. Points into `table`, which must
// outlive it.
class RouteIndex {
 public:
  explicit RouteIndex(const RouteTable& table);

  // `host` may carry a port, which is ignored; `target` may carry a query. The most specific
  // domain is searched alone: exact, then the longest wildcard, then "*". Null: no route.
  const Route* Match(std::string_view host, std::string_view target) const;

 private:
  const VirtualHost* Find(std::string_view host) const;

  absl::flat_hash_map<std::string, const VirtualHost*> exact_;
  std::vector<std::pair<std::string, const VirtualHost*>>
      suffixes_;  // ".example.com", longest first
  const VirtualHost* any_ = nullptr;
};

bool PathMatches(const Route& route, std::string_view path);

}  // namespace pando::proxy
