#include "ctl/load_views.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "ctl/format.h"
#include "ctl/output.h"

namespace pando::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

v1::LoadView Example() {
  v1::LoadView view;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        apps {
          app: "api"
          replicas: 2
          available: 1
          requests { requests_per_second: 12.34 in_flight: 1 }
          usage { memory_bytes: 67108864 }
          history_step_seconds: 5
        }
        apps {
          app: "web"
          replicas: 2
          available: 2
          requests {
            requests_per_second: 607.2
            errors_per_second: 1.5
            in_flight: 40
            queued: 60
            p50_seconds: 0.162
            p99_seconds: 1.469
          }
          usage { cpu_cores: 0.75 memory_bytes: 134217728 }
          history_step_seconds: 60
          requests_history: [ 0, 350, 700 ]
          errors_history: [ 0, 0, 1.5 ]
          p99_history: [ 0, 0.2, 1.469 ]
        }
        instances {
          app: "web"
          name: "web.1"
          node: "node-1"
          revision: 3
          state: "in-rotation"
          requests { requests_per_second: 300 }
          usage { cpu_cores: 0.2 memory_bytes: 67108864 open_fds: 33 processes: 2 }
        }
        instances {
          app: "web"
          name: "web.2"
          node: "node-2"
          revision: 3
          state: "starting"
          restarts: 4
          requests { requests_per_second: 307 }
          usage { cpu_cores: 0.55 event_loop_delay_p99_seconds: 0.312 }
        }
        nodes {
          name: "node-1"
          state: "ready"
          instances: 1
          requests { requests_per_second: 300 }
          cpu_cores: 1.5
          cpus: 4
          load1: 0.8
          memory_bytes: 8589934592
          memory_used_bytes: 2147483648
          disk_bytes: 107374182400
          disk_used_bytes: 53687091200
        }
        nodes { name: "node-2" state: "lost" }
      )pb",
      &view));
  return view;
}

TEST(TopTextTest, AppsShowLoadUsageAndTrend) {
  EXPECT_EQ(TopText(TopScreen::kApps, TopSort::kName, Example(), {}),
            "APP  INSTANCES  CPU   MEMORY  REQ/S  ERR/S  P50    P99    IN FLIGHT  QUEUE  "
            "REQ/S TREND\n"
            "api  1/2        -     64M     12.3   0      -      -      1          0\n"
            "web  2/2        0.75  128M    607    1.50   162ms  1.47s  40         60     ▁▅█\n");
}

TEST(TopTextTest, TheBusiestComesFirstWhenSorted) {
  const auto first_line_of = [](const std::string& text) {
    const size_t begin = text.find('\n') + 1;
    return text.substr(begin, text.find(' ', begin) - begin);
  };
  const v1::LoadView view = Example();
  EXPECT_EQ(first_line_of(TopText(TopScreen::kApps, TopSort::kName, view, {})), "api");
  for (const TopSort sort : {TopSort::kCpu, TopSort::kMemory, TopSort::kRequests, TopSort::kErrors,
                             TopSort::kP99, TopSort::kInFlight}) {
    EXPECT_EQ(first_line_of(TopText(TopScreen::kApps, sort, view, {})), "web");
  }
  EXPECT_EQ(first_line_of(TopText(TopScreen::kInstances, TopSort::kCpu, view, {})), "web.2");
  EXPECT_EQ(first_line_of(TopText(TopScreen::kInstances, TopSort::kMemory, view, {})), "web.1");
  EXPECT_EQ(first_line_of(TopText(TopScreen::kNodes, TopSort::kMemory, view, {})), "node-1");
}

TEST(TopTextTest, InstancesShowProcessesWhenWide) {
  const v1::LoadView view = Example();
  const std::string wide = TopText(TopScreen::kInstances, TopSort::kName, view, {true, false});
  EXPECT_THAT(wide, HasSubstr("OPEN FILES"));
  EXPECT_THAT(wide, HasSubstr("33"));
  const std::string narrow = TopText(TopScreen::kInstances, TopSort::kName, view, {});
  EXPECT_THAT(narrow, Not(HasSubstr("OPEN FILES")));
  EXPECT_THAT(narrow, HasSubstr("web.2     node-2  r3   starting     0.55"));
}

