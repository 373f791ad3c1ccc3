// The keys session tickets are sealed with: shared by all listeners and workers, so that a client
// may resume wherever it comes back, and kept over reloads of certificates and, handed from one
// process to the next, over upgrades.
//
// Thread-safe. Used once per handshake, hence a lock.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace pando::proxy {

class TlsTicketKeys {
 public:
  TlsTicketKeys();
  TlsTicketKeys(const TlsTicketKeys&) = delete;
  TlsTicketKeys& operator=(const TlsTicketKeys&) = delete;

  // New tickets get a new key; those of the last two keys are still taken, and renewed. Whoever
  // steals the keys can read only what was said since: call it at least once a day.
  void Rotate();

  // All of them, for the process that takes over; secret.
  std::string Share() const;
  // Goes on with another's in place of its own. kInvalidArgument: these are none, nothing changes.
  absl::Status Inherit(std::string_view keys);

  // Makes `context` use these keys, which must outlive it.
  void InstallIn(SSL_CTX* context);

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;
    std::array<unsigned char, 32> mac;
  };

  static int Callback(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int sealing);
  int Seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);
  int Open(const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
           EVP_MAC_CTX* mac);

  mutable std::mutex mutex_;
  std::deque<Key> keys_;  // by mutex_; newest first
};

}  // namespace pando::proxy
