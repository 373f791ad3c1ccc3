// What only the file backend promises: it survives reopening and kill -9, says clearly what is
// wrong with a file, and does not grow.
#include "controller/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "controller/store/store_test_dir.h"

namespace pando::controller {
namespace {

using ::testing::HasSubstr;

class SqliteStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteStore> Open() {
    auto store = SqliteStore::Open(file_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  void RunSql(const std::string& sql) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &raw), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(raw);
    sqlite3_close(raw);
  }

  TestDir dir_;
  const std::string file_ = dir_.File("controller.db");
};

TEST_F(SqliteStoreTest, KeepsEverythingAcrossReopening) {
  auto store = Open();
  const int64_t revision = *store->Commit({}, {StorePut{"a", "1"}, StorePut{"b", "2"}});
  store.reset();
  store = Open();
  EXPECT_EQ(*store->Get("a"), (StoreEntry{"a", "1", revision}));
  EXPECT_EQ(*store->Get("b"), (StoreEntry{"b", "2", revision}));
  EXPECT_GT(*store->Commit({{"a", revision}}, {}), revision);
}

// Each commit of the child writes the same number to two keys and is acknowledged on a pipe.
[[noreturn]] void CommitUntilKilled(const std::string& file, int acknowledge_fd) {
  auto store = SqliteStore::Open(file);
  if (!store.ok()) _exit(1);
  for (uint32_t n = 1;; ++n) {
    const std::string value = absl::StrCat(n);
    const auto revision =
        (*store)->Commit({}, {StorePut{absl::StrCat("a/", n), value}, StorePut{"last", value},
                              StorePut{absl::StrCat("b/", n), value}});
    if (!revision.ok() || write(acknowledge_fd, &n, sizeof n) != sizeof n) _exit(1);
  }
}

TEST_F(SqliteStoreTest, CommittedIsCommittedWhenTheProcessIsKilled) {
  for (const uint32_t kill_after : {1u, 7u, 40u}) {
    SCOPED_TRACE(kill_after);
    std::filesystem::remove(file_);
    std::filesystem::remove(file_ + "-wal");
    std::filesystem::remove(file_ + "-shm");
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(fds[0]);
      CommitUntilKilled(file_, fds[1]);
    }
    close(fds[1]);
    uint32_t acknowledged = 0;
    uint32_t n = 0;
    while (acknowledged < kill_after && read(fds[0], &n, sizeof n) == sizeof n) acknowledged = n;
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    while (read(fds[0], &n, sizeof n) == sizeof n) acknowledged = n;  // said before it died
    close(fds[0]);

    auto store = Open();
    ASSERT_NE(store, nullptr);
    const auto first = store->Range("a/", 0, false);
    const auto second = store->Range("b/", 0, false);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_GE(first->size(), acknowledged);
    EXPECT_LE(first->size(), acknowledged + 1) << "the last one may have missed its word";
    EXPECT_EQ(second->size(), first->size()) << "a commit was torn";
    EXPECT_EQ(store->Get("last")->value, absl::StrCat(first->size()));
  }
}

TEST_F(SqliteStoreTest, DoesNotGrowWithUptime) {
  auto store = Open();
  const std::string value(2'000, 'x');
  const auto churn = [&](int commits) {
    for (int i = 0; i < commits; ++i) {
      ASSERT_TRUE(store->Commit({}, {StorePut{absl::StrCat("k/", i % 50), value}}).ok());
    }
  };
  const auto size = [&] {
    return std::filesystem::file_size(file_) + std::filesystem::file_size(file_ + "-wal");
  };
  churn(SqliteStore::kMaintenanceInterval);
  const auto after_one_interval = size();
  churn(2 * SqliteStore::kMaintenanceInterval);
  EXPECT_LE(size(), after_one_interval + 65'536);
  EXPECT_LE(size(), 1u << 20);
}

TEST_F(SqliteStoreTest, GivesFreedSpaceBack) {
  auto store = Open();
  std::vector<StoreWrite> puts, deletes;
  for (int i = 0; i < 200; ++i) {
    puts.push_back(StorePut{absl::StrCat("k/", i), std::string(20'000, 'x')});
    deletes.push_back(StoreDelete{absl::StrCat("k/", i)});
  }
  ASSERT_TRUE(store->Commit({}, puts).ok());
  ASSERT_TRUE(store->Commit({}, deletes).ok());
  for (int i = 0; i < SqliteStore::kMaintenanceInterval; ++i) {
    ASSERT_TRUE(store->Commit({}, {}).ok());
  }
  EXPECT_LE(std::filesystem::file_size(file_), 1u << 20);
}

TEST_F(SqliteStoreTest, NamesAFileThatIsNoDatabase) {
  std::ofstream(file_) << std::string(5'000, '?');
  const auto store = SqliteStore::Open(file_);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(file_));
}

TEST_F(SqliteStoreTest, NamesADamagedFile) {
  Open();
  {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4'096);  // the second page, where the tables' own pages begin
    file << std::string(8'192, '\x5a');
  }
  const auto store = SqliteStore::Open(file_);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(file_));
}

TEST_F(SqliteStoreTest, RefusesAnotherProgramsDatabase) {
  RunSql("CREATE TABLE bookmarks (url TEXT)");
  const auto store = SqliteStore::Open(file_);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("another program"));
}

TEST_F(SqliteStoreTest, RefusesANewerSchema) {
  Open();
  RunSql("UPDATE meta SET schema_version = 99");
  const auto store = SqliteStore::Open(file_);
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("schema 99"));
}

TEST_F(SqliteStoreTest, SaysThatTheDirectoryIsMissingOrAFile) {
  for (const std::string& path : {dir_.File("missing/controller.db"), dir_.path()}) {
    SCOPED_TRACE(path);
    const auto store = SqliteStore::Open(path);
    EXPECT_TRUE(absl::IsPermissionDenied(store.status())) << store.status();
    EXPECT_THAT(std::string(store.status().message()), HasSubstr(path));
  }
}

TEST_F(SqliteStoreTest, SaysThatTheDirectoryIsNotWritable) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0500), 0);
  const auto store = SqliteStore::Open(file_);
  EXPECT_TRUE(absl::IsPermissionDenied(store.status())) << store.status();
  chmod(dir_.path().c_str(), 0700);
}

}  // namespace
}  // namespace pando::controller
