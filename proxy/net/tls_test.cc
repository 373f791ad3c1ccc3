// HTTPS listeners over real sockets, with OpenSSL's own client.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "proxy/net/tls_test_support.h"

namespace pando::proxy {
namespace {

using ::testing::HasSubstr;

constexpr char kGetExample[] = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";

DataPlaneConfig Config(Millis head_timeout = Millis{10'000}) {
  DataPlaneConfig config;
  config.limits.head_timeout = head_timeout;
  return config;
}

class TlsTest : public ::testing::Test {
 protected:
  // A listener with TLS in front of `app`.
  void Serve(TestProxy& proxy, const TestApp& app) {
    auto table = proxy.Table({{app.port()}});
    table->listeners[0].tls = settings_;
    proxy.Apply(std::move(table));
  }

  CertificateDir dir_;
  TlsCertificateFiles files_ = dir_.Write("a", MakeCertificate({"example.com"}));
  TlsSettings settings_{.certificates = {files_}, .alpn = {"http/1.1"}};
};

TEST_F(TlsTest, ServesRequestsAndTellsTheAppThatTheyWereHttps) {
  std::string seen;
  TestApp app([&](Wire& wire, int) {
    while (auto request = wire.ReadMessage()) {
      seen = request->head;
      wire.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  TestProxy proxy;
  Serve(proxy, app);
  auto client = TlsWire::Connect(proxy.port, "example.com");
  ASSERT_TRUE(client->established()) << client->error();
  EXPECT_EQ(client->version(), "TLSv1.3");
  for (int i = 0; i < 3; ++i) {
    const auto answer = client->Ask(kGetExample);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->body, "ok");
    EXPECT_THAT(seen, HasSubstr("X-Forwarded-Proto: https\r\n"));
  }
  EXPECT_EQ(proxy.plane.Stats().tls_handshakes_total, 1u);
}

TEST_F(TlsTest, ChoosesTheCertificateByTheNameAskedFor) {
  settings_.certificates = {dir_.Write("default", MakeCertificate({"default.test"})),
                            dir_.Write("exact", MakeCertificate({"www.example.com", "other.test"})),
                            dir_.Write("wild", MakeCertificate({"*.example.com"}))};
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  const struct {
    const char* name;
    const char* want;
  } cases[] = {{"www.example.com", "www.example.com"}, {"WWW.Example.Com", "www.example.com"},
               {"other.test", "www.example.com"},      {"api.example.com", "*.example.com"},
               {"a.b.example.com", "default.test"},    {"example.com", "default.test"},
               {"unknown.test", "default.test"},       {"", "default.test"}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(absl::StrCat(c.name, " ", version));
      TlsWire::Options options;
      options.server_name = c.name;
      options.min_version = options.max_version = version;
      TlsWire client(proxy.port, options);
      ASSERT_TRUE(client.established()) << client.error();
      EXPECT_EQ(client.subject(), c.want);
      EXPECT_TRUE(client.Ask(kGetExample).has_value());
    }
  }
}

TEST_F(TlsTest, ResumesByTicketsUntilTheirKeysAreGone) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    TlsWire::Options options;
    options.server_name = "example.com";
    options.min_version = options.max_version = version;
    TlsWire first(proxy.port, options);
    ASSERT_TRUE(first.Ask(kGetExample).has_value());
    EXPECT_FALSE(first.resumed());
    const SslSession session = first.session();
    options.session = session.get();
    const auto resumes = [&] {
      TlsWire again(proxy.port, options);
      return again.Ask(kGetExample).has_value() && again.resumed();
    };
    // On whichever worker takes the connection.
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(resumes());
    // A renewed certificate changes nothing for those who trusted the last one.
    dir_.Write("a", MakeCertificate({"example.com"}));
    EXPECT_EQ(proxy.plane.ReloadCertificates().changed, 1);
    EXPECT_TRUE(resumes());
    proxy.plane.RotateTicketKeys();
    proxy.plane.RotateTicketKeys();
    EXPECT_TRUE(resumes());
    proxy.plane.RotateTicketKeys();
    EXPECT_FALSE(resumes());
  }
  EXPECT_GE(proxy.plane.Stats().tls_resumed_total, 20u);
}

TEST_F(TlsTest, RefusesVersionsBelowTheMinimum) {
  TestApp app(TestApp::Answering("a"));
  const struct {
    TlsVersion minimum;
    int client;
    bool want;
  } cases[] = {{TlsVersion::k12, TLS1_1_VERSION, false},
               {TlsVersion::k12, TLS1_2_VERSION, true},
               {TlsVersion::k13, TLS1_2_VERSION, false},
               {TlsVersion::k13, TLS1_3_VERSION, true}};
  for (const auto& c : cases) {
    SCOPED_TRACE(absl::StrCat(static_cast<int>(c.minimum), " ", c.client));
    settings_.min_version = c.minimum;
    TestProxy proxy;
    Serve(proxy, app);
    TlsWire::Options options;
    options.min_version = options.max_version = c.client;
    TlsWire client(proxy.port, options);
    EXPECT_EQ(client.established(), c.want) << client.error();
    if (!c.want) {
      EXPECT_THAT(client.error(), HasSubstr("protocol version"));
      EXPECT_TRUE(Eventually([&] { return proxy.plane.Stats().tls_failures_total == 1; }));
    }
  }
}

TEST_F(TlsTest, AgreesOnAProtocolItSpeaksOrRefuses) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  TlsWire::Options options;
  options.alpn = {"h2", "http/1.1"};
  TlsWire both(proxy.port, options);
  EXPECT_EQ(both.alpn(), "http/1.1");
  EXPECT_TRUE(both.Ask(kGetExample).has_value());
  options.alpn = {"h2"};
  TlsWire only_h2(proxy.port, options);
  EXPECT_FALSE(only_h2.established());
  EXPECT_THAT(only_h2.error(), HasSubstr("no application protocol"));
}

TEST_F(TlsTest, ReloadsCertificatesUnderTrafficWithoutLosingAConnection) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  auto kept = TlsWire::Connect(proxy.port, "example.com");
  ASSERT_TRUE(kept->Ask(kGetExample).has_value());

  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::atomic<int> served{0};
  std::thread traffic([&] {
    while (!stop) {
      auto client = TlsWire::Connect(proxy.port, "example.com");
      const bool ok = client->Ask(kGetExample).has_value() && client->Ask(kGetExample).has_value();
      ++(ok ? served : failures);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const int before = served;
    dir_.Write("a", MakeCertificate({absl::StrCat("round-", i, ".test")}));
    const CertificateReload reload = proxy.plane.ReloadCertificates();
    EXPECT_EQ(reload.changed, 1);
    EXPECT_THAT(reload.errors, ::testing::IsEmpty());
    EXPECT_TRUE(Eventually([&] { return served > before + 1; }));
  }
  stop = true;
  traffic.join();
  EXPECT_EQ(failures, 0);
  EXPECT_TRUE(kept->Ask(kGetExample).has_value());
  EXPECT_EQ(TlsWire::Connect(proxy.port)->subject(), "round-19.test");
  EXPECT_EQ(proxy.plane.ReloadCertificates().changed, 0);
}

TEST_F(TlsTest, KeepsTheLastGoodCertificateAndSaysWhatIsWrongWithTheNewOne) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  dir_.Write("a.crt", "not a certificate");
  const CertificateReload reload = proxy.plane.ReloadCertificates();
  EXPECT_EQ(reload.changed, 0);
  ASSERT_EQ(reload.errors.size(), 1u);
  EXPECT_EQ(reload.errors[0], absl::StrCat("tls_certificates[0].certificate_chain: ", files_.chain,
                                           ": holds no certificate in PEM"));
  EXPECT_THAT(proxy.plane.ReloadCertificates().errors, ::testing::IsEmpty());
  ASSERT_EQ(proxy.plane.Certificates().size(), 1u);
  EXPECT_EQ(proxy.plane.Certificates()[0].error, reload.errors[0]);
  // Another table is no reason to look at the file, and no reason to stop.
  Serve(proxy, app);
  EXPECT_TRUE(TlsWire::Connect(proxy.port)->Ask(kGetExample).has_value());
  dir_.Write("a", MakeCertificate({"new.test"}));
  EXPECT_EQ(proxy.plane.ReloadCertificates().changed, 1);
  EXPECT_TRUE(Eventually([&] { return TlsWire::Connect(proxy.port)->subject() == "new.test"; }));
  EXPECT_EQ(proxy.plane.Certificates()[0].error, "");
}

TEST_F(TlsTest, RefusesAListenerWhoseCertificateCannotBeUsed) {
  const TestCertificate good = MakeCertificate({"example.com"});
  const TestCertificate other = MakeCertificate({"example.com"});
  const std::string chain = dir_.Write("good.crt", good.chain);
  const std::string key = dir_.Write("good.key", good.key);
  const std::string missing = chain + ".missing";
  const std::string torn = dir_.Write("torn.crt", good.chain + other.chain.substr(0, 200) + "\n");
  const std::string other_key = dir_.Write("other.key", other.key);
  const std::string no_key = dir_.Write("none.key", good.chain);
  const struct {
    TlsCertificateFiles files;
    std::string want;
  } cases[] = {
      {{missing, key}, "certificate_chain: cannot open " + missing + ": No such file or directory"},
      {{key, key}, "certificate_chain: " + key + ": holds no certificate in PEM"},
      {{torn, key}, "certificate_chain: " + torn + ": its chain: "},
      {{chain, missing}, "private_key: cannot open " + missing + ": No such file or directory"},
      {{chain, no_key}, "private_key: " + no_key + ": holds no private key in PEM without a pass"},
      {{chain, other_key}, "private_key: " + other_key + ": is not the key of " + chain},
  };
  TestProxy proxy;
  for (const auto& c : cases) {
    Listener listener{"secure", "127.0.0.1", proxy.port, "main"};
    listener.tls = TlsSettings{.certificates = {files_, c.files}};
    const absl::Status status = proxy.plane.PrepareListeners({listener});
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()),
                ::testing::StartsWith("listener secure: tls: tls_certificates[1]." + c.want));
  }
}

