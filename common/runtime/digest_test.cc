#include "common/runtime/digest.h"

#include <gtest/gtest.h>

namespace pando {
namespace {

TEST(DigestTest, MatchesPublishedVectors) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(DigestTest, ContentVersionIsAPrefixOfTheHash) {
  EXPECT_EQ(ContentVersion("abc"), Sha256Hex("abc").substr(0, 32));
  EXPECT_NE(ContentVersion("abc"), ContentVersion("abd"));
}

}  // namespace
}  // namespace pando
