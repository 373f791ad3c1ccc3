// What every Store does, run against each backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controller/store/keys.h"
#include "controller/store/memory_store.h"
#include "controller/store/sqlite_store.h"
#include "controller/store/store_test_dir.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Backend {
  std::string name;
  std::function<std::unique_ptr<Store>(const std::string& dir)> open;
};
void PrintTo(const Backend& backend, std::ostream* out) { *out << backend.name; }

class StoreContractTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    store_ = GetParam().open(dir_.path());
    ASSERT_NE(store_, nullptr);
  }

  int64_t Put(const std::string& key, const std::string& value) {
    const auto revision = store_->Commit({}, {StorePut{key, value}});
    EXPECT_TRUE(revision.ok()) << revision.status();
    return revision.value_or(-1);
  }

  std::vector<std::string> Keys(const std::string& prefix, size_t limit = 0, bool reverse = false) {
    const auto entries = store_->Range(prefix, limit, reverse);
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<std::string> keys;
    if (entries.ok()) {
      for (const StoreEntry& entry : *entries) keys.push_back(entry.key);
    }
    return keys;
  }

  TestDir dir_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Backends, StoreContractTest,
    ::testing::Values(Backend{"Memory",
                              [](const std::string&) -> std::unique_ptr<Store> {
                                return std::make_unique<MemoryStore>();
                              }},
                      Backend{"Sqlite",
                              [](const std::string& dir) -> std::unique_ptr<Store> {
                                auto store = SqliteStore::Open(dir + "/controller.db");
                                EXPECT_TRUE(store.ok()) << store.status();
                                return store.ok() ? *std::move(store) : nullptr;
                              }}),
    [](const auto& param) { return param.param.name; });

TEST_P(StoreContractTest, IsEmptyAtFirst) {
  EXPECT_TRUE(absl::IsNotFound(store_->Get("a").status()));
  EXPECT_THAT(Keys(""), IsEmpty());
}

TEST_P(StoreContractTest, GivesBackWhatWasPut) {
  const int64_t revision = Put("a", "1");
  const auto entry = store_->Get("a");
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(*entry, (StoreEntry{"a", "1", revision}));
}

TEST_P(StoreContractTest, RevisionsGrowWithEveryCommit) {
  const int64_t first = Put("a", "1");
  const int64_t second = Put("b", "1");
  const int64_t third = Put("a", "2");
  EXPECT_GT(first, 0);
  EXPECT_GT(second, first);
  EXPECT_GT(third, second);
  EXPECT_EQ(store_->Get("a")->revision, third);
  EXPECT_EQ(store_->Get("b")->revision, second);
}

TEST_P(StoreContractTest, OneCommitHasOneRevision) {
  const auto revision = store_->Commit({}, {StorePut{"a", "1"}, StorePut{"b", "2"}});
  ASSERT_TRUE(revision.ok());
  EXPECT_EQ(store_->Get("a")->revision, *revision);
  EXPECT_EQ(store_->Get("b")->revision, *revision);
}

TEST_P(StoreContractTest, WritesOfACommitHappenInOrder) {
  ASSERT_TRUE(store_
                  ->Commit({}, {StorePut{"a", "1"}, StoreDelete{"a"}, StorePut{"a", "2"},
                                StorePut{"b", "1"}, StoreDelete{"b"}})
                  .ok());
  EXPECT_EQ(store_->Get("a")->value, "2");
  EXPECT_TRUE(absl::IsNotFound(store_->Get("b").status()));
}

