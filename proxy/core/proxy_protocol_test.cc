#include "proxy/core/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace pando::proxy {
namespace {

using Result = ProxyHeader::Result;

std::string Binary(int command, int family, const std::string& rest) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size());
  return header + rest;
}

const std::string kV4("\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x00\x50", 12);
const std::string kV6 =
    std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16) + std::string(16, '\1') + "0900";

TEST(ProxyProtocolTest, ReadsBothVersions) {
  struct Case {
    std::string name;
    std::string header;
    std::string source;
  };
  const Case cases[] = {
      {"v1", "PROXY TCP4 10.1.2.3 127.0.0.1 12345 80\r\n", "10.1.2.3"},
      {"v1, IPv6", "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", "2001:db8::7"},
      {"v1, unknown", "PROXY UNKNOWN\r\n", ""},
      {"v1, unknown with more", "PROXY UNKNOWN ff:: x 99999 y z\r\n", ""},
      {"v2", Binary(0x21, 0x11, kV4), "10.1.2.3"},
      {"v2, IPv6", Binary(0x21, 0x21, kV6), "2001:db8::7"},
      {"v2 with TLVs", Binary(0x21, 0x11, kV4 + std::string("\x04\x00\x02xx", 5)), "10.1.2.3"},
      {"v2, local", Binary(0x20, 0x00, ""), ""},
      {"v2, local with an address", Binary(0x20, 0x11, kV4), ""},
      {"v2, unspecified", Binary(0x21, 0x00, "whatever"), ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const ProxyHeader header = ReadProxyHeader(c.header + "GET / HTTP/1.1\r\n");
    EXPECT_EQ(header.result, Result::kComplete);
    EXPECT_EQ(header.size, c.header.size());
    EXPECT_EQ(header.source ? FormatIp(*header.source).view() : "", c.source);
    for (size_t size = 0; size < c.header.size(); ++size) {
      SCOPED_TRACE(size);
      EXPECT_EQ(ReadProxyHeader(c.header.substr(0, size)).result, Result::kIncomplete);
    }
  }
}

TEST(ProxyProtocolTest, RefusesWhatIsNotQuiteIt) {
  const std::string cases[] = {
      "GET / HTTP/1.1\r\n",
      "proxy TCP4 10.1.2.3 127.0.0.1 1 80\r\n",
      "PROXY TCP4 10.1.2.3 127.0.0.1 1 80\n",
      "PROXY\r\n",
      "PROXY \r\n",
      "PROXY UNKNOWNX\r\n",
      "PROXY UDP4 10.1.2.3 127.0.0.1 1 80\r\n",
      "PROXY TCP4 10.1.2.3 127.0.0.1 1\r\n",
      "PROXY TCP4 10.1.2.3 127.0.0.1 1 80 \r\n",
      "PROXY TCP4  10.1.2.3 127.0.0.1 1 80\r\n",
      "PROXY TCP4 10.1.2.3 127.0.0.1 1 65536\r\n",
      "PROXY TCP4 10.1.2.3 127.0.0.1 01 80\r\n",
      "PROXY TCP4 10.1.2.3 127.0.0.1 -1 80\r\n",
      "PROXY TCP4 ::1 127.0.0.1 1 80\r\n",
      "PROXY TCP6 10.1.2.3 ::1 1 80\r\n",
      "PROXY TCP4 10.1.2.999 127.0.0.1 1 80\r\n",
      "PROXY TCP4 10.1.2.3 localhost 1 80\r\n",
      "PROXY UNKNOWN " + std::string(200, 'x'),
      Binary(0x11, 0x11, kV4),
      Binary(0x22, 0x11, kV4),
      Binary(0x21, 0x12, kV4),
      Binary(0x21, 0x31, std::string(216, 'u')),
      Binary(0x21, 0x11, kV4.substr(1)),
      Binary(0x21, 0x21, kV4),
      Binary(0x21, 0x11, kV4 + std::string(8'000, 't')).substr(0, 16),
  };
  for (const std::string& bytes : cases) {
    SCOPED_TRACE(bytes.substr(0, 60));
    EXPECT_EQ(ReadProxyHeader(bytes).result, Result::kBad);
  }
}

}  // namespace
}  // namespace pando::proxy
