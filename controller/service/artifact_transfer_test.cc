// ctl's upload and an agent's fetch against the real service, over gRPC.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "artifact/sha256.h"
#include "artifact/testing/test_archive.h"
#include "controller/service/artifact_service.h"
#include "ctl/client.h"

namespace pando::controller {
namespace {

using artifact::TestDir;
using testing::ElementsAre;
using testing::HasSubstr;

// Cuts its first upload after some messages, with what came of them kept.
class CuttingService final : public v1::Artifacts::Service {
 public:
  CuttingService(ArtifactStore& store, Metrics& metrics)
      : store_(store), service_(store, metrics) {}

  void CutAfter(int messages) { cut_after_ = messages; }
  int uploads() const { return uploads_; }

  grpc::Status Stat(grpc::ServerContext* context, const v1::StatArtifactRequest* request,
                    v1::ArtifactState* response) override {
    return service_.Stat(context, request, response);
  }
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchArtifactRequest* request,
                     grpc::ServerWriter<v1::ArtifactChunk>* writer) override {
    return service_.Fetch(context, request, writer);
  }
  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<v1::ArtifactUpload>* reader,
                      v1::ArtifactState* response) override {
    ++uploads_;
    int left = cut_after_.exchange(0);
    if (left == 0) return service_.Upload(context, reader, response);
    v1::ArtifactUpload message;
    reader->Read(&message);
    auto upload = store_.Begin(message.start().digest(), message.start().size_bytes(),
                               message.start().offset());
    while (left-- > 0 && reader->Read(&message)) (*upload)->Append(message.data()).IgnoreError();
    return {grpc::StatusCode::UNAVAILABLE, "cut"};
  }

 private:
  ArtifactStore& store_;
  ArtifactService service_;
  std::atomic<int> cut_after_{0};
  std::atomic<int> uploads_{0};
};

class ArtifactTransferTest : public testing::Test {
 protected:
  void Start(ArtifactLimits limits) {
    store_ = *ArtifactStore::Open(dir_ / "artifacts", limits);
    service_ = std::make_unique<CuttingService>(*store_, metrics_);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    client_ = std::make_unique<ctl::Client>(
        ctl::ClientOptions{.controller = absl::StrCat("127.0.0.1:", port_)});
    stub_ = v1::Artifacts::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port_), grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown();
  }

  // A file of `size` bytes that are unlike each other.
  ctl::ArtifactFile MakeFile(size_t size) {
    std::string bytes;
    for (uint32_t i = 0; bytes.size() < size; ++i)
      absl::StrAppend(&bytes, i * 2'654'435'761u, "\n");
    bytes.resize(size);
    dir_.Write("file", bytes);
    return {dir_ / "file", *artifact::Sha256OfFile(dir_ / "file"), size};
  }
  absl::Status Upload(const ctl::ArtifactFile& file) {
    progress_.clear();
    return client_->UploadArtifact(file, [this](uint64_t bytes) { progress_.push_back(bytes); });
  }
  // What is wrong with a fetch of `file` from `offset` on; "" when nothing is. Not EXPECT_EQ, which
  // would compare 300,000 lines with each other to show where two files differ.
  std::string WrongWith(const ctl::ArtifactFile& file, uint64_t offset) {
    grpc::Status status;
    const std::string bytes = Fetch(file.digest, offset, status);
    const std::string want = dir_.Read("file").substr(offset);
    if (!status.ok()) {
      return absl::StrCat("after ", bytes.size(), " bytes: ", status.error_message());
    }
    if (bytes == want) return "";
    const auto differ = std::mismatch(bytes.begin(), bytes.end(), want.begin(), want.end());
    return absl::StrCat(bytes.size(), " bytes, wrong from ", differ.first - bytes.begin(), " on");
  }
  std::string Fetch(const std::string& digest, uint64_t offset, grpc::Status& status) {
    grpc::ClientContext context;
    v1::FetchArtifactRequest request;
    request.set_digest(digest);
    request.set_offset(offset);
    const auto reader = stub_->Fetch(&context, request);
    std::string bytes;
    v1::ArtifactChunk chunk;
    while (reader->Read(&chunk)) bytes += chunk.data();
    status = reader->Finish();
    return bytes;
  }

  Metrics metrics_{"test"};
  const TestDir dir_;
  std::unique_ptr<ArtifactStore> store_;
  std::unique_ptr<CuttingService> service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ctl::Client> client_;
  std::unique_ptr<v1::Artifacts::Stub> stub_;
  std::vector<uint64_t> progress_;
};

