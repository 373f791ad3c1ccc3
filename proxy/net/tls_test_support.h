// TLS for the data plane's tests: certificates made on the spot, and a blocking client.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/tls_settings.h"
#include "proxy/net/net_test_support.h"
#include "proxy/net/tls_context.h"

namespace pando::proxy {

struct TestCertificate {
  std::string chain;  // PEM
  std::string key;
};
// Self-signed, for `names`; the first is also the subject.
TestCertificate MakeCertificate(const std::vector<std::string>& names);

// A directory of certificate files, removed at the end.
class CertificateDir {
 public:
  CertificateDir();
  ~CertificateDir();
  // Writes <name>.crt and <name>.key.
  TlsCertificateFiles Write(const std::string& name, const TestCertificate& certificate);
  std::string Write(const std::string& file, const std::string& content);

 private:
  std::filesystem::path path_;
};

struct SslSessionDeleter {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SslSession = std::unique_ptr<SSL_SESSION, SslSessionDeleter>;

// A blocking client. Reads give up after 10 s. Certificates are looked at, not verified.
class TlsWire {
 public:
  struct Options {
    std::string server_name;
    int min_version = TLS1_2_VERSION;
    int max_version = TLS1_3_VERSION;
    std::vector<std::string> alpn;
    SSL_SESSION* session = nullptr;  // to resume
  };
  TlsWire(uint16_t port, const Options& options);
  ~TlsWire();
  static std::unique_ptr<TlsWire> Connect(uint16_t port, const std::string& server_name = "");

  bool established() const { return established_; }
  std::string error() const { return error_; }
  std::string subject() const;  // the common name of the server's certificate
  std::string alpn() const;
  std::string version() const { return SSL_get_version(ssl_.get()); }
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  // With TLS 1.3 the ticket comes behind the handshake: read something first.
  SslSession session() const { return SslSession(SSL_get1_session(ssl_.get())); }

  bool Send(std::string_view bytes);
  std::optional<std::string> ReadUntil(std::string_view mark);
  std::optional<std::string> ReadExactly(size_t count);
  // Counts bytes up to `limit` or the end.
  size_t Discard(size_t limit);
  // Head and body by Content-Length.
  std::optional<Wire::Message> Ask(std::string_view request);

  enum class End { kClean, kTruncated };
  // Reads up to the end; kClean: the server said that it was the end.
  End ReadToEnd(std::string& rest);
  void Shutdown();  // says the end; reads nothing

 private:
  bool Fill();

  SslContextPtr context_;
  std::unique_ptr<Wire> wire_;
  SslPtr ssl_;
  bool established_ = false;
  bool clean_end_ = false;
  std::string error_;
  std::string buffer_;
};

}  // namespace pando::proxy
