#include "controller/core/routing.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

RoutingConfig::AppRoute Route(const std::string& app, std::vector<std::string> hosts,
                              const std::string& path) {
  return {AppId{app}, std::move(hosts), path, LbPolicy::kLeastRequest};
}

TEST(RoutingTest, SameHostAndPathIsAConflict) {
  struct Case {
    std::string name;
    std::vector<RoutingConfig::AppRoute> routes;
    std::string want;  // empty: no conflict
  };
  const Case cases[] = {
      {"none", {}, ""},
      {"other path", {Route("a", {"*"}, "/"), Route("b", {"*"}, "/api")}, ""},
      {"other host", {Route("a", {"*"}, "/"), Route("b", {"b.example.com"}, "/")}, ""},
      {"the same host twice in one app", {Route("a", {"x", "X"}, "/")}, ""},
      {"same",
       {Route("a", {"*"}, "/"), Route("b", {"*"}, "/")},
       "a and b both claim host * path /"},
      {"one of several hosts, in other letters",
       {Route("a", {"x.com", "y.com"}, "/v1"), Route("b", {"Y.com"}, "/v1/")},
       "a and b both claim host y.com path /v1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto conflict = FindRouteConflict(c.routes);
    EXPECT_EQ(conflict ? conflict->text : "", c.want);
  }
}

}  // namespace
}  // namespace pando::controller
