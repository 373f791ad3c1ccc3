// A listener's certificates and TLS parameters, checked and ready for handshakes. Immutable, shared
// by all workers; connections keep what they need of it alive.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/core/tls_settings.h"
#include "proxy/net/tls_ticket_keys.h"

namespace pando::proxy {

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslDeleter>;

// The PEM text of a TlsCertificateFiles.
struct TlsCertificatePem {
  std::string chain;
  std::string key;
};

struct TlsCertificateInfo {
  std::string file;                // of the chain
  std::vector<std::string> names;  // lower case; "*.example.com"
  int64_t not_after_seconds = 0;   // since the Unix epoch
};

class TlsContext {
 public:
  // `pems` are the files' contents in the order of settings.certificates; `keys` outlives all
  // connections. kInvalidArgument names the field and the file:
  //   "tls_certificates[0].private_key: /etc/pando/a.key: is not the key of /etc/pando/a.crt"
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Create(
      const TlsSettings& settings, const std::vector<TlsCertificatePem>& pems, TlsTicketKeys& keys);

  // The server's side of a new connection; null when out of memory.
  SslPtr NewConnection() const;
  const std::vector<TlsCertificateInfo>& certificates() const { return infos_; }

 private:
  TlsContext() = default;
  static int SelectCertificate(SSL* ssl, int* alert, void* self);
  static int SelectProtocol(SSL* ssl, const unsigned char** out, unsigned char* out_length,
                            const unsigned char* in, unsigned in_length, void* self);
  SSL_CTX* Find(std::string_view name) const;

  std::string alpn_;  // as on the wire: each name after its length
  std::vector<SslContextPtr> contexts_;
  std::vector<TlsCertificateInfo> infos_;
  std::map<std::string, SSL_CTX*, std::less<>> by_name_;
};

}  // namespace pando::proxy
