// What a listener is told about TLS. Files are on the proxy's host; their content is never part of
// a table, so private keys are neither shown nor kept with it.
#pragma once

#include <string>
#include <tuple>
#include <vector>

namespace pando::proxy {

enum class TlsVersion { k12, k13 };

struct TlsCertificateFiles {
  std::string chain;  // PEM: the certificate, then those that lead to a root
  std::string key;    // PEM
  bool operator==(const TlsCertificateFiles&) const = default;
  bool operator<(const TlsCertificateFiles& other) const {
    return std::tie(chain, key) < std::tie(other.chain, other.key);
  }
};

struct TlsSettings {
  // Chosen by the name the client asks for: exact names, then wildcards, then the first one.
  std::vector<TlsCertificateFiles> certificates;
  TlsVersion min_version = TlsVersion::k12;
  TlsVersion max_version = TlsVersion::k13;
  std::string ciphers{};            // of TLS 1.2, OpenSSL's names joined by ":"; empty: its default
  std::vector<std::string> alpn{};  // by preference; empty: the extension is ignored
  bool operator==(const TlsSettings&) const = default;
  bool operator<(const TlsSettings& other) const {
    return std::tie(certificates, min_version, max_version, ciphers, alpn) <
           std::tie(other.certificates, other.min_version, other.max_version, other.ciphers,
                    other.alpn);
  }
};

}  // namespace pando::proxy