constexpr ArtifactLimits kSmallReserve{.reserve_bytes = 1 << 20};

TEST_F(ArtifactTransferTest, WhatWasUploadedIsFetched) {
  Start(kSmallReserve);
  const ctl::ArtifactFile file = MakeFile(3'000'001);
  ASSERT_EQ(Upload(file), absl::OkStatus());
  EXPECT_EQ(progress_.front(), 0u);
  EXPECT_EQ(progress_.back(), file.bytes);
  EXPECT_EQ(WrongWith(file, 0), "");
  EXPECT_EQ(WrongWith(file, 2'999'000), "");
  EXPECT_EQ(WrongWith(file, file.bytes), "");
  grpc::Status status;
  EXPECT_EQ(Fetch(file.digest, file.bytes + 1, status), "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  // Again: it is there, and nothing is sent.
  ASSERT_EQ(Upload(file), absl::OkStatus());
  EXPECT_THAT(progress_, ElementsAre(file.bytes));
  EXPECT_EQ(service_->uploads(), 1);
  const std::string metrics = metrics_.Serialize();
  for (const char* line :
       {"pando_artifact_transfers{direction=\"upload\"} 0\n",
        "pando_artifact_transfers_total{direction=\"upload\",result=\"done\"} 1\n",
        "pando_artifact_transfers_total{direction=\"fetch\",result=\"done\"} 3\n",
        "pando_artifact_transfers_total{direction=\"fetch\",result=\"refused\"} 1\n",
        "pando_artifact_transfer_bytes_total{direction=\"upload\"} 3000001\n",
        "pando_artifact_transfer_bytes_total{direction=\"fetch\"} 3001002\n"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
  EXPECT_EQ(store_->totals().artifacts, 1u);
  EXPECT_EQ(store_->totals().bytes, file.bytes);
}

TEST_F(ArtifactTransferTest, AFetchWhoseReaderGoesIsCut) {
  Start(kSmallReserve);
  const ctl::ArtifactFile file = MakeFile(30'000'001);
  ASSERT_EQ(Upload(file), absl::OkStatus());
  grpc::ClientContext context;
  v1::FetchArtifactRequest request;
  request.set_digest(file.digest);
  const auto reader = stub_->Fetch(&context, request);
  v1::ArtifactChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  context.TryCancel();
  reader->Finish();
  server_->Shutdown();  // waits for the call's end
  server_->Wait();
  EXPECT_THAT(metrics_.Serialize(),
              HasSubstr("pando_artifact_transfers_total{direction=\"fetch\",result=\"cut\"} 1\n"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("pando_artifact_transfers{direction=\"fetch\"} 0\n"));
}

TEST_F(ArtifactTransferTest, AnUploadThatIsCutGoesOnWhereItWas) {
  Start(kSmallReserve);
  const ctl::ArtifactFile file = MakeFile(3'000'001);
  service_->CutAfter(4);
  ASSERT_EQ(Upload(file), absl::OkStatus());
  EXPECT_EQ(service_->uploads(), 2);
  EXPECT_NE(std::find(progress_.begin(), progress_.end(), 4u * (256 << 10)), progress_.end());
  EXPECT_EQ(WrongWith(file, 0), "");
}

TEST_F(ArtifactTransferTest, BytesThatAreNotThoseOfTheDigestAreRefused) {
  Start(kSmallReserve);
  ctl::ArtifactFile file = MakeFile(1'000);
  file.digest = std::string(64, 'a');
  const absl::Status status = Upload(file);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("are not those of sha256:aaaa"));
  grpc::Status fetched;
  Fetch(file.digest, 0, fetched);
  EXPECT_EQ(fetched.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ArtifactTransferTest, ADiskWithoutRoomIsSaidSo) {
  Start({.reserve_bytes = uint64_t{1} << 60});
  const absl::Status status = Upload(MakeFile(1'000));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no room for the artifact"));
}

}  // namespace
}  // namespace pando::controller
