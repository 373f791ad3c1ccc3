#include "proxy/control/table_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/runtime/data_dir.h"
#include "proxy/control/test_resources.h"

namespace pando::proxy {
namespace {

XdsSnapshot Snapshot(const std::string& version) {
  XdsSnapshot snapshot;
  snapshot.of(XdsType::kCluster)["web"] = {version, AnyBytes(GoodCluster())};
  snapshot.of(XdsType::kEndpoints)["web"] = {"e", AnyBytes(GoodEndpoints())};
  snapshot.of(XdsType::kListener)["default"] = {"l", AnyBytes(GoodListener())};
  snapshot.of(XdsType::kRoute)["default"] = {"r", AnyBytes(GoodRoutes())};
  return snapshot;
}

class TableFileTest : public ::testing::Test {
 protected:
  TableFileTest() : dir_(std::filesystem::temp_directory_path() / RandomHexId()) {
    std::filesystem::create_directory(dir_);
  }
  ~TableFileTest() override { std::filesystem::remove_all(dir_); }
  std::string path() const { return dir_ / "table.pb"; }

  const std::filesystem::path dir_;
};

TEST_F(TableFileTest, ComesBackAsItWas) {
  EXPECT_EQ(TableFile(path()).Load(), XdsSnapshot());
  {
    TableFile file(path());
    file.Save(Snapshot("1"));
    file.Save(Snapshot("2"));
  }
  EXPECT_EQ(TableFile(path()).Load(), Snapshot("2"));
}

TEST_F(TableFileTest, AFileThatCannotBeUsedIsIgnored) {
  for (const std::string& bytes :
       {std::string(), std::string("garbage"), std::string("pando-proxy-table 1 00\n\n")}) {
    ASSERT_TRUE(WriteFileAtomically(path(), bytes).ok());
    EXPECT_EQ(TableFile(path()).Load(), XdsSnapshot());
  }
}

TEST_F(TableFileTest, EveryCutAndEveryFlippedByteIsNoticed) {
  const std::string bytes = SerializeSnapshot(Snapshot("1"));
  ASSERT_TRUE(ParseSnapshot(bytes).ok());
  for (size_t at = 0; at < bytes.size(); ++at) {
    EXPECT_FALSE(ParseSnapshot(bytes.substr(0, at)).ok()) << at;
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    EXPECT_FALSE(ParseSnapshot(flipped).ok()) << at;
  }
}

TEST_F(TableFileTest, SaysWhatIsWrong) {
  EXPECT_EQ(ParseSnapshot("x").status().message(), "it does not start like one");
  EXPECT_EQ(ParseSnapshot("pando-proxy-table 1 00\nbody").status().message(),
            "its content hash does not fit");
}

}  // namespace
}  // namespace pando::proxy
