// The keeper with real files, threads and gRPC; the controller's side is a fake that can fail.
#include "agent/artifact_keeper.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/agent_metrics.h"
#include "agent/testing/test_harness.h"
#include "artifact/pack.h"
#include "artifact/sha256.h"
#include "artifact/testing/test_archive.h"
#include "pando/v1/artifact.grpc.pb.h"

namespace pando::agent {
namespace {

namespace fs = std::filesystem;
using artifact::TestDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FakeController final : public v1::Artifacts::Service {
 public:
  explicit FakeController(int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeController() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int port() const { return port_; }
  void Keep(const std::string& digest, std::string bytes) {
    const std::lock_guard lock(mutex_);
    files_[digest] = std::move(bytes);
  }
  void CutNextAfter(size_t bytes) {
    const std::lock_guard lock(mutex_);
    cut_after_ = bytes;
  }
  std::vector<uint64_t> offsets() const {
    const std::lock_guard lock(mutex_);
    return offsets_;
  }

 private:
  grpc::Status Fetch(grpc::ServerContext*, const v1::FetchArtifactRequest* request,
                     grpc::ServerWriter<v1::ArtifactChunk>* writer) override {
    std::string bytes;
    size_t cut = 0;
    {
      const std::lock_guard lock(mutex_);
      offsets_.push_back(request->offset());
      const auto file = files_.find(request->digest());
      if (file == files_.end()) return {grpc::StatusCode::NOT_FOUND, "it is not here"};
      bytes = file->second;
      cut = std::exchange(cut_after_, 0);
    }
    v1::ArtifactChunk chunk;
    chunk.set_size_bytes(bytes.size());
    const size_t end = cut > 0 ? std::min(bytes.size(), request->offset() + cut) : bytes.size();
    for (size_t at = request->offset(); at < end; at += chunk.data().size()) {
      chunk.set_data(bytes.substr(at, std::min<size_t>(1'000, end - at)));
      writer->Write(chunk);
    }
    return cut > 0 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut") : grpc::Status::OK;
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> files_;
  size_t cut_after_ = 0;
  std::vector<uint64_t> offsets_;
};

class ArtifactKeeperTest : public testing::Test {
 protected:
  ArtifactKeeperTest() : thread_([this] { loop_.Run(); }) { StartKeeper(); }
  ~ArtifactKeeperTest() override {
    StopKeeper();
    loop_.Stop();
    thread_.join();
  }

  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  void StartKeeper() {
    OnLoop([this] {
      keeper_ = std::make_unique<ArtifactKeeper>(
          loop_, metrics_.artifacts,
          ArtifactKeeperConfig{.dir = dir_ / "artifacts",
                               .controller = controller_->address(),
                               .shim_path = ShimPath(),
                               .retry = {Millis{10}, Millis{50}},
                               .unused_kept = 2},
          7);
    });
  }
  void StopKeeper() {
    OnLoop([this] { keeper_.reset(); });
  }

  // A directory with one file that says `text`, kept by the controller.
  Artifact Make(const std::string& text, const std::string& install = "") {
    const TestDir from;
    from.Write("say", text);
    Artifact artifact;
    const auto packed = artifact::PackDirectory(from.path(), dir_ / "packed",
                                                [](const artifact::Packed&) { return true; });
    EXPECT_TRUE(packed.ok()) << packed.status();
    artifact.digest = packed->digest;
    artifact.size_bytes = packed->packed_bytes;
    if (!install.empty()) artifact.install = {"/bin/sh", "-c", install};
    controller_->Keep(packed->digest, dir_.Read("packed"));
    return artifact;
  }

  struct Heard {
    std::vector<std::string> details;
    std::optional<absl::Status> status;
    std::vector<std::string> lines;
  };
  void Prepare(const std::string& id, const Artifact& artifact) {
    OnLoop([&] {
      keeper_->Prepare(
          {id}, artifact,
          {.told =
               [this, id](const std::string& detail) {
                 const std::lock_guard lock(mutex_);
                 heard_[id].details.push_back(detail);
               },
           .done =
               [this, id](const absl::Status& status, const std::vector<std::string>& lines) {
                 const std::lock_guard lock(mutex_);
                 heard_[id].status = status;
                 heard_[id].lines = lines;
               }});
    });
  }
  // What became of it.
  absl::Status Await(const std::string& id) {
    EXPECT_TRUE(Eventually([&] { return HeardOf(id).status.has_value(); })) << id;
    return HeardOf(id).status.value_or(absl::UnknownError("nothing heard"));
  }
  Heard HeardOf(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return heard_[id];
  }
  bool Hears(const std::string& id, const std::string& detail) {
    return Eventually([&] {
      for (const std::string& one : HeardOf(id).details) {
        if (one.find(detail) != std::string::npos) return true;
      }
      return false;
    });
  }
  bool Ready(const Artifact& artifact) {
    bool ready = false;
    OnLoop([&] { ready = keeper_->Ready(artifact); });
    return ready;
  }
  std::string TreeOf(const Artifact& artifact) {
    return PathsOf(dir_ / "artifacts", artifact).tree;
  }
  std::string ReadIn(const Artifact& artifact, const std::string& name) {
    const auto text = ReadFile(TreeOf(artifact) + "/" + name);
    return text.ok() ? *text : std::string(text.status().message());
  }

  std::string Exposed() { return registry_.Serialize(); }

  const TestDir dir_;
  Metrics registry_{"test"};
  AgentMetrics metrics_{registry_};
  std::unique_ptr<FakeController> controller_ = std::make_unique<FakeController>();
  EventLoop loop_;
  std::thread thread_;
  std::unique_ptr<ArtifactKeeper> keeper_;
  std::mutex mutex_;
  std::map<std::string, Heard> heard_;
};

TEST_F(ArtifactKeeperTest, FetchesOnceForAllWhoWaitAndNeedsNoNetworkLater) {
  const Artifact artifact = Make("hello");
  EXPECT_FALSE(Ready(artifact));
  Prepare("web-1", artifact);
  Prepare("web-2", artifact);
  EXPECT_EQ(Await("web-1"), absl::OkStatus());
  EXPECT_EQ(Await("web-2"), absl::OkStatus());
  EXPECT_THAT(controller_->offsets(), ElementsAre(0u));
  EXPECT_EQ(ReadIn(artifact, "say"), "hello");
  EXPECT_EQ(fs::status(TreeOf(artifact)).permissions(), fs::perms{0555});
  EXPECT_EQ(fs::status(TreeOf(artifact) + "/say").permissions(), fs::perms{0444});
  StopKeeper();
  controller_.reset();
  controller_ = std::make_unique<FakeController>();  // another one, which has nothing
  StartKeeper();
  EXPECT_TRUE(Ready(artifact));
  EXPECT_THAT(controller_->offsets(), IsEmpty());
}

TEST_F(ArtifactKeeperTest, GoesOnWhereItWasCut) {
  std::string noise;
  for (int i = 0; i < 20'000; ++i) noise += std::to_string(i * 7'919 % 10'007);
  const Artifact artifact = Make(noise);
  ASSERT_GT(artifact.size_bytes, 10'000u);
  controller_->CutNextAfter(5'000);
  Prepare("web-1", artifact);
  EXPECT_EQ(Await("web-1"), absl::OkStatus());
  EXPECT_THAT(controller_->offsets(), ElementsAre(0u, 5'000u));
  for (const std::string& line :
       {std::string("pando_agent_artifact_fetches_total{result=\"cut\"} 1\n"),
        std::string("pando_agent_artifact_fetches_total{result=\"done\"} 1\n"),
        absl::StrCat("pando_agent_artifact_fetched_bytes_total ", artifact.size_bytes, "\n"),
        std::string("pando_agent_artifacts 1\n"),
        absl::StrCat("pando_agent_artifact_bytes ", noise.size(), "\n")}) {
    EXPECT_THAT(Exposed(), HasSubstr(line));
  }
  EXPECT_EQ(ReadIn(artifact, "say"), noise);
  EXPECT_TRUE(Hears("web-1", "waits to fetch its code: cut"));
}

TEST_F(ArtifactKeeperTest, WaitsForAControllerThatIsNotThere) {
  const Artifact artifact = Make("hello");
  const int port = controller_->port();
  controller_.reset();
  Prepare("web-1", artifact);
  EXPECT_TRUE(Hears("web-1", "waits to fetch its code"));
  EXPECT_FALSE(HeardOf("web-1").status.has_value());
  controller_ = std::make_unique<FakeController>(port);
  controller_->Keep(artifact.digest, dir_.Read("packed"));
  EXPECT_EQ(Await("web-1"), absl::OkStatus());
}

TEST_F(ArtifactKeeperTest, WhatIsNotWhatItShouldBeIsAnError) {
  Artifact artifact = Make("hello");
  controller_->Keep(artifact.digest, std::string(artifact.size_bytes, 'x'));
  Prepare("web-1", artifact);
  EXPECT_THAT(std::string(Await("web-1").message()), HasSubstr("are not those of sha256:"));
  EXPECT_FALSE(fs::exists(TreeOf(artifact)));
  // Right this time.
  controller_->Keep(artifact.digest, dir_.Read("packed"));
  Prepare("web-2", artifact);
  EXPECT_EQ(Await("web-2"), absl::OkStatus());

  artifact.digest = std::string(64, 'b');
  Prepare("web-3", artifact);
  EXPECT_EQ(Await("web-3").message(), "it is not here");
  artifact.digest = "../../etc";
  Prepare("web-4", artifact);
  EXPECT_EQ(Await("web-4").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ArtifactKeeperTest, AnArchiveThatIsEvilIsAnError) {
  artifact::WriteArchive(dir_ / "packed", {{"../evil", AE_IFREG, "x"}});
  Artifact artifact;
  artifact.digest = *artifact::Sha256OfFile(dir_ / "packed");
  artifact.size_bytes = fs::file_size(dir_ / "packed");
  controller_->Keep(artifact.digest, dir_.Read("packed"));
  Prepare("web-1", artifact);
  EXPECT_EQ(Await("web-1").message(), "cannot be unpacked: entry ../evil has a .. in its path");
  EXPECT_FALSE(Ready(artifact));
  EXPECT_FALSE(fs::exists(dir_ / "artifacts/evil"));
}

TEST_F(ArtifactKeeperTest, InstallsOnceAndTwoStepsOfOneArtifactAreTwoTrees) {
  const std::string count = dir_ / "count";
  const Artifact plain = Make("hello");
  const Artifact installed = Make("hello", "echo x >> " + count + "; cp say said");
  ASSERT_EQ(plain.digest, installed.digest);
  Prepare("web-1", installed);
  Prepare("web-2", installed);
  Prepare("api-1", plain);
  for (const char* id : {"web-1", "web-2", "api-1"}) EXPECT_EQ(Await(id), absl::OkStatus());
  EXPECT_EQ(*ReadFile(count), "x\n");
  EXPECT_EQ(ReadIn(installed, "said"), "hello");
  EXPECT_FALSE(fs::exists(TreeOf(plain) + "/said"));
}

TEST_F(ArtifactKeeperTest, AnInstallStepThatFailsIsTriedAgainWhenAskedAgain) {
  const std::string ready = dir_ / "ready";
  const Artifact artifact = Make("hello", "echo half > half; echo not yet; test -e " + ready);
  Prepare("web-1", artifact);
  EXPECT_EQ(Await("web-1").message(), "install failed: exit 1: not yet");
  const std::string log = TreeOf(artifact) + ".log";
  EXPECT_THAT(HeardOf("web-1").lines, ElementsAre("not yet", "all of it: " + log));
  EXPECT_EQ(*ReadFile(log), "not yet\n");
  EXPECT_TRUE(Hears("web-1", "installing: "));
  EXPECT_FALSE(Ready(artifact));
  dir_.Write("ready", "");
  Prepare("web-2", artifact);
  EXPECT_EQ(Await("web-2"), absl::OkStatus());
  EXPECT_TRUE(Ready(artifact));
  EXPECT_EQ(*ReadFile(log + ".1"), "not yet\n") << "of the try before";
  EXPECT_THAT(Exposed(), HasSubstr("pando_agent_install_steps_total{result=\"failed\"} 1"));
  EXPECT_THAT(Exposed(), HasSubstr("pando_agent_install_steps_total{result=\"done\"} 1"));
  EXPECT_THAT(Exposed(), HasSubstr("pando_agent_install_seconds_count 2"));
}

// Who is not root is nobody else.
class InstallAsUserTest : public ArtifactKeeperTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    chmod(dir_.path().c_str(), 0711);
  }
  static struct stat Stat(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  }
};

TEST_F(InstallAsUserTest, TheStepIsThatUsersAndTheTreeIsNot) {
  Artifact artifact = Make("hello",
                           "umask 077; id -u > uid; id -g > gid; mkdir d; cp say d; "
                           "echo x > $HOME/x; ln $HOME/x linked; chmod 04755 say");
  artifact.user = "64123";
  artifact.group = "64124";
  Prepare("web-1", artifact);
  ASSERT_EQ(Await("web-1"), absl::OkStatus());
  EXPECT_EQ(ReadIn(artifact, "uid"), "64123\n");
  EXPECT_EQ(ReadIn(artifact, "gid"), "64124\n");
  const std::string tree = TreeOf(artifact);
  for (const char* name : {"", "/uid", "/d", "/d/say", "/linked", "/say"}) {
    EXPECT_EQ(Stat(tree + name).st_uid, 0u) << name;
    EXPECT_EQ(Stat(tree + name).st_gid, 64124u) << name;
    EXPECT_EQ(Stat(tree + name).st_mode & 07222, 0u) << name;
    EXPECT_EQ(Stat(tree + name).st_mode & 0440, 0440u) << name;
  }
  EXPECT_FALSE(fs::exists(tree + ".home"));
}

TEST_F(InstallAsUserTest, OfOneStepForTwoUsersEachHasATree) {
  const std::string count = dir_ / "count";
  dir_.Write("count", "");
  chmod(count.c_str(), 0666);
  Artifact own = Make("hello", "id -u > uid; echo x >> " + count);
  Artifact other = own;
  other.user = "64123";
  Artifact group = own;
  group.group = "64123";
  ASSERT_NE(TreeOf(own), TreeOf(other));
  ASSERT_NE(TreeOf(group), TreeOf(other));
  Prepare("web-1", own);
  Prepare("api-1", other);
  Prepare("api-2", other);
  for (const char* id : {"web-1", "api-1", "api-2"}) EXPECT_EQ(Await(id), absl::OkStatus());
  EXPECT_EQ(ReadIn(own, "uid"), "0\n");
  EXPECT_EQ(ReadIn(other, "uid"), "64123\n");
  EXPECT_EQ(*ReadFile(count), "x\nx\n");
}

TEST_F(InstallAsUserTest, ItCannotChangeWhatIsNotItsOwn) {
  dir_.Write("secret", "x");
  chmod((dir_ / "secret").c_str(), 0600);
  Artifact artifact = Make("hello", "cat " + (dir_ / "secret"));
  artifact.user = "64123";
  Prepare("web-1", artifact);
  EXPECT_THAT(std::string(Await("web-1").message()), HasSubstr("ermission denied"));
  // Nor does the agent for it: a link that leads out stays a link.
  artifact = Make("hello", "rm say; ln -s " + (dir_ / "secret") + " say; mkdir d; rmdir d; ln -s " +
                               dir_.path() + " d");
  artifact.user = "64123";
  Prepare("web-2", artifact);
  EXPECT_EQ(Await("web-2"), absl::OkStatus());
  EXPECT_EQ(Stat(dir_ / "secret").st_mode & 0777, 0600u);
  EXPECT_EQ(Stat(dir_ / "secret").st_gid, getegid());
}

TEST_F(InstallAsUserTest, AUserThatIsNotThereIsNamed) {
  Artifact artifact = Make("hello", "true");
  artifact.user = "no-such-user";
  Prepare("web-1", artifact);
  EXPECT_EQ(Await("web-1").message(), "isolation.user: no user no-such-user on this node");
}

TEST_F(ArtifactKeeperTest, StopsWhatNobodyWaitsForAnyMore) {
  const std::string mark = dir_ / "mark";
  const Artifact artifact = Make("hello", "tail -f /dev/null " + mark);
  Prepare("web-1", artifact);
  ASSERT_TRUE(Eventually([&] { return !ProcessesWith(mark).empty(); }));
  OnLoop([this] { keeper_->Forget({"web-1"}); });
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(mark).empty(); }));
  EXPECT_FALSE(HeardOf("web-1").status.has_value());
  // And at the agent's own end.
  Prepare("web-2", artifact);
  ASSERT_TRUE(Eventually([&] { return !ProcessesWith(mark).empty(); }));
  StopKeeper();
  EXPECT_TRUE(ProcessesWith(mark).empty());
}

TEST_F(ArtifactKeeperTest, KeepsWhatIsNeededAndTheNewestOfTheRest) {
  std::vector<Artifact> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(Make("version " + std::to_string(i)));
    const std::string id = "web-" + std::to_string(i);
    Prepare(id, all.back());
    ASSERT_EQ(Await(id), absl::OkStatus());
    // The order of their uses, whatever the file system's clock does.
    fs::last_write_time(PathsOf(dir_ / "artifacts", all.back()).marker,
                        fs::file_time_type::clock::now() - std::chrono::minutes(10 - i));
  }
  const auto collect = [&](const std::vector<Artifact>& needed) {
    OnLoop([&] { keeper_->Collect(needed); });
  };
  collect({all[0]});
  const auto there = [&](const Artifact& artifact) { return fs::exists(TreeOf(artifact)); };
  EXPECT_TRUE(there(all[0]));
  EXPECT_FALSE(there(all[1]));
  EXPECT_FALSE(there(all[2]));
  EXPECT_TRUE(there(all[3]) && there(all[4]));
  EXPECT_FALSE(Ready(all[1]));
  // Nothing is left of them in the end.
  EXPECT_TRUE(Eventually([&] {
    std::set<std::string> keys;
    for (const auto& entry : fs::directory_iterator(dir_ / "artifacts")) {
      const std::string name = entry.path().filename().string();
      keys.insert(name.substr(0, name.find('.')));
    }
    return keys == std::set<std::string>{all[0].digest, all[3].digest, all[4].digest};
  }));
}

TEST_F(ArtifactKeeperTest, PlacesCommandsInTheTree) {
  Assignment assignment;
  assignment.command.dir = "/srv/app";
  OnLoop([&] { keeper_->Place(assignment); });
  EXPECT_EQ(assignment.command.dir, "/srv/app");
  assignment.artifact.digest = std::string(64, 'a');
  assignment.command.dir = "server";
  OnLoop([&] { keeper_->Place(assignment); });
  EXPECT_EQ(assignment.command.dir, TreeOf(assignment.artifact) + "/server");
}

}  // namespace
}  // namespace pando::agent