TEST_F(TlsTest, ClosesConnectionsWhoseHandshakeDoesNotEnd) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy(Config(Millis{50}));
  Serve(proxy, app);
  auto silent = Wire::Connect(proxy.port);
  auto slow = Wire::Connect(proxy.port);
  slow->Send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));  // the beginning of a ClientHello
  EXPECT_TRUE(silent->AtEnd());
  EXPECT_TRUE(slow->AtEnd());
  EXPECT_TRUE(Eventually([&] { return proxy.plane.Stats().connections_active == 0; }));
  EXPECT_EQ(proxy.plane.Stats().tls_failures_total, 1u);
}

TEST_F(TlsTest, AnswersPlainHttpInPlainHttp) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  auto client = Wire::Connect(proxy.port);
  client->Send(kGetExample);
  const std::string answer = client->ReadToEnd();
  EXPECT_THAT(answer, ::testing::StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("this port speaks HTTPS: the URL begins https://\n"));
}

TEST_F(TlsTest, CarriesLargeBodiesBothWaysInBoundedMemory) {
  constexpr size_t kBytes = 256 << 20;
  TestApp app([&](Wire& wire, int) {
    if (!wire.ReadUntil("\r\n\r\n")) return;
    const size_t received = wire.Discard(kBytes);
    wire.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", received, "\r\n\r\n"));
    const std::string piece(1 << 20, 'x');
    for (size_t sent = 0; sent < received && wire.Send(piece); sent += piece.size()) {
    }
  });
  TestProxy proxy;
  Serve(proxy, app);
  auto client = TlsWire::Connect(proxy.port);
  ASSERT_TRUE(client->established());
  [[maybe_unused]] const size_t before = ResidentBytes();
  [[maybe_unused]] size_t most = 0;
  client->Send(absl::StrCat("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ", kBytes, "\r\n\r\n"));
  const std::string piece(1 << 20, 'y');
  for (size_t sent = 0; sent < kBytes; sent += piece.size()) {
    ASSERT_TRUE(client->Send(piece));
    most = std::max(most, ResidentBytes());
  }
  ASSERT_TRUE(client->ReadUntil("\r\n\r\n").has_value());
  for (size_t received = 0; received < kBytes; received += piece.size()) {
    ASSERT_EQ(client->Discard(piece.size()), piece.size());
    most = std::max(most, ResidentBytes());
  }
#ifndef PANDO_SANITIZED
  // The test's own pieces included.
  EXPECT_LT(most - before, size_t{16} << 20);
#endif
}

