#include "proxy/core/route.h"

#include <gtest/gtest.h>

namespace pando::proxy {
namespace {

Route To(std::string cluster, std::string prefix = "/", bool segments = true) {
  Route route;
  route.prefix = std::move(prefix);
  route.segments = segments;
  route.cluster = std::move(cluster);
  return route;
}

std::string Match(const RouteIndex& index, std::string_view host, std::string_view target) {
  const Route* route = index.Match(host, target);
  return route == nullptr ? "none" : route->cluster;
}

TEST(RouteTest, PrefersTheMostSpecificDomain) {
  RouteTable table;
  table.virtual_hosts = {
      {{"*"}, {To("any")}},
      {{"*.example.com"}, {To("suffix")}},
      {{"*.eu.example.com"}, {To("longer")}},
      {{"www.example.com", "example.com"}, {To("exact")}},
  };
  const RouteIndex index(table);
  EXPECT_EQ(Match(index, "www.example.com", "/"), "exact");
  EXPECT_EQ(Match(index, "EXAMPLE.com:8080", "/"), "exact");
  EXPECT_EQ(Match(index, "example.com.", "/"), "exact");
  EXPECT_EQ(Match(index, "a.example.com", "/"), "suffix");
  EXPECT_EQ(Match(index, "a.eu.example.com:1", "/"), "longer");
  EXPECT_EQ(Match(index, ".example.com", "/"), "any") << "a wildcard stands for something";
  EXPECT_EQ(Match(index, "other.org", "/"), "any");
  EXPECT_EQ(Match(index, "[::1]:80", "/"), "any");
  EXPECT_EQ(Match(index, "", "/"), "any");
  EXPECT_EQ(Match(index, std::string(5'000, 'a'), "/"), "any");
}

TEST(RouteTest, MatchesPathsInOrderBySegments) {
  RouteTable table;
  table.virtual_hosts = {
      {{"a"}, {To("api", "/api"), To("raw", "/raw", false), To("dir", "/dir/"), To("rest", "/")}},
      {{"b"}, {To("only", "/only")}},
  };
  const RouteIndex index(table);
  EXPECT_EQ(Match(index, "a", "/api"), "api");
  EXPECT_EQ(Match(index, "a", "/api/x"), "api");
  EXPECT_EQ(Match(index, "a", "/api?x=/y"), "api");
  EXPECT_EQ(Match(index, "a", "/apix"), "rest");
  EXPECT_EQ(Match(index, "a", "/rawx"), "raw");
  EXPECT_EQ(Match(index, "a", "/dir/x"), "dir");
  EXPECT_EQ(Match(index, "a", "/dir"), "rest");
  EXPECT_EQ(Match(index, "a", "*"), "rest");
  EXPECT_EQ(Match(index, "b", "/"), "none");
  EXPECT_EQ(Match(index, "c", "/only"), "none");
}

TEST(EndpointRegistryTest, KeepsCountersWhileSomebodyUsesThem) {
  EndpointRegistry registry;
  const auto first = registry.Get("web", "10.0.0.1", 80);
  EXPECT_EQ(registry.Get("web", "10.0.0.1", 80), first);
  EXPECT_NE(registry.Get("api", "10.0.0.1", 80), first);
  EXPECT_NE(registry.Get("web", "10.0.0.1", 81), first);
  registry.Sweep();
  EXPECT_EQ(registry.Get("web", "10.0.0.1", 80), first);
}

}  // namespace
}  // namespace pando::proxy
