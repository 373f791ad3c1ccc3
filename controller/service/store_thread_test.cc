#include "controller/service/store_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/runtime/event_loop.h"
#include "controller/store/memory_store.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

// A memory store whose commits can be held back and made to fail.
class GatedStore final : public Store {
 public:
  struct Control {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = true;
    std::vector<absl::Status> failures;  // of the next commits
    std::vector<size_t> commits;         // writes in each
  };
  explicit GatedStore(Control& control) : control_(control) {}

  absl::StatusOr<int64_t> Commit(const std::vector<StoreCondition>& conditions,
                                 const std::vector<StoreWrite>& writes) override {
    std::unique_lock lock(control_.mutex);
    control_.commits.push_back(writes.size());
    control_.changed.notify_all();
    control_.changed.wait(lock, [&] { return control_.open; });
    if (!control_.failures.empty()) {
      const absl::Status failure = control_.failures.front();
      control_.failures.erase(control_.failures.begin());
      return failure;
    }
    return inner_.Commit(conditions, writes);
  }
  absl::StatusOr<StoreEntry> Get(const std::string& key) override { return inner_.Get(key); }
  absl::StatusOr<std::vector<StoreEntry>> Range(const std::string& prefix, size_t limit,
                                                bool reverse) override {
    return inner_.Range(prefix, limit, reverse);
  }

 private:
  Control& control_;
  MemoryStore inner_;
};

class StoreThreadTest : public ::testing::Test {
 protected:
  StoreThreadTest() : thread_([this] { loop_.Run(); }) { store_.Start(); }
  ~StoreThreadTest() override {
    store_.Stop();
    loop_.Stop();
    thread_.join();
  }

  std::future<void> Commit(const std::string& key) {
    auto done = std::make_shared<std::promise<void>>();
    store_.Commit({StorePut{key, "value"}}, [this, key, done] {
      order_.push_back(key);
      done->set_value();
    });
    return done->get_future();
  }

  GatedStore::Control control_;
  EventLoop loop_;
  prometheus::Histogram seconds_{prometheus::Histogram::BucketBoundaries{1.0}};
  std::promise<absl::Status> fatal_;
  StoreThread store_{std::make_unique<GatedStore>(control_), loop_, seconds_,
                     [this](const absl::Status& status) { fatal_.set_value(status); }};
  std::vector<std::string> order_;  // on the loop
  std::thread thread_;
};

TEST_F(StoreThreadTest, CommitsWhatWaitsTogetherAndInOrder) {
  {
    const std::lock_guard lock(control_.mutex);
    control_.open = false;
  }
  std::vector<std::future<void>> done;
  done.push_back(Commit("a"));
  {
    std::unique_lock lock(control_.mutex);
    control_.changed.wait(lock, [&] { return !control_.commits.empty(); });
  }
  for (const char* key : {"b", "c", "d"}) done.push_back(Commit(key));
  {
    const std::lock_guard lock(control_.mutex);
    control_.open = true;
  }
  control_.changed.notify_all();
  for (auto& each : done) ASSERT_EQ(each.wait_for(10s), std::future_status::ready);
  EXPECT_THAT(order_, ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(control_.commits, ElementsAre(1, 3));
}

TEST_F(StoreThreadTest, AsksAgainWhenTheStoreDoesNotAnswer) {
  control_.failures = {absl::UnavailableError("busy"), absl::UnavailableError("busy")};
  auto done = Commit("a");
  ASSERT_EQ(done.wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(store_.healthy());
  EXPECT_EQ(control_.commits.size(), 3u);
}

TEST_F(StoreThreadTest, StopsWhileTheStoreDoesNotAnswer) {
  control_.failures.assign(1'000, absl::UnavailableError("away"));
  Commit("a");
  {
    std::unique_lock lock(control_.mutex);
    control_.changed.wait(lock, [&] { return control_.commits.size() > 1; });
  }
  EXPECT_FALSE(store_.healthy());
  store_.Stop();
  EXPECT_THAT(order_, IsEmpty());
}

TEST_F(StoreThreadTest, AnyOtherErrorIsFatalAndNothingMoreIsCommitted) {
  control_.failures = {absl::DataLossError("damaged")};
  Commit("a");
  Commit("b");
  auto fatal = fatal_.get_future();
  ASSERT_EQ(fatal.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(fatal.get().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(store_.healthy());
  store_.Stop();
  EXPECT_THAT(order_, IsEmpty());
}

}  // namespace
}  // namespace pando::controller