TEST_F(TlsTest, SaysTheEndAndNeverInPlaceOfWhatIsMissing) {
  const struct {
    const char* name;
    const char* response;
    TlsWire::End want;
    int minor_version;
  } cases[] = {
      {"asked to close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", TlsWire::End::kClean, 1},
      {"ends with the connection", "HTTP/1.1 200 OK\r\n\r\nok", TlsWire::End::kClean, 1},
      {"length not reached", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
       TlsWire::End::kTruncated, 1},
      {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
       TlsWire::End::kTruncated, 1},
      {"no last chunk, for HTTP/1.0",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", TlsWire::End::kTruncated,
       0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    TestApp app([&](Wire& wire, int) {
      wire.ReadMessage();
      wire.Send(c.response);
    });
    TestProxy proxy;
    Serve(proxy, app);
    auto client = TlsWire::Connect(proxy.port);
    client->Send(
        absl::StrCat("GET / HTTP/1.", c.minor_version, "\r\nHost: a\r\nConnection: close\r\n\r\n"));
    std::string rest;
    EXPECT_EQ(client->ReadToEnd(rest), c.want);
    EXPECT_THAT(rest, HasSubstr("ok"));
  }
}

TEST_F(TlsTest, ATunnelPassesEachSidesEndToTheOther) {
  std::atomic<bool> ended{false};
  TestApp app([&](Wire& wire, int) {
    wire.ReadMessage();
    wire.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    while (auto line = wire.ReadUntil("\n")) wire.Send(*line);
    ended = true;
  });
  TestProxy proxy;
  Serve(proxy, app);
  auto client = TlsWire::Connect(proxy.port);
  const auto answer =
      client->Ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status(), 101);
  client->Send("hello\n");
  EXPECT_EQ(client->ReadUntil("\n"), "hello\n");
  client->Shutdown();
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
  std::string rest;
  EXPECT_EQ(client->ReadToEnd(rest), TlsWire::End::kClean);
}

