#include "agent/local_address.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

absl::StatusOr<std::string> AddressTowards(EventLoop& loop, const asio::ip::udp::endpoint& peer) {
  asio::ip::udp::socket socket(loop.io());
  error_code error;
  socket.open(peer.protocol(), error);
  if (!error) socket.connect(peer, error);  // sends nothing: the kernel only chooses a route
  if (error) return absl::UnavailableError(error.message());
  const auto local = socket.local_endpoint(error);
  if (error) return absl::UnavailableError(error.message());
  return local.address().to_string();
}

}  // namespace

void FindLocalAddress(EventLoop& loop, const HostPort& peer,
                      std::function<void(absl::StatusOr<std::string>)> done) {
  const auto resolver = std::make_shared<asio::ip::udp::resolver>(loop.io());
  resolver->async_resolve(peer.host, absl::StrCat(peer.port),
                          [&loop, resolver, host = peer.host, done = std::move(done)](
                              const error_code& error, const auto& results) {
                            absl::StatusOr<std::string> address =
                                absl::UnavailableError(error.message());
                            for (const auto& result : results) {
                              address = AddressTowards(loop, result.endpoint());
                              if (address.ok()) break;
                            }
                            if (!address.ok()) {
                              address = absl::UnavailableError(absl::StrCat(
                                  "no address towards ", host, ": ", address.status().message()));
                            }
                            done(std::move(address));
                          });
}

}  // namespace pando::agent
