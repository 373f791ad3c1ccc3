#include "agent/prober.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kMaxStatusLine = 1'024;
constexpr size_t kMaxDrained = 256 * 1024;

std::string Describe(const error_code& error) { return absl::AsciiStrToLower(error.message()); }

class ProbeSession : public std::enable_shared_from_this<ProbeSession> {
 public:
  ProbeSession(asio::io_context& io, const ProbePolicy& policy, Prober::Done done)
      : socket_(io), timer_(io), policy_(policy), done_(std::move(done)) {}

  void Begin(std::vector<tcp::endpoint> endpoints) {
    endpoints_ = std::move(endpoints);
    timer_.expires_after(policy_.timeout);
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (error) return;
      self->Finish(absl::StrCat("no answer within ", self->policy_.timeout.count(), " ms"));
      self->Close();
    });
    Connect(0);
  }

 private:
  void Connect(size_t index) {
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(endpoints_[index],
                          [self = shared_from_this(), index](const error_code& error) {
                            if (!self->done_) return;
                            if (error && index + 1 < self->endpoints_.size()) {
                              return self->Connect(index + 1);
                            }
                            self->OnConnected(self->endpoints_[index], error);
                          });
  }

  void OnConnected(const tcp::endpoint& endpoint, const error_code& error) {
    if (error || policy_.kind == ProbePolicy::Kind::kTcp) {
      Finish(error ? Describe(error) : "");
      return Close();
    }
    const bool v6 = endpoint.address().is_v6();
    request_ = absl::StrCat("GET ", policy_.path.empty() ? "/" : policy_.path,
                            " HTTP/1.1\r\nHost: ", v6 ? "[" : "", endpoint.address().to_string(),
                            v6 ? "]" : "", ":", endpoint.port(),
                            "\r\nUser-Agent: pando-agent\r\nAccept: */*\r\n"
                            "Connection: close\r\n\r\n");
    asio::async_write(socket_, asio::buffer(request_),
                      [self = shared_from_this()](const error_code& write_error, size_t) {
                        if (!write_error) return self->Read();
                        self->Finish(Describe(write_error));
                        self->Close();
                      });
  }

  void Read() {
    socket_.async_read_some(asio::buffer(chunk_),
                            [self = shared_from_this()](const error_code& error, size_t size) {
                              self->OnRead(error, size);
                            });
  }

  // The verdict falls with the status line; the rest is read so that the app sees no reset.
  void OnRead(const error_code& error, size_t size) {
    received_ += size;
    if (done_) {
      answer_.append(chunk_.data(), size);
      const size_t line_end = answer_.find('\n');
      if (line_end != std::string::npos) {
        Finish(Judge(answer_.substr(0, line_end)));
      } else if (error) {
        Finish(error == asio::error::eof ? "it closed the connection without an answer"
                                         : Describe(error));
      } else if (answer_.size() > kMaxStatusLine) {
        Finish("the answer is not HTTP");
      }
    }
    if (error || received_ > kMaxDrained) return Close();
    Read();
  }

  static std::string Judge(absl::string_view status_line) {
    int status = 0;
    // "HTTP/1.1 200 OK"
    if (!absl::StartsWith(status_line, "HTTP/") || status_line.size() < 12 ||
        !absl::SimpleAtoi(status_line.substr(9, 3), &status)) {
      return "the answer is not HTTP";
    }
    return status >= 200 && status < 400 ? "" : absl::StrCat("HTTP status ", status);
  }

  void Finish(const std::string& failure) {
    if (const Prober::Done done = std::exchange(done_, nullptr)) done(failure);
  }

  void Close() {
    error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  ProbePolicy policy_;
  Prober::Done done_;
  std::vector<tcp::endpoint> endpoints_;
  std::string request_;
  std::string answer_;
  size_t received_ = 0;
  std::array<char, 2'048> chunk_{};
};

}  // namespace

void Prober::Probe(const ProbePolicy& policy, uint16_t port, Done done) {
  std::vector<tcp::endpoint> endpoints = {{asio::ip::address_v4::loopback(), port}};
  error_code error;
  const auto second = asio::ip::make_address(second_address_, error);
  if (!error && second != endpoints[0].address()) endpoints.emplace_back(second, port);
  std::make_shared<ProbeSession>(loop_.io(), policy, std::move(done))->Begin(std::move(endpoints));
}

}  // namespace pando::agent
