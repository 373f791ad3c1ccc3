#include "proxy/net/tls_test_support.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pando::proxy {
namespace {

std::string Drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

}  // namespace

TestCertificate MakeCertificate(const std::vector<std::string>& names) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3'600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 30L * 24 * 3'600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(names.at(0).c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, subject);
  const std::string listed = absl::StrJoin(
      names, ",",
      [](std::string* out, const std::string& name) { absl::StrAppend(out, "DNS:", name); });
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, listed.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate, key, EVP_sha256());
  TestCertificate result;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  result.chain = Drain(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  result.key = Drain(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return result;
}

CertificateDir::CertificateDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "pando-tls-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

CertificateDir::~CertificateDir() { std::filesystem::remove_all(path_); }

TlsCertificateFiles CertificateDir::Write(const std::string& name,
                                          const TestCertificate& certificate) {
  return {Write(name + ".crt", certificate.chain), Write(name + ".key", certificate.key)};
}

std::string CertificateDir::Write(const std::string& file, const std::string& content) {
  const std::filesystem::path path = path_ / file;
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  return path.string();
}

TlsWire::TlsWire(uint16_t port, const Options& options)
    : context_(SSL_CTX_new(TLS_client_method())), wire_(Wire::Connect(port)) {
  SSL_CTX_set_min_proto_version(context_.get(), options.min_version);
  SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
  // Old versions need old algorithms, which are off by default.
  if (options.max_version < TLS1_2_VERSION) {
    SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
  }
  ssl_.reset(SSL_new(context_.get()));
  if (!options.server_name.empty()) {
    SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
  }
  std::string alpn;
  for (const std::string& protocol : options.alpn) {
    alpn += static_cast<char>(protocol.size());
    alpn += protocol;
  }
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
  }
  if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
  SSL_set_fd(ssl_.get(), wire_->fd());
  ERR_clear_error();
  established_ = SSL_connect(ssl_.get()) == 1;
  if (established_) return;
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  error_ = reason == nullptr ? "closed" : reason;
}

// OpenSSL resumes no session whose connection ended without being told.
TlsWire::~TlsWire() { SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }

std::unique_ptr<TlsWire> TlsWire::Connect(uint16_t port, const std::string& server_name) {
  Options options;
  options.server_name = server_name;
  return std::make_unique<TlsWire>(port, options);
}

std::string TlsWire::subject() const {
  char text[256] = {};
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return "none";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof(text));
  return text;
}

std::string TlsWire::alpn() const {
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
  return {reinterpret_cast<const char*>(protocol), size};
}

bool TlsWire::Send(std::string_view bytes) {
  size_t sent = 0;
  return bytes.empty() || SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) == 1;
}

bool TlsWire::Fill() {
  char chunk[16'384];
  size_t count = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_.get(), chunk, sizeof(chunk), &count);
  if (result != 1) {
    clean_end_ = SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN;
    return false;
  }
  buffer_.append(chunk, count);
  return true;
}

std::optional<std::string> TlsWire::ReadUntil(std::string_view mark) {
  size_t at = 0;
  while ((at = buffer_.find(mark)) == std::string::npos) {
    if (!Fill()) return std::nullopt;
  }
  return ReadExactly(at + mark.size());
}

std::optional<std::string> TlsWire::ReadExactly(size_t count) {
  while (buffer_.size() < count) {
    if (!Fill()) return std::nullopt;
  }
  std::string result = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return result;
}

size_t TlsWire::Discard(size_t limit) {
  size_t count = 0;
  while (true) {
    const size_t take = std::min(buffer_.size(), limit - count);
    buffer_.erase(0, take);
    count += take;
    if (count == limit || !Fill()) return count;
  }
}

std::optional<Wire::Message> TlsWire::Ask(std::string_view request) {
  if (!Send(request)) return std::nullopt;
  Wire::Message message;
  std::optional<std::string> head = ReadUntil("\r\n\r\n");
  if (!head.has_value()) return std::nullopt;
  message.head = *std::move(head);
  const size_t at = message.head.find("Content-Length: ");
  if (at == std::string::npos) return message;
  std::optional<std::string> body =
      ReadExactly(static_cast<size_t>(std::atoll(message.head.c_str() + at + 16)));
  if (!body.has_value()) return std::nullopt;
  message.body = *std::move(body);
  return message;
}

TlsWire::End TlsWire::ReadToEnd(std::string& rest) {
  while (Fill()) {
  }
  rest = std::exchange(buffer_, {});
  return clean_end_ ? End::kClean : End::kTruncated;
}

void TlsWire::Shutdown() { SSL_shutdown(ssl_.get()); }

}  // namespace pando::proxy
