#include "controller/service/artifact_store.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>

#include "artifact/sha256.h"
#include "artifact/testing/test_archive.h"

namespace pando::controller {
namespace {

namespace fs = std::filesystem;
using artifact::TestDir;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr WallTime kForever = WallTime::max();

std::string DigestOf(const std::string& bytes) {
  artifact::Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

std::unique_ptr<ArtifactStore> OpenStore(const TestDir& dir, ArtifactLimits limits = {}) {
  limits.reserve_bytes = std::min(limits.reserve_bytes, uint64_t{1} << 20);
  auto store = ArtifactStore::Open(dir / "artifacts", limits);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

absl::Status Put(ArtifactStore& store, const std::string& digest, const std::string& bytes) {
  auto upload = store.Begin(digest, bytes.size(), 0);
  if (!upload.ok()) return upload.status();
  if (absl::Status status = (*upload)->Append(bytes); !status.ok()) return status;
  return (*upload)->Finish(nullptr);
}

TEST(ArtifactStoreTest, KeepsWhatIsWholeUnderItsDigest) {
  const TestDir dir;
  const auto store = OpenStore(dir);
  const std::string bytes = "packed", digest = DigestOf(bytes);
  EXPECT_EQ(store->Find(digest).bytes, 0u);
  EXPECT_EQ(store->OpenToRead(digest).status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(Put(*store, digest, bytes), absl::OkStatus());
  EXPECT_TRUE(store->Find(digest).complete);
  EXPECT_EQ(store->OpenToRead(digest)->bytes, bytes.size());
  EXPECT_EQ(dir.Read("artifacts/" + digest), bytes);
  EXPECT_FALSE(fs::exists(dir / ("artifacts/" + digest + ".part")));
}

TEST(ArtifactStoreTest, AnUploadThatWasCutGoesOnEvenAfterARestart) {
  const TestDir dir;
  const std::string bytes = "first half, second half", digest = DigestOf(bytes);
  {
    const auto store = OpenStore(dir);
    auto upload = store->Begin(digest, bytes.size(), 0);
    ASSERT_EQ((*upload)->Append(bytes.substr(0, 10)), absl::OkStatus());
  }
  const auto store = OpenStore(dir);
  const ArtifactStore::Kept kept = store->Find(digest);
  EXPECT_FALSE(kept.complete);
  ASSERT_EQ(kept.bytes, 10u);
  EXPECT_EQ(store->Begin(digest, bytes.size(), 11).status().code(),
            absl::StatusCode::kFailedPrecondition);
  auto upload = store->Begin(digest, bytes.size(), 4);  // less than there is: the rest comes again
  ASSERT_TRUE(upload.ok()) << upload.status();
  ASSERT_EQ((*upload)->Append(bytes.substr(4)), absl::OkStatus());
  ASSERT_EQ((*upload)->Finish(nullptr), absl::OkStatus());
  EXPECT_EQ(dir.Read("artifacts/" + digest), bytes);
}

TEST(ArtifactStoreTest, OtherBytesAreRefusedAndDropped) {
  const TestDir dir;
  const auto store = OpenStore(dir);
  const std::string digest = DigestOf("right");
  const absl::Status status = Put(*store, digest, "wrong");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("are not those of sha256:" + digest));
  EXPECT_EQ(store->Find(digest).bytes, 0u);
  ASSERT_EQ(Put(*store, digest, "right"), absl::OkStatus());
}

TEST(ArtifactStoreTest, TooLittleTooMuchAndNonsenseAreRefused) {
  const TestDir dir;
  const auto store = OpenStore(dir, {.largest_bytes = 100});
  const std::string digest = DigestOf("right");
  auto upload = store->Begin(digest, 5, 0);
  EXPECT_EQ((*upload)->Append("right and more").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*upload)->Append("righ"), absl::OkStatus());
  EXPECT_EQ((*upload)->Finish(nullptr).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Begin(digest, 101, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Begin(digest, 0, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Begin("../../etc/passwd", 5, 0).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->OpenToRead("../../etc/passwd").status().code(), absl::StatusCode::kNotFound);
}

TEST(ArtifactStoreTest, ALaterUploadTakesOver) {
  const TestDir dir;
  const auto store = OpenStore(dir);
  const std::string bytes = "the bytes", digest = DigestOf(bytes);
  auto first = store->Begin(digest, bytes.size(), 0);
  ASSERT_EQ((*first)->Append("the "), absl::OkStatus());
  auto second = store->Begin(digest, bytes.size(), 4);
  EXPECT_EQ((*first)->Append("bytes").code(), absl::StatusCode::kAborted);
  EXPECT_EQ((*first)->Finish(nullptr).code(), absl::StatusCode::kAborted);
  first->reset();
  ASSERT_EQ((*second)->Append("bytes"), absl::OkStatus());
  EXPECT_EQ((*second)->Finish(nullptr), absl::OkStatus());
}

TEST(ArtifactStoreTest, LeavesRoomOnTheDisk) {
  const TestDir dir;
  const auto store = ArtifactStore::Open(dir / "artifacts", {.reserve_bytes = uint64_t{1} << 60});
  const absl::Status status = (*store)->Begin(DigestOf("x"), 1, 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no room for the artifact"));
}

TEST(ArtifactStoreTest, ADiskThatIsFullIsAnErrorAndTheRestIsResumedLater) {
  const TestDir dir;
  const auto store = OpenStore(dir);
  const std::string bytes(100'000, 'x'), digest = DigestOf(bytes);
  // The kernel refuses to write more, as a full disk does.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit little = before;
  little.rlim_cur = 40'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  const absl::Status status = Put(*store, digest, bytes);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no room"));
  const uint64_t kept = store->Find(digest).bytes;
  EXPECT_EQ(kept, 40'000u);
  auto upload = store->Begin(digest, bytes.size(), kept);
  ASSERT_EQ((*upload)->Append(bytes.substr(kept)), absl::OkStatus());
  EXPECT_EQ((*upload)->Finish(nullptr), absl::OkStatus());
}

TEST(ArtifactStoreTest, CollectsWhatIsNeitherNeededNorNew) {
  const TestDir dir;
  const auto store = OpenStore(dir);
  const std::string needed = DigestOf("needed"), old = DigestOf("old"), part = DigestOf("part");
  ASSERT_EQ(Put(*store, needed, "needed"), absl::OkStatus());
  ASSERT_EQ(Put(*store, old, "old"), absl::OkStatus());
  auto upload = store->Begin(part, 100, 0);
  ASSERT_EQ((*upload)->Append("part"), absl::OkStatus());

  EXPECT_THAT(store->Collect({needed}, WallTime{}), IsEmpty());  // all were used since then
  const auto opened = store->OpenToRead(old);
  const auto collected = store->Collect({needed}, kForever);
  EXPECT_THAT(collected, SizeIs(1));
  ArtifactStore::Delete(collected);
  EXPECT_FALSE(store->Find(old).complete);
  EXPECT_TRUE(store->Find(needed).complete);
  EXPECT_EQ(store->Find(part).bytes, 4u);  // it is being uploaded
  char bytes[3];
  EXPECT_EQ(pread(opened->file.get(), bytes, sizeof(bytes), 0), 3);  // who reads it reads on

  upload->reset();
  ArtifactStore::Delete(store->Collect({needed}, kForever));
  EXPECT_EQ(store->Find(part).bytes, 0u);
}

}  // namespace
}  // namespace pando::controller
