// What a proxy hands to the one that takes over from it, and the wire it goes over.
//
// The wire is a SOCK_SEQPACKET socket in the data directory, which only its owner may enter:
//   new: "pando-takeover 1"
//   old: messages of lines, each line with one descriptor: "lock", "snapshot", "ticket-keys",
//        "admin ADDRESS", "listener ADDRESS PORT"; the last message is "end ID"
//   new: "serving"   once its workers run the table and accept
//   old: "over"      once it accepts no more and uses neither the directory nor its own id
// The old one holds the wire until it ends. If the wire ends before "serving", nothing has
// happened.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/runtime/unique_fd.h"
#include "proxy/core/xds_subscription.h"
#include "proxy/net/data_plane.h"

namespace pando::proxy {

struct Estate {
  UniqueFd lock;  // of the data directory
  XdsSnapshot snapshot;
  std::string ticket_keys;  // of TLS sessions; secret. Empty: from a version that keeps them
  std::vector<ListeningSockets> listeners;
  std::string admin_address;  // --http-listen as it was given
  UniqueFd admin;             // its listening socket
  std::string predecessor;    // the proxy id the old process goes on with
};

inline constexpr char kTakeoverHello[] = "pando-takeover 1";
inline constexpr char kTakeoverServing[] = "serving";
inline constexpr char kTakeoverOver[] = "over";

// The socket's address. A directory may have a longer path than a socket's address can hold, so it
// is named by a descriptor of it, which must stay open while the address is used.
struct TakeoverAddress {
  UniqueFd directory;
  std::string path;
};
absl::StatusOr<TakeoverAddress> TakeoverAddressIn(const std::string& data_dir);
// A socket that listens there, in place of one an earlier process left; or one that is connected.
// kNotFound: nobody listens.
absl::StatusOr<UniqueFd> ListenForTakeover(const std::string& data_dir);
absl::StatusOr<UniqueFd> ConnectForTakeover(const std::string& data_dir);

// One message. Sending never waits: the buffers hold a whole estate's messages, and a peer that
// lets them fill up is not worth waiting for. Receiving waits as long as the socket does.
struct TakeoverMessage {
  std::string text;  // empty: the peer is gone
  std::vector<UniqueFd> fds;
};
absl::Status SendTakeover(int socket, const std::string& text, const std::vector<int>& fds = {});
absl::StatusOr<TakeoverMessage> ReceiveTakeover(int socket);

absl::Status SendEstate(int socket, const Estate& estate);
absl::StatusOr<Estate> ReceiveEstate(int socket);

}  // namespace pando::proxy
