#include "ctl/drain_wait.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>

namespace pando::ctl {
namespace {

using ::testing::HasSubstr;

v1::ClusterView View(const std::string& text) {
  v1::ClusterView view;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &view)) << text;
  return view;
}

constexpr char kNode[] = "nodes { name: 'n2' draining: true } nodes { name: 'n1' } ";
const Instant kStart{std::chrono::hours{1}};

TEST(DrainWaitTest, EndsWhenNothingIsLeftOnTheNode) {
  DrainWait wait("n2", {}, kStart);
  wait.Observe(View(absl::StrCat(kNode,
                                 "instances { name: 'web.1' node: 'n2' state: 'in-rotation' }"
                                 "instances { name: 'web.2' node: 'n2' state: 'draining' }"
                                 "instances { name: 'web.2' node: 'n1' state: 'in-rotation' }"
                                 "instances { name: 'web.1' node: 'n1' state: 'starting' }")),
               kStart + Millis{100});
  EXPECT_FALSE(wait.outcome());
  EXPECT_EQ(wait.ProgressText(), "n2 draining  0 of 2 gone  1 to move  1 finishing requests");
  wait.Observe(
      View(absl::StrCat(kNode, "instances { name: 'web.1' node: 'n2' state: 'stopping' }")),
      kStart + Millis{200});
  EXPECT_EQ(wait.ProgressText(), "n2 draining  1 of 2 gone  1 finishing requests");
  wait.Observe(View(kNode), kStart + Millis{1'900});
  EXPECT_EQ(wait.outcome(), ExitCode::kOk);
  EXPECT_EQ(wait.ResultLine(), "n2 drained, 2 instances moved  1.9 s");
}

TEST(DrainWaitTest, SaysWhatHasNoPlaceElsewhereAfterSomePatience) {
  const v1::ClusterView stuck = View(
      absl::StrCat(kNode,
                   "instances { name: 'web.1' node: 'n2' state: 'in-rotation' }"
                   "instances { name: 'web.1' state: 'pending' detail: 'n1 is full (1 of 1)' }"));
  DrainWait wait("n2", {}, kStart);
  wait.Observe(stuck, kStart);
  EXPECT_THAT(wait.ProgressLine(kStart), HasSubstr("web.1 waits: n1 is full (1 of 1)"));
  wait.Tick(kStart + Millis{2'900});
  EXPECT_FALSE(wait.outcome());
  // Something else is starting: its place may yet become free.
  v1::ClusterView moving = stuck;
  v1::InstanceView& other = *moving.add_instances();
  other.set_node("n1");
  other.set_state("starting");
  wait.Observe(moving, kStart + Millis{2'950});
  wait.Tick(kStart + Millis{4'000});
  EXPECT_FALSE(wait.outcome());
  wait.Observe(stuck, kStart + Millis{5'000});
  wait.Observe(stuck, kStart + Millis{8'000});
  EXPECT_EQ(wait.outcome(), ExitCode::kNotPlaced);
  EXPECT_THAT(wait.ResultLine(), HasSubstr("1 of 1 instances have no place elsewhere"));
}

TEST(DrainWaitTest, OtherEnds) {
  struct Case {
    std::string name;
    std::string view;
    Millis at;
    ExitCode want;
    std::string says;
  };
  const Case cases[] = {
      {"no such node", "nodes { name: 'n1' }", Millis{1}, ExitCode::kNotFound, "no such node: n2"},
      {"uncordoned", "nodes { name: 'n2' }", Millis{1}, ExitCode::kConflict, "uncordoned it"},
      {"too long", absl::StrCat(kNode, "instances { node: 'n2' state: 'draining' }"),
       Millis{300'000}, ExitCode::kTimeout, "the drain goes on"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    DrainWait wait("n2", {}, kStart);
    wait.Observe(View(c.view), kStart + c.at);
    EXPECT_EQ(wait.outcome(), c.want);
    EXPECT_THAT(wait.ResultLine(), HasSubstr(c.says));
  }
}

}  // namespace
}  // namespace pando::ctl
