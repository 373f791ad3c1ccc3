#include "controller/service/answer_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "controller/store/memory_store.h"

namespace pando::controller {
namespace {

using ::testing::Pointee;

TEST(AnswerBookTest, RemembersTheFirstAnswer) {
  AnswerBook book({});
  EXPECT_EQ(book.Find("a"), nullptr);
  book.Add("a", "one");
  EXPECT_THAT(book.Find("a"), Pointee(std::string("one")));
  EXPECT_EQ(book.Find("b"), nullptr);
}

TEST(AnswerBookTest, OldestGoFirstByNumberAndBySize) {
  AnswerBook few({}, /*max_answers=*/2);
  few.Add("a", "1");
  few.Add("b", "2");
  few.Add("c", "3");
  EXPECT_EQ(few.Find("a"), nullptr);
  EXPECT_NE(few.Find("b"), nullptr);
  EXPECT_EQ(few.size(), 2u);

  AnswerBook small({}, /*max_answers=*/100, /*max_bytes=*/10);
  small.Add("a", "1234");
  small.Add("b", "1234");
  EXPECT_EQ(small.size(), 2u);
  small.Add("c", "123456789012");
  EXPECT_EQ(small.size(), 1u);
  EXPECT_NE(small.Find("c"), nullptr);
}

// The store holds what the book holds, whatever was added, and a book made from it goes on.
TEST(AnswerBookTest, TheStoreHoldsTheSame) {
  MemoryStore store;
  AnswerBook book({}, /*max_answers=*/3);
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(store.Commit({}, book.Add(id, std::string("to ") + id)).ok());
  }
  auto records = LoadAnswers(store);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 3u);
  AnswerBook again(*records, 3);
  EXPECT_EQ(again.Find("b"), nullptr);
  EXPECT_THAT(again.Find("c"), Pointee(std::string("to c")));
  ASSERT_TRUE(store.Commit({}, again.Add("f", "to f")).ok());
  records = LoadAnswers(store);
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ(records->size(), 3u);
  EXPECT_EQ(records->back().request_id(), "f");
}

}  // namespace
}  // namespace pando::controller
