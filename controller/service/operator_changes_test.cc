#include "controller/service/operator_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pando::controller {
namespace {

using ::testing::HasSubstr;

v1::EventRecord Event(uint64_t sequence, const std::string& kind, const std::string& app,
                      const std::string& message) {
  v1::EventRecord event;
  event.set_sequence(sequence);
  event.set_time_unix_ms(1'764'000'000'000 + static_cast<int64_t>(sequence) * 1'000);
  event.set_kind(kind);
  event.set_app(app);
  event.set_message(message);
  return event;
}

TEST(OperatorChangesTest, OptionsAreShortAndPrintable) {
  v1::ChangeOptions options;
  EXPECT_TRUE(CheckOptions(options).ok());
  options.set_by("Ána@büro");
  options.set_request_id(std::string(64, 'x'));
  EXPECT_TRUE(CheckOptions(options).ok());
  options.set_by("ana\x1b[31m");
  EXPECT_THAT(std::string(CheckOptions(options).message()),
              HasSubstr("options.by: \"ana\\033[31m\" is not allowed (128 bytes at most, no"));
  options.clear_by();
  options.set_request_id(std::string(65, 'x'));
  EXPECT_THAT(std::string(CheckOptions(options).message()), HasSubstr("options.request_id: "));
}

TEST(OperatorChangesTest, NotesWhoDidIt) {
  std::vector<TimelineEvent> events = {{"scaled", {"web"}, "", {}, "replicas 2 -> 3"},
                                       {"stopped", {"web"}, "", {}, ""},
                                       {"placed", {"web"}, "web.3", {"node-1"}, "revision 1"},
                                       {"applied", {"web"}, "", {}, "revision 2, by ana"}};
  NoteBy("", events);
  EXPECT_EQ(events[0].message, "replicas 2 -> 3");
  NoteBy("ana", events);
  EXPECT_EQ(events[0].message, "replicas 2 -> 3, by ana");
  EXPECT_EQ(events[1].message, "by ana");
  EXPECT_EQ(events[2].message, "revision 1");
  EXPECT_EQ(events[3].message, "revision 2, by ana");
}

TEST(OperatorChangesTest, TellsWhatTheOthersDid) {
  const Timeline timeline(
      {Event(1, "applied", "web", "revision 0 -> 1"), Event(2, "scaled", "web", "old, by bob"),
       Event(3, "in-rotation", "web", ""), Event(4, "scaled", "api", "another app"),
       Event(5, "scaled", "web", "replicas 2 -> 5, by bob"), Event(6, "stopped", "web", "by cy")},
      100);
  EXPECT_EQ(
      DescribeConflict({{"web"}, 5, 7}, timeline),
      "web is not what this change is based on any more (generation 5, now 7): "
      "2025-11-24 16:00:05 UTC scaled: replicas 2 -> 5, by bob; "
      "2025-11-24 16:00:06 UTC stopped: by cy; nothing was changed, look again and repeat it");
  EXPECT_THAT(DescribeConflict({{"web"}, 0, 1}, timeline), HasSubstr("web is there already"));
  EXPECT_EQ(DescribeConflict({{"old"}, 3, 0}, timeline),
            "old is gone (generation 3, now 0); nothing was changed, look again and repeat it");
}

}  // namespace
}  // namespace pando::controller