TEST_F(TlsTest, SendsPlainHttpToHttps) {
  const struct {
    uint16_t port;
    const char* host;
    const char* target;
    const char* want;
  } cases[] = {{0, "example.com", "/a?b=c", "https://example.com/a?b=c"},
               {443, "example.com:80", "/", "https://example.com/"},
               {8443, "example.com:8080", "/x", "https://example.com:8443/x"},
               {8443, "[::1]:8080", "/x", "https://[::1]:8443/x"},
               {443, "[::1]", "/x", "https://[::1]/x"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.want);
    TestProxy proxy;
    auto table = proxy.Table({});
    Route route;
    route.redirect = {308, c.port};
    table->routes["main"] = {"main", {{{"*"}, {route}}}};
    proxy.Apply(std::move(table));
    auto client = proxy.Connect();
    const std::string request =
        absl::StrCat("POST ", c.target, " HTTP/1.1\r\nHost: ", c.host, "\r\n\r\n");
    for (int i = 0; i < 2; ++i) {
      const auto answer = client->Ask(request);
      ASSERT_TRUE(answer.has_value());
      EXPECT_EQ(answer->status(), 308);
      EXPECT_TRUE(answer->Has(absl::StrCat("Location: ", c.want, "\r\n"))) << answer->head;
    }
  }
}

TEST_F(TlsTest, AListenerTurnsToTlsAndBackForNewConnections) {
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  proxy.Serve({{app.port()}});
  auto plain = proxy.Connect();
  EXPECT_TRUE(plain->Ask(kGetExample).has_value());
  Serve(proxy, app);
  auto secure = TlsWire::Connect(proxy.port);
  EXPECT_TRUE(secure->Ask(kGetExample).has_value());
  EXPECT_TRUE(plain->Ask(kGetExample).has_value());
  proxy.Serve({{app.port()}});
  EXPECT_TRUE(proxy.Connect()->Ask(kGetExample).has_value());
  EXPECT_TRUE(secure->Ask(kGetExample).has_value());
}

TEST_F(TlsTest, IdleConnectionsHoldNoBuffers) {
  constexpr size_t kConnections = 500;
  TestApp app(TestApp::Answering("a"));
  TestProxy proxy;
  Serve(proxy, app);
  // Clients of another process would be better; OpenSSL's client is at least as large.
  std::vector<std::unique_ptr<TlsWire>> clients;
  for (size_t i = 0; i < 50; ++i) {
    clients.push_back(TlsWire::Connect(proxy.port));
    ASSERT_TRUE(clients.back()->Ask(kGetExample).has_value());
  }
  const size_t before = ResidentBytes();
  for (size_t i = 0; i < kConnections; ++i) {
    clients.push_back(TlsWire::Connect(proxy.port));
    ASSERT_TRUE(clients.back()->Ask(kGetExample).has_value());
  }
  const size_t each = (ResidentBytes() - before) / kConnections;
  RecordProperty("bytes", static_cast<int>(each));
#ifndef PANDO_SANITIZED
  EXPECT_LT(each, 100u * 1024);
#endif
}

}  // namespace
}  // namespace pando::proxy