TEST(TopTextTest, EventLoopsAreShownWhereAnAppTellsOfThem) {
  v1::LoadView view = Example();
  EXPECT_EQ(TopText(TopScreen::kInstances, TopSort::kName, view, {}),
            "INSTANCE  NODE    REV  STATE        CPU   MEMORY  REQ/S  ERR/S  P50  P99  IN FLIGHT  "
            "RESTARTS  LOOP P99\n"
            "web.1     node-1  r3   in-rotation  0.20  64M     300    0      -    -    0          "
            "0         -\n"
            "web.2     node-2  r3   starting     0.55  0       307    0      -    -    0          "
            "4         312ms\n");
  view.mutable_instances(1)->mutable_usage()->clear_event_loop_delay_p99_seconds();
  EXPECT_THAT(TopText(TopScreen::kInstances, TopSort::kName, view, {}), Not(HasSubstr("LOOP")));
  EXPECT_THAT(TopText(TopScreen::kInstances, TopSort::kName, view, {true, false}),
              HasSubstr("LOOP P99"));
}

TEST(TopTextTest, NodesShowWhatIsUsedOfWhatThereIs) {
  const std::string text = TopText(TopScreen::kNodes, TopSort::kName, Example(), {});
  EXPECT_THAT(text, HasSubstr("1.50/4"));
  EXPECT_THAT(text, HasSubstr("2.0G/8.0G"));
  EXPECT_THAT(text, HasSubstr("50G/100G"));
  EXPECT_THAT(text, HasSubstr("node-2  lost"));
}

TEST(TopTextTest, NothingIsSaidToBeNothing) {
  EXPECT_THAT(TopText(TopScreen::kApps, TopSort::kName, {}, {}), HasSubstr("no app yet"));
  EXPECT_EQ(TopText(TopScreen::kInstances, TopSort::kName, {}, {}), "no instances\n");
  EXPECT_THAT(TopText(TopScreen::kNodes, TopSort::kName, {}, {}), HasSubstr("no nodes"));
  EXPECT_EQ(LoadText({}, {}), "");
}

TEST(TopJsonTest, IsOneListOfTheScreen) {
  const std::string json = TopJson(TopScreen::kInstances, TopSort::kCpu, Example());
  EXPECT_THAT(json, HasSubstr("{\"instances\":[{\"app\":\"web\",\"name\":\"web.2\""));
  EXPECT_THAT(TopJson(TopScreen::kNodes, TopSort::kName, Example()), HasSubstr("\"cpus\":4"));
  EXPECT_EQ(TopJson(TopScreen::kApps, TopSort::kName, {}), "{\"apps\":[]}");
}

TEST(LoadTextTest, DrawsTheLastMinutesOfEachApp) {
  v1::LoadView view = Example();
  view.mutable_apps()->DeleteSubrange(0, 1);
  const std::string text = LoadText(view, {});
  EXPECT_THAT(text, HasSubstr("web   607    ▁▅█"));
  EXPECT_THAT(text, HasSubstr("the last 3 min"));
}

TEST(SparklineTest, TheLargestIsTheTallest) {
  EXPECT_EQ(Sparkline({}), "");
  EXPECT_EQ(Sparkline({0, 0}), "▁▁");
  EXPECT_EQ(Sparkline({0, 50, 100}), "▁▅█");
  EXPECT_EQ(Sparkline({0.1, 0.2}, 10), "▁▁") << "little beside what is usual";
  EXPECT_EQ(Sparkline({-1, 1}), "▁█");
}

TEST(TableTest, CharactersOfSeveralBytesTakeOneColumn) {
  Table table({"A", "B"});
  table.Add({"▁▅█", "x"});
  table.Add({"abcd", "y"});
  EXPECT_EQ(table.ToString(false), "A     B\n▁▅█   x\nabcd  y\n");
}

}  // namespace
}  // namespace pando::ctl
