// What a listener is told about TLS. Files are on the proxy's host; their content is never part of
// a table, so private keys are neither shown nor kept with it.
#pragma once

#include <compare>
#include <string>
#include <vector>

namespace pando::proxy {

enum class TlsVersion { k12, k13 };

struct TlsCertificateFiles {
  std::string chain;  // PEM: the certificate, then those that lead to a root
  std::string key;    // PEM
  auto operator<=>(const TlsCertificateFiles&) const = default;
};

struct TlsSettings {
  // Chosen by the name the client asks for: exact names, then wildcards, then the first one.
  std::vector<TlsCertificateFiles> certificates;
  TlsVersion min_version = TlsVersion::k12;
  TlsVersion max_version = TlsVersion::k13;
  std::string ciphers;            // of TLS 1.2, OpenSSL's names joined by ":"; empty: its default
  std::vector<std::string> alpn;  // by preference; empty: the extension is ignored
  auto operator<=>(const TlsSettings&) const = default;
};

}  // namespace pando::proxy
