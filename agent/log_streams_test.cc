#include "agent/log_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "agent/testing/test_harness.h"
#include "common/runtime/manual_executor.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LogStreamsTest : public testing::Test {
 protected:
  void Write(const std::string& instance, int lines, const std::string& text = "x") {
    std::filesystem::create_directories(Dir(instance));
    std::ofstream file(absl::StrCat(Dir(instance), "/out.log"), std::ios::app);
    for (int i = 0; i < lines; ++i) file << "2026-11-23T12:04:05.123Z o " << text << "\n";
  }
  std::string Dir(const std::string& instance) const {
    return absl::StrCat(temp_.path(), "/", instance);
  }
  void Open(uint64_t id, const std::string& instance, bool follow = false) {
    v1::LogRequest request;
    request.set_request_id(id);
    request.set_assignment_id(instance);
    request.set_tail_lines(kAllLines);
    request.set_follow(follow);
    streams_.Open(request, Dir(instance), "");
  }
  void AskForMore(uint64_t id) {
    v1::LogRequest request;
    request.set_request_id(id);
    streams_.Open(request, "", "");
  }
  // What was sent since the last call, a word each: "5:500" lines, "5:all" for now, "5:end".
  std::vector<std::string> Sent(Millis within = Millis{150}) {
    executor_.Advance(within);
    std::vector<std::string> words;
    for (const v1::LogChunk& chunk : std::exchange(sent_, {})) {
      words.push_back(absl::StrCat(
          chunk.request_id(), ":",
          chunk.end() ? absl::StrCat("end", chunk.error().empty() ? "" : " ", chunk.error())
                      : (chunk.lines_size() == 0 ? "all" : absl::StrCat(chunk.lines_size()))));
    }
    return words;
  }

  TempDir temp_;
  ManualExecutor executor_;
  size_t room_ = 1'000'000;
  std::vector<v1::LogChunk> sent_;
  LogStreams streams_{executor_,
                      {.has_room = [this] { return sent_.size() < room_; },
                       .send = [this](v1::LogChunk chunk) { sent_.push_back(std::move(chunk)); }}};
};

TEST_F(LogStreamsTest, AChunkIsSentForEachThatIsAskedFor) {
  Write("a", 1'200);
  Open(5, "a");
  EXPECT_THAT(Sent(), ElementsAre("5:500"));
  EXPECT_THAT(Sent(), IsEmpty());
  AskForMore(5);
  EXPECT_THAT(Sent(Millis{1}), ElementsAre("5:500"));
  AskForMore(5);
  AskForMore(5);
  EXPECT_THAT(Sent(), ElementsAre("5:200", "5:end"));
  AskForMore(5);  // it has ended: nobody is told anything
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(LogStreamsTest, OneWhoFollowsIsToldWhenThereIsNoMoreForNow) {
  Write("a", 2);
  Open(5, "a", true);
  AskForMore(5);
  EXPECT_THAT(Sent(), ElementsAre("5:2", "5:all"));
  EXPECT_THAT(Sent(), IsEmpty());
  Write("a", 1);
  EXPECT_THAT(Sent(), ElementsAre("5:1"));
  Write("a", 1);
  EXPECT_THAT(Sent(), IsEmpty());
  AskForMore(5);
  EXPECT_THAT(Sent(), ElementsAre("5:1"));
}

TEST_F(LogStreamsTest, WithLittleRoomEachGetsItsTurn) {
  for (const char* name : {"a", "b", "c"}) Write(name, 2'000);
  room_ = 1;
  Open(1, "a");
  Open(2, "b");
  Open(3, "c");
  std::vector<std::string> words;
  for (int i = 0; i < 9; ++i) {
    for (std::string& word : Sent(Millis{20})) words.push_back(std::move(word));
    for (const uint64_t id : {1, 2, 3}) AskForMore(id);
  }
  EXPECT_THAT(words, ElementsAre("1:500", "2:500", "3:500", "1:500", "2:500", "3:500", "1:500",
                                 "2:500", "3:500"));
}

TEST_F(LogStreamsTest, ASlowFollowerGetsTheTailOfAnInstanceThatIsGone) {
  Write("a", 1'300);
  Open(5, "a", true);
  EXPECT_THAT(Sent(), ElementsAre("5:500"));
  streams_.Finish(Dir("a"));
  std::filesystem::remove_all(Dir("a"));
  EXPECT_THAT(Sent(), IsEmpty());
  for (int i = 0; i < 3; ++i) AskForMore(5);
  EXPECT_THAT(Sent(), ElementsAre("5:500", "5:300", "5:end"));
}

TEST_F(LogStreamsTest, WhatCannotBeReadIsAnswered) {
  v1::LogRequest request;
  request.set_request_id(7);
  request.set_assignment_id("gone");
  streams_.Open(request, "", "");
  EXPECT_THAT(Sent(), ElementsAre("7:end no such instance on this node"));
  Write("a", 1);
  request.set_previous(true);
  streams_.Open(request, Dir("a"), Dir("none"));
  EXPECT_THAT(Sent(), ElementsAre("7:end it was started only once"));
  Write("earlier", 3);
  request.set_tail_lines(kAllLines);
  streams_.Open(request, Dir("a"), Dir("earlier"));
  EXPECT_THAT(Sent(), ElementsAre("7:3"));
  AskForMore(7);
  EXPECT_THAT(Sent(), ElementsAre("7:end"));
}

}  // namespace
}  // namespace pando::agent
