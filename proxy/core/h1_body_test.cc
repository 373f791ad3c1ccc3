#include "proxy/core/h1_body.h"

#include <gtest/gtest.h>

#include <string>

namespace pando::proxy {
namespace {

struct Read {
  bool done = false;
  bool failed = false;
  size_t used = 0;
  std::string payload;
  bool operator==(const Read&) const = default;
};

Read ReadChunked(std::string_view first, std::string_view second = {}) {
  ChunkedDecoder decoder;
  Read read;
  read.used = decoder.Consume(first, &read.payload);
  if (read.used == first.size()) read.used += decoder.Consume(second, &read.payload);
  read.done = decoder.done();
  read.failed = decoder.failed();
  return read;
}

TEST(ChunkedDecoderTest, ReadsChunksExtensionsAndTrailersHoweverTheyAreSplit) {
  const std::string body =
      "5\r\nhello\r\n00006;name=\"va \\\"lue;\"; b = c ;d\r\n world\r\nA\r\n0123456789\r\n0\r\n"
      "X-Check: abc\r\nEmpty:\r\n\r\n";
  const Read want{true, false, body.size(), "hello world0123456789"};
  const std::string bytes = body + "GET / next";
  for (size_t split = 0; split <= bytes.size(); ++split) {
    SCOPED_TRACE(split);
    const std::string_view all = bytes;
    EXPECT_EQ(ReadChunked(all.substr(0, split), all.substr(split)), want);
  }
}

TEST(ChunkedDecoderTest, RefusesWhatIsNotExactlyAChunk) {
  const std::string cases[] = {"\r\n",
                               "x\r\n",
                               "-1\r\n",
                               "+1\r\n",
                               "0x5\r\nhello\r\n",
                               " 5\r\nhello\r\n",
                               "5 \r\nhello\r\n",
                               "5\nhello\r\n",
                               "5\r\nhelloo\r\n",
                               "5\r\nhello\n",
                               "5\r\nhello\r\r",
                               "5;a\nb\r\n",
                               "5;\x01\r\n",
                               "5;\r\nhello\r\n",
                               "5;a=\r\nhello\r\n",
                               "5;=a\r\nhello\r\n",
                               "5;a b\r\nhello\r\n",
                               "5;a=\"\r\nhello\r\n",
                               "5;a=\"b\"c\r\nhello\r\n",
                               "5;a=b=c\r\nhello\r\n",
                               "5;a/b\r\nhello\r\n",
                               "5;a \r\nhello\r\n",
                               "5;a=b \r\nhello\r\n",
                               "5;a=\"b\" \r\nhello\r\n",
                               "5\rhello",
                               "1000000000000000\r\n",
                               "ffffffffffffffff\r\n",
                               ";a\r\n",
                               "0\r\nbad name: x\r\n\r\n",
                               "0\r\n: x\r\n\r\n",
                               "0\r\nx: y\n\r\n",
                               "0\r\nContent-Length: 3\r\n\r\n",
                               "0\r\ntransfer-encoding: chunked\r\n\r\n",
                               "0\r\nHOST: a\r\n\r\n",
                               "0\r\ncontent_length: 3\r\n\r\n",
                               "0\r\nX-Forwarded-Proto: https\r\n\r\n",
                               "0\r\nConnection: close\r\n\r\n",
                               "0\r\n x: y\r\n\r\n",
                               "0\r\n\rx"};
  for (const std::string& bytes : cases) {
    SCOPED_TRACE(bytes);
    EXPECT_TRUE(ReadChunked(bytes).failed);
    EXPECT_FALSE(ReadChunked(bytes).done);
  }
}

TEST(ChunkedDecoderTest, BoundsExtensionsAndTrailers) {
  EXPECT_TRUE(ReadChunked("5;" + std::string(20'000, 'a')).failed);
  EXPECT_TRUE(ReadChunked("0\r\nX: " + std::string(20'000, 'a')).failed);
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "1;a\r\nx\r\n";
  EXPECT_TRUE(ReadChunked(many).failed);
}

TEST(BodyFramerTest, EndsWhereTheMessageSays) {
  BodyFramer framer;
  framer.Start(BodyKind::kNone, 0);
  EXPECT_TRUE(framer.done());
  EXPECT_EQ(framer.Consume("next"), 0u);

  framer.Start(BodyKind::kLength, 5);
  EXPECT_FALSE(framer.done());
  EXPECT_EQ(framer.Consume("abc"), 3u);
  EXPECT_EQ(framer.Consume("defg"), 2u);
  EXPECT_TRUE(framer.done());

  framer.Start(BodyKind::kUntilClose, 0);
  EXPECT_EQ(framer.Consume("anything"), 8u);
  EXPECT_FALSE(framer.done());

  framer.Start(BodyKind::kChunked, 0);
  std::string payload;
  EXPECT_EQ(framer.Consume("1\r\na\r\n0\r\n\r\nrest", &payload), 11u);
  EXPECT_TRUE(framer.done());
  EXPECT_EQ(payload, "a");
}

}  // namespace
}  // namespace pando::proxy
