#include "proxy/net/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "proxy/net/net_test_support.h"

namespace pando::proxy {
namespace {

using ::testing::HasSubstr;

AccessEntry Entry(std::string_view target) {
  AccessEntry entry;
  entry.record.client = "192.0.2.7";
  entry.record.method = "GET";
  entry.record.target = target;
  return entry;
}

std::string Content(const std::string& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

size_t Lines(const std::string& file) {
  const std::string content = Content(file);
  return static_cast<size_t>(std::count(content.begin(), content.end(), '\n'));
}

class AccessLogTest : public ::testing::Test {
 protected:
  AccessLogTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pando-log-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    file_ = (dir_ / "access.log").string();
  }
  ~AccessLogTest() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path dir_;
  std::string file_;
};

TEST(AccessRingTest, GivesBackWhatWasPutInOrderAcrossItsEnd) {
  AccessRing ring(2'048);
  AccessEntry taken;
  EXPECT_FALSE(ring.Take(taken));
  for (int round = 0; round < 500; ++round) {
    const std::string first = absl::StrCat("/", round, std::string(round % 97, 'a'));
    const std::string second = absl::StrCat("/second/", round);
    ASSERT_TRUE(ring.Put(Entry(first)));
    ASSERT_TRUE(ring.Put(Entry(second)));
    ASSERT_TRUE(ring.Take(taken));
    EXPECT_EQ(taken.record.target, first);
    EXPECT_EQ(taken.record.client, "192.0.2.7");
    ASSERT_TRUE(ring.Take(taken));
    EXPECT_EQ(taken.record.target, second);
    EXPECT_FALSE(ring.Take(taken));
  }
}

TEST(AccessRingTest, RefusesWhatDoesNotFitAndKeepsWhatItHas) {
  AccessRing ring(2'048);
  int fitted = 0;
  while (ring.Put(Entry(absl::StrCat("/", fitted)))) ++fitted;
  EXPECT_GT(fitted, 2);
  EXPECT_TRUE(ring.half_full());
  AccessEntry taken;
  for (int i = 0; i < fitted; ++i) {
    ASSERT_TRUE(ring.Take(taken));
    EXPECT_EQ(taken.record.target, absl::StrCat("/", i));
  }
  EXPECT_FALSE(ring.half_full());
  EXPECT_TRUE(ring.Put(Entry("/again")));
}

TEST(AccessRingTest, CutsLongTexts) {
  AccessRing ring(size_t{64} * 1024);
  ASSERT_TRUE(ring.Put(Entry(std::string(50'000, 'x'))));
  AccessEntry taken;
  ASSERT_TRUE(ring.Take(taken));
  EXPECT_EQ(taken.record.target, std::string(2'048, 'x'));
}

TEST_F(AccessLogTest, WritesWhatAllWorkersPutFromTheirThreads) {
  constexpr int kEach = 2'000;
  auto log = AccessLog::Open(file_, AccessLogFormat::kCommon, 2);
  ASSERT_TRUE(log.ok()) << log.status();
  std::vector<std::thread> workers;
  for (size_t worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&, worker] {
      for (int i = 0; i < kEach; ++i) (*log)->Put(worker, Entry(absl::StrCat("/", worker)));
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_TRUE(Eventually(
      [&] { return (*log)->lines_total() + (*log)->dropped_total() == uint64_t{2} * kEach; }));
  EXPECT_EQ(Lines(file_), (*log)->lines_total());
}

TEST_F(AccessLogTest, WritesWhatIsLeftAtTheEnd) {
  auto log = AccessLog::Open(file_, AccessLogFormat::kJson, 1);
  ASSERT_TRUE(log.ok());
  (*log)->Put(0, Entry("/last"));
  log->reset();
  EXPECT_THAT(Content(file_), HasSubstr(R"("path":"/last")"));
}

TEST_F(AccessLogTest, LosesNoLineWhenItsFileIsRotated) {
  auto log = AccessLog::Open(file_, AccessLogFormat::kCommon, 1);
  ASSERT_TRUE(log.ok());
  const std::string old = file_ + ".1";
  for (int i = 0; i < 100; ++i) {
    if (i == 50) {
      std::filesystem::rename(file_, old);
      (*log)->Reopen();
      EXPECT_TRUE(Eventually([&] { return std::filesystem::exists(file_); }));
    }
    (*log)->Put(0, Entry(absl::StrCat("/", i)));
  }
  log->reset();
  EXPECT_EQ(Lines(old), 50u);
  EXPECT_EQ(Lines(file_), 50u);
}

TEST_F(AccessLogTest, CountsWhatCannotBeWritten) {
  auto log = AccessLog::Open("/dev/full", AccessLogFormat::kCommon, 1);
  ASSERT_TRUE(log.ok());
  (*log)->Put(0, Entry("/"));
  EXPECT_TRUE(Eventually([&] { return (*log)->dropped_total() == 1; }));
  EXPECT_EQ((*log)->lines_total(), 0u);
}

TEST_F(AccessLogTest, SaysWhyItCannotBeOpened) {
  const auto log = AccessLog::Open("/no/such/dir/a.log", AccessLogFormat::kJson, 1);
  EXPECT_EQ(std::string(log.status().message()),
            "cannot open /no/such/dir/a.log: No such file or directory");
}

TEST_F(AccessLogTest, TellsOfEachRequestWhereItWentAndHowLongItTook) {
  TestApp good(TestApp::Answering("hello"));
  TestApp bad([](Wire& wire, int) { wire.ReadMessage(); });
  DataPlaneConfig config;
  config.access_log = file_;
  TestProxy proxy(config);
  auto table = proxy.Table({{good.port()}});
  auto cluster = std::make_shared<Cluster>(*table->clusters["web"]);
  cluster->endpoints[0].instance = "web.1";
  table->clusters["web"] = cluster;
  proxy.Apply(table);
  auto client = proxy.Connect();
  ASSERT_TRUE(
      client->Ask("POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\n"
                  "X-Request-Id: id-1\r\nContent-Length: 3\r\n\r\nabc"));
  ASSERT_TRUE(client->Ask("GET /second HTTP/1.1\r\nHost: example.com\r\n\r\n"));
  ASSERT_TRUE(Eventually([&] { return Lines(file_) == 2; }));
  const std::string served = Content(file_);
  const std::string first = served.substr(0, served.find('\n'));
  for (const char* part :
       {R"("client":"127.0.0.1","method":"POST","path":"/a?b=c","host":"example.com")",
        R"("scheme":"http","protocol":"HTTP/1.1","status":200,"bytes_received":3,"bytes_sent":5)",
        R"("app":"web","instance":"web.1","attempts":1,"connect_ms":)", R"(,"first_byte_ms":)",
        R"(,"total_ms":)", R"("request_id":"id-1","user_agent":"test"})"}) {
    EXPECT_THAT(first, HasSubstr(part));
  }
  // The second request found the connection open.
  EXPECT_THAT(served.substr(first.size()), ::testing::Not(HasSubstr("connect_ms")));

  proxy.Serve({{bad.port()}});
  ASSERT_TRUE(client->Ask("POST /lost HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  auto rude = proxy.Connect();
  ASSERT_TRUE(rude->Ask("GET / HTTP/1.1\r\nHost : a\r\n\r\n"));
  ASSERT_TRUE(Eventually([&] { return Lines(file_) == 4; }));
  const std::string failed = Content(file_);
  EXPECT_THAT(failed, HasSubstr(absl::StrCat(R"("status":502,"bytes_received":0,"bytes_sent":0,)",
                                             R"("app":"web","instance":"127.0.0.1:)", bad.port(),
                                             R"(","attempts":1)")));
  EXPECT_THAT(failed, HasSubstr(R"("scheme":"http","protocol":"HTTP/1.1","status":400)"));
}

}  // namespace
}  // namespace pando::proxy
