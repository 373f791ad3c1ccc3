#include "proxy/net/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando::proxy {
namespace {

struct OpenSslDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <class T>
using Owned = std::unique_ptr<T, OpenSslDeleter>;

Owned<BIO> Reader(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// What OpenSSL has to say about the last failure; its other complaints are dropped.
std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

absl::Status Refuse(const std::string& field, const std::string& file, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", file, ": ", why));
}

// A key that needs a passphrase cannot be used: nobody is there to type it.
int NoPassphrase(char*, int, int, void*) { return -1; }

int ToOpenSsl(TlsVersion version) {
  return version == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

std::string Text(const ASN1_STRING* from) {
  const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(from));
  std::string text(bytes, static_cast<size_t>(ASN1_STRING_length(from)));
  absl::AsciiStrToLower(&text);
  return text;
}

// The names a certificate is for; its subject counts only when it lists none, as with browsers of
// old: today's accept it for no name at all, but it may still be the default.
std::vector<std::string> NamesOf(X509* certificate) {
  std::vector<std::string> names;
  const Owned<GENERAL_NAMES> listed(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(listed.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(listed.get(), i);
    if (name->type == GEN_DNS) names.push_back(Text(name->d.dNSName));
  }
  if (!names.empty()) return names;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) names.push_back(Text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  return names;
}

int64_t NotAfter(const X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return 0;
  return timegm(&parts);
}

absl::StatusOr<SslContextPtr> NewContext(const TlsSettings& settings, TlsTicketKeys& keys) {
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::InternalError(LastError());
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, ToOpenSsl(settings.min_version));
  SSL_CTX_set_max_proto_version(raw, ToOpenSsl(settings.max_version));
  // Idle connections hold no record buffers.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Tickets alone: a cache would be shared by the workers, and locked.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 1);
  constexpr unsigned char kSessionContext[] = "pando";
  SSL_CTX_set_session_id_context(raw, kSessionContext, sizeof(kSessionContext) - 1);
  keys.InstallIn(raw);
  if (!settings.ciphers.empty() && SSL_CTX_set_cipher_list(raw, settings.ciphers.c_str()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls_params.cipher_suites: \"", settings.ciphers, "\": ", LastError()));
  }
  return context;
}

absl::Status AddChain(SSL_CTX* context, const std::string& field, const TlsCertificateFiles& files,
                      const std::string& pem, TlsCertificateInfo& info) {
  const Owned<BIO> reader = Reader(pem);
  const Owned<X509> leaf(PEM_read_bio_X509_AUX(reader.get(), nullptr, NoPassphrase, nullptr));
  if (leaf == nullptr) {
    ERR_clear_error();
    return Refuse(field, files.chain, "holds no certificate in PEM");
  }
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return Refuse(field, files.chain, LastError());
  }
  while (X509* next = PEM_read_bio_X509(reader.get(), nullptr, NoPassphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) == 1) continue;
    X509_free(next);
    return Refuse(field, files.chain, LastError());
  }
  const unsigned long error = ERR_peek_last_error();
  const bool at_end = error == 0 || ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!at_end) return Refuse(field, files.chain, absl::StrCat("its chain: ", LastError()));
  ERR_clear_error();
  info.file = files.chain;
  info.names = NamesOf(leaf.get());
  info.not_after_seconds = NotAfter(leaf.get());
  return absl::OkStatus();
}

absl::Status AddKey(SSL_CTX* context, const std::string& field, const TlsCertificateFiles& files,
                    const std::string& pem) {
  const Owned<BIO> reader = Reader(pem);
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(reader.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    ERR_clear_error();
    return Refuse(field, files.key, "holds no private key in PEM without a passphrase");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1) {
    return absl::OkStatus();
  }
  ERR_clear_error();
  return Refuse(field, files.key, absl::StrCat("is not the key of ", files.chain));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Create(
    const TlsSettings& settings, const std::vector<TlsCertificatePem>& pems, TlsTicketKeys& keys) {
  ERR_clear_error();
  const std::shared_ptr<TlsContext> result(new TlsContext());
  for (const std::string& protocol : settings.alpn) {
    result->alpn_ += static_cast<char>(protocol.size());
    result->alpn_ += protocol;
  }
  for (size_t i = 0; i < settings.certificates.size(); ++i) {
    const TlsCertificateFiles& files = settings.certificates[i];
    const std::string field = absl::StrCat("tls_certificates[", i, "]");
    PANDO_ASSIGN_OR_RETURN(SslContextPtr context, NewContext(settings, keys));
    TlsCertificateInfo info;
    PANDO_RETURN_IF_ERROR(AddChain(context.get(), absl::StrCat(field, ".certificate_chain"), files,
                                   pems.at(i).chain, info));
    PANDO_RETURN_IF_ERROR(
        AddKey(context.get(), absl::StrCat(field, ".private_key"), files, pems.at(i).key));
    SSL_CTX_set_tlsext_servername_callback(context.get(), &TlsContext::SelectCertificate);
    SSL_CTX_set_tlsext_servername_arg(context.get(), result.get());
    if (!result->alpn_.empty()) {
      SSL_CTX_set_alpn_select_cb(context.get(), &TlsContext::SelectProtocol, result.get());
    }
    for (const std::string& name : info.names) result->by_name_.try_emplace(name, context.get());
    result->infos_.push_back(std::move(info));
    result->contexts_.push_back(std::move(context));
  }
  if (result->contexts_.empty()) return absl::InvalidArgumentError("tls_certificates: not set");
  return result;
}

SslPtr TlsContext::NewConnection() const {
  SslPtr ssl(SSL_new(contexts_.front().get()));
  if (ssl != nullptr) SSL_set_accept_state(ssl.get());
  return ssl;
}

SSL_CTX* TlsContext::Find(std::string_view name) const {
  if (const auto exact = by_name_.find(name); exact != by_name_.end()) return exact->second;
  // A wildcard stands for one label (RFC 6125 6.4.3).
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const auto wildcard = by_name_.find("*" + std::string(name.substr(dot)));
  return wildcard == by_name_.end() ? nullptr : wildcard->second;
}

int TlsContext::SelectCertificate(SSL* ssl, int*, void* self) {
  const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (asked == nullptr) return SSL_TLSEXT_ERR_NOACK;
  std::string name(asked);
  absl::AsciiStrToLower(&name);
  SSL_CTX* found = static_cast<const TlsContext*>(self)->Find(name);
  if (found != nullptr) SSL_set_SSL_CTX(ssl, found);
  return SSL_TLSEXT_ERR_OK;
}

int TlsContext::SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_length,
                               const unsigned char* in, unsigned in_length, void* self) {
  const std::string& ours = static_cast<const TlsContext*>(self)->alpn_;
  const int result = SSL_select_next_proto(const_cast<unsigned char**>(out), out_length,
                                           reinterpret_cast<const unsigned char*>(ours.data()),
                                           static_cast<unsigned>(ours.size()), in, in_length);
  // RFC 7301 3.2: a client that speaks nothing we do is told so.
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace pando::proxy
