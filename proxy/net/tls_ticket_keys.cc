#include "proxy/net/tls_ticket_keys.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::proxy {
namespace {

constexpr size_t kKeptKeys = 3;
constexpr int kIvBytes = 16;  // of AES-256-CBC

// Where a context keeps the pointer to its keys.
int DataIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

template <size_t N>
void FillRandom(std::array<unsigned char, N>& bytes) {
  // Without randomness there is no TLS at all.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
}

bool SetMacKey(EVP_MAC_CTX* mac, const std::array<unsigned char, 32>& key) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.data()),
                                        key.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params) == 1;
}

}  // namespace

TlsTicketKeys::TlsTicketKeys() { Rotate(); }

void TlsTicketKeys::Rotate() {
  Key key{};
  FillRandom(key.name);
  FillRandom(key.cipher);
  FillRandom(key.mac);
  const std::lock_guard lock(mutex_);
  keys_.push_front(key);
  if (keys_.size() > kKeptKeys) keys_.pop_back();
}

std::string TlsTicketKeys::Share() const {
  std::string bytes;
  const std::lock_guard lock(mutex_);
  for (const Key& key : keys_) {
    bytes.append(key.name.begin(), key.name.end());
    bytes.append(key.cipher.begin(), key.cipher.end());
    bytes.append(key.mac.begin(), key.mac.end());
  }
  return bytes;
}

absl::Status TlsTicketKeys::Inherit(std::string_view keys) {
  constexpr size_t kKeyBytes = sizeof(Key);  // nothing but arrays of bytes
  if (keys.empty() || keys.size() % kKeyBytes != 0 || keys.size() > kKeptKeys * kKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(keys.size(), " bytes are not 1 to ", kKeptKeys, " keys of session tickets"));
  }
  const auto take = [&keys](auto& part) {
    std::copy_n(keys.begin(), part.size(), part.begin());
    keys.remove_prefix(part.size());
  };
  std::deque<Key> taken;
  while (!keys.empty()) {
    Key& key = taken.emplace_back();
    take(key.name);
    take(key.cipher);
    take(key.mac);
  }
  const std::lock_guard lock(mutex_);
  keys_ = std::move(taken);
  return absl::OkStatus();
}

void TlsTicketKeys::InstallIn(SSL_CTX* context) {
  SSL_CTX_set_ex_data(context, DataIndex(), this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &TlsTicketKeys::Callback);
}

int TlsTicketKeys::Callback(SSL* ssl, unsigned char* name, unsigned char* iv,
                            EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing) {
  auto* self = static_cast<TlsTicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), DataIndex()));
  if (self == nullptr) return -1;
  return sealing == 1 ? self->Seal(name, iv, cipher, mac) : self->Open(name, iv, cipher, mac);
}

int TlsTicketKeys::Seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac) {
  const std::lock_guard lock(mutex_);
  const Key& key = keys_.front();
  std::copy(key.name.begin(), key.name.end(), name);
  if (RAND_bytes(iv, kIvBytes) != 1) return -1;
  if (EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher.data(), iv, nullptr) != 1 ||
      !SetMacKey(mac, key.mac)) {
    return -1;
  }
  return 1;
}

int TlsTicketKeys::Open(const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac) {
  constexpr int kUnknown = 0;
  constexpr int kGood = 1;
  constexpr int kGoodButRenew = 2;
  const std::lock_guard lock(mutex_);
  const auto key = std::ranges::find_if(keys_, [name](const Key& candidate) {
    return std::equal(candidate.name.begin(), candidate.name.end(), name);
  });
  if (key == keys_.end()) return kUnknown;
  if (!SetMacKey(mac, key->mac) ||
      EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher.data(), iv, nullptr) != 1) {
    return -1;
  }
  return key == keys_.begin() ? kGood : kGoodButRenew;
}

}  // namespace pando::proxy
