// The certificates listeners name: read from their files, and again when those have changed. What
// cannot be used any more is reported, and the last good one stays.
//
// Control thread only; it reads small files.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/core/tls_settings.h"
#include "proxy/net/tls_context.h"
#include "proxy/net/tls_ticket_keys.h"

namespace pando::proxy {

class CertificateStore {
 public:
  // `keys` outlives it and all connections.
  explicit CertificateStore(TlsTicketKeys& keys) : keys_(keys) {}

  // Reads the files at the first call for these settings. Errors name the field and the file.
  absl::StatusOr<std::shared_ptr<const TlsContext>> Get(const TlsSettings& settings);
  // Forgets all others.
  void Keep(const std::set<TlsSettings>& wanted);

  struct Reloaded {
    int changed = 0;                  // contexts that are new
    std::vector<std::string> errors;  // told once for the same content
  };
  Reloaded Reload();

  struct Status {
    TlsCertificateInfo info;
    std::string error;  // why what its files hold now is not used; empty: it is
  };
  std::vector<Status> List() const;

 private:
  using Pems = std::vector<TlsCertificatePem>;
  struct Entry {
    std::shared_ptr<const TlsContext> context;
    std::string digest;  // of the content last looked at
    std::string error;
  };

  static absl::StatusOr<Pems> Read(const TlsSettings& settings);

  TlsTicketKeys& keys_;
  std::map<TlsSettings, Entry> entries_;
};

}  // namespace pando::proxy
