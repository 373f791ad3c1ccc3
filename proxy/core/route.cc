#include "proxy/core/route.h"

#include <algorithm>

#include "absl/strings/string_view.h"

namespace pando::proxy {
namespace {

constexpr size_t kMaxHost = 255;

std::string_view WithoutPort(std::string_view host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

RouteIndex::RouteIndex(const RouteTable& table) {
  for (const VirtualHost& host : table.virtual_hosts) {
    for (const std::string& domain : host.domains) {
      if (domain == "*") {
        if (any_ == nullptr) any_ = &host;
      } else if (domain.starts_with("*.")) {
        suffixes_.emplace_back(domain.substr(1), &host);
      } else {
        exact_.emplace(domain, &host);
      }
    }
  }
  std::stable_sort(suffixes_.begin(), suffixes_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

const VirtualHost* RouteIndex::Find(std::string_view host) const {
  if (exact_.empty() && suffixes_.empty()) return any_;
  host = WithoutPort(host);
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);  // the fully qualified spelling
  if (host.size() > kMaxHost) return any_;
  char lower[kMaxHost];
  std::transform(host.begin(), host.end(), lower, Lower);
  host = {lower, host.size()};
  const auto exact = exact_.find(absl::string_view(host.data(), host.size()));
  if (exact != exact_.end()) return exact->second;
  for (const auto& [suffix, virtual_host] : suffixes_) {
    if (host.size() > suffix.size() && host.ends_with(suffix)) return virtual_host;
  }
  return any_;
}

const Route* RouteIndex::Match(std::string_view host, std::string_view target) const {
  const VirtualHost* found = Find(host);
  if (found == nullptr) return nullptr;
  const std::string_view path = target == "*" ? "/" : target.substr(0, target.find('?'));
  for (const Route& route : found->routes) {
    if (PathMatches(route, path)) return &route;
  }
  return nullptr;
}

bool PathMatches(const Route& route, std::string_view path) {
  const std::string_view prefix = route.prefix;
  if (!path.starts_with(prefix)) return false;
  return !route.segments || path.size() == prefix.size() || prefix.empty() ||
         prefix.back() == '/' || path[prefix.size()] == '/';
}

}  // namespace pando::proxy
