#include "agent/core/event_loop_delay.h"

#include <gtest/gtest.h>

#include <string>

namespace pando::agent {
namespace {

EventLoopDelay Delay(std::optional<double> mean, std::optional<double> p99) { return {mean, p99}; }

TEST(EventLoopDelayTest, IsReadFromAPageOfPromClient) {
  EXPECT_EQ(ReadEventLoopDelay("# HELP process_cpu_seconds_total Total CPU time spent.\n"
                               "# TYPE process_cpu_seconds_total counter\n"
                               "process_cpu_seconds_total 12.5\n"
                               "\n"
                               "# HELP nodejs_eventloop_lag_seconds Lag of event loop.\n"
                               "# TYPE nodejs_eventloop_lag_seconds gauge\n"
                               "nodejs_eventloop_lag_seconds 0.5\n"
                               "nodejs_eventloop_lag_min_seconds 0.009\n"
                               "nodejs_eventloop_lag_mean_seconds 0.0109\n"
                               "nodejs_eventloop_lag_p99_seconds 0.0127\n"),
            Delay(0.0109, 0.0127));
}

TEST(EventLoopDelayTest, LinesAreReadAsTheFormatSays) {
  struct Case {
    std::string name;
    std::string line;
    std::optional<double> want;  // of the p99
  };
  const std::string p99 = "nodejs_eventloop_lag_p99_seconds";
  const Case cases[] = {
      {"plain", p99 + " 0.25\n", 0.25},
      {"exponent", p99 + " 2.5e-1\n", 0.25},
      {"integer", p99 + " 2\n", 2},
      {"with a time", p99 + " 0.25 1764500000000\n", 0.25},
      {"with a time before 1970", p99 + " 0.25 -5\n", 0.25},
      {"more blanks", p99 + "\t 0.25  7 \n", 0.25},
      {"line end of Windows", p99 + " 0.25\r\n", 0.25},
      {"a label", p99 + "{app=\"web\"} 0.25\n", 0.25},
      {"labels with blanks and a comma behind", p99 + " { a = \"b\" , c=\"\", } 0.25\n", 0.25},
      {"no labels in the braces", p99 + "{} 0.25\n", 0.25},
      {"escapes", p99 + "{a=\"} \\\" \\\\ \\n 9\"} 0.25\n", 0.25},
      {"OpenTelemetry's name", "nodejs_eventloop_delay_p99_seconds 0.25\n", 0.25},
      {"the largest of several", p99 + "{w=\"1\"} 0.1\n" + p99 + "{w=\"2\"} 0.25\n" + p99 + " 0\n",
       0.25},
      {"a bad line beside a good one", p99 + " much\n" + p99 + " 0.25\n", 0.25},

      {"nothing", "", {}},
      {"another name", "nodejs_eventloop_lag_p90_seconds 0.25\n", {}},
      {"a longer name", p99 + "_total 0.25\n", {}},
      {"a prefix", "my_" + p99 + " 0.25\n", {}},
      {"a comment", "# " + p99 + " 0.25\n", {}},
      {"no line end: it may go on", p99 + " 0.25", {}},
      {"no value", p99 + "\n", {}},
      {"no blank", p99 + "0.25\n", {}},
      {"not a number", p99 + " NaN\n", {}},
      {"infinite", p99 + " +Inf\n", {}},
      {"negative", p99 + " -0.25\n", {}},
      {"too much", p99 + " 0.25 1 2\n", {}},
      {"a time that is none", p99 + " 0.25 soon\n", {}},
      {"a label without quotes", p99 + "{a=b} 0.25\n", {}},
      {"a label without a name", p99 + "{=\"b\"} 0.25\n", {}},
      {"labels without a comma", p99 + "{a=\"b\" c=\"d\"} 0.25\n", {}},
      {"labels that do not end", p99 + "{a=\"b\" 0.25\n", {}},
      {"a quote that does not end", p99 + "{a=\"b} 0.25\n", {}},
      {"an escape there is not", p99 + "{a=\"\\t\"} 0.25\n", {}},
      {"an escape at the end", p99 + "{a=\"\\\n", {}},
      {"NUL", p99 + std::string(" 0.25\0\n", 7), {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ReadEventLoopDelay(c.line), Delay({}, c.want));
  }
}

TEST(EventLoopDelayTest, OneMeasurementStandsInForAMissingMean) {
  EXPECT_EQ(ReadEventLoopDelay("nodejs_eventloop_lag_seconds 0.003 1764500000000\n"),
            Delay(0.003, {}));
  EXPECT_EQ(ReadEventLoopDelay("nodejs_eventloop_delay_mean_seconds 0.011\n"
                               "nodejs_eventloop_lag_seconds 0.003\n"),
            Delay(0.011, {}));
  EXPECT_TRUE(ReadEventLoopDelay("up 1\n").empty());
}

}  // namespace
}  // namespace pando::agent