TEST_P(StoreContractTest, ChecksConditions) {
  const int64_t revision = Put("a", "1");
  struct Case {
    std::string name;
    std::vector<StoreCondition> conditions;
    bool holds;
  };
  const Case cases[] = {
      {"revision is the key's", {{"a", revision}}, true},
      {"revision is older", {{"a", revision - 1}}, false},
      {"revision is newer", {{"a", revision + 1}}, false},
      {"absent, but it exists", {{"a", 0}}, false},
      {"absent, and it is", {{"b", 0}}, true},
      {"exists, but it does not", {{"b", 1}}, false},
      {"one of two does not hold", {{"b", 0}, {"a", 0}}, false},
      {"both hold", {{"b", 0}, {"a", revision}}, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto committed = store_->Commit(c.conditions, {StorePut{"other", c.name}});
    EXPECT_EQ(committed.ok(), c.holds);
    if (!c.holds) {
      EXPECT_TRUE(absl::IsAborted(committed.status())) << committed.status();
    }
  }
}

TEST_P(StoreContractTest, AFailedConditionLeavesEverythingAsItWas) {
  const int64_t before = Put("a", "1");
  const auto refused = store_->Commit({{"a", before}, {"a", before + 7}},
                                      {StorePut{"a", "2"}, StorePut{"b", "2"}, StoreDelete{"a"}});
  EXPECT_TRUE(absl::IsAborted(refused.status()));
  EXPECT_EQ(*store_->Get("a"), (StoreEntry{"a", "1", before}));
  EXPECT_TRUE(absl::IsNotFound(store_->Get("b").status()));
  EXPECT_EQ(Put("c", "3"), before + 1) << "a refused commit takes no revision";
}

TEST_P(StoreContractTest, ACommitWithoutWritesChecksAndTakesARevision) {
  const int64_t before = Put("a", "1");
  const auto revision = store_->Commit({{"a", before}}, {});
  ASSERT_TRUE(revision.ok());
  EXPECT_GT(*revision, before);
}

TEST_P(StoreContractTest, DeletingAnAbsentKeyIsNoError) {
  EXPECT_TRUE(store_->Commit({}, {StoreDelete{"nobody"}}).ok());
}

TEST_P(StoreContractTest, ADeletedKeyCanComeBack) {
  Put("a", "1");
  ASSERT_TRUE(store_->Commit({}, {StoreDelete{"a"}}).ok());
  const auto again = store_->Commit({{"a", 0}}, {StorePut{"a", "2"}});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*store_->Get("a"), (StoreEntry{"a", "2", *again}));
}

TEST_P(StoreContractTest, RangesByPrefixInKeyOrder) {
  for (const char* key : {"b/2", "a", "b", "b/", "b/1", "b0", "c"}) Put(key, "v");
  EXPECT_THAT(Keys("b/"), ElementsAre("b/", "b/1", "b/2"));
  EXPECT_THAT(Keys("b"), ElementsAre("b", "b/", "b/1", "b/2", "b0"));
  EXPECT_THAT(Keys("b/", 2), ElementsAre("b/", "b/1"));
  EXPECT_THAT(Keys("b/", 0, true), ElementsAre("b/2", "b/1", "b/"));
  EXPECT_THAT(Keys("b/", 1, true), ElementsAre("b/2"));
  EXPECT_THAT(Keys("", 2), ElementsAre("a", "b"));
  EXPECT_THAT(Keys("", 1, true), ElementsAre("c"));
  EXPECT_THAT(Keys("d"), IsEmpty());
  EXPECT_THAT(Keys("b/", 99), ElementsAre("b/", "b/1", "b/2"));
}

TEST_P(StoreContractTest, KeysAreBytes) {
  const std::string high = "k\xff";
  const std::string higher = "k\xff\xff\x01";
  const std::string zero("k\0z", 3);
  for (const std::string& key : {high, higher, zero, std::string("k"), std::string("l")}) {
    Put(key, key);
  }
  EXPECT_THAT(Keys("k"), ElementsAre("k", zero, high, higher));
  EXPECT_THAT(Keys("k\xff"), ElementsAre(high, higher));
  EXPECT_THAT(Keys("k\xff\xff"), ElementsAre(higher));
  EXPECT_THAT(Keys(std::string("k\0", 2)), ElementsAre(zero));
  Put("\xff\xff", "last");
  EXPECT_THAT(Keys("\xff"), ElementsAre("\xff\xff"));
}

TEST_P(StoreContractTest, ValuesAreBytesOfAnySize) {
  const std::string zeros("\0a\0", 3);
  const std::string big(3 << 20, 'x');
  Put("empty", "");
  Put("zeros", zeros);
  Put("big", big);
  EXPECT_EQ(store_->Get("empty")->value, "");
  EXPECT_EQ(store_->Get("zeros")->value, zeros);
  EXPECT_EQ(store_->Get("big")->value, big);
}

TEST(PrefixEndTest, IsTheSmallestKeyAfterThePrefix) {
  EXPECT_EQ(PrefixEnd("a"), "b");
  EXPECT_EQ(PrefixEnd("a/"), "a0");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\x7f"), "\x80");
  EXPECT_EQ(PrefixEnd(""), std::nullopt);
  EXPECT_EQ(PrefixEnd("\xff\xff"), std::nullopt);
}

}  // namespace
}  // namespace pando::controller
