#include "agent/prober.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <map>
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

// Of this host and this process, whatever the instance does.
bool IsOwnFault(const error_code& error) {
  for (const int own : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL}) {
    if (error == error_code(own, boost::system::system_category())) return true;
  }
  return false;
}

class ProbeSession : public std::enable_shared_from_this<ProbeSession> {
 public:
  ProbeSession(asio::io_context& io, const ProbePolicy& policy, ProbeDone done)
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
      if (IsOwnFault(error)) {
        Answer(ProbeAnswer::NotAsked(Describe(error)));
      } else {
        Finish(error ? Describe(error) : "");
      }
      return Close();
    }
    request_ = Request(endpoint);
    asio::async_write(socket_, asio::buffer(request_),
                      [self = shared_from_this()](const error_code& write_error, size_t) {
                        if (!write_error) return self->Read();
                        self->Finish(Describe(write_error));
                        self->Close();
                      });
  }

  std::string Request(const tcp::endpoint& endpoint) const {
    std::string host = policy_.host;
    if (host.empty()) {
      const bool v6 = endpoint.address().is_v6();
      host = absl::StrCat(v6 ? "[" : "", endpoint.address().to_string(), v6 ? "]" : "", ":",
                          endpoint.port());
    }
    std::map<std::string, std::string> fields = {{"User-Agent", "pando-agent"}, {"Accept", "*/*"}};
    for (const auto& [name, value] : policy_.headers) {
      // The spec's word counts, however it writes the name.
      std::erase_if(fields, [&name = name](const auto& field) {
        return absl::EqualsIgnoreCase(field.first, name);
      });
      fields[name] = value;
    }
    std::string request = absl::StrCat("GET ", policy_.path.empty() ? "/" : policy_.path,
                                       " HTTP/1.1\r\nHost: ", host, "\r\n");
    for (const auto& [name, value] : fields) absl::StrAppend(&request, name, ": ", value, "\r\n");
    return absl::StrCat(request, "Connection: close\r\n\r\n");
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

  std::string Judge(absl::string_view status_line) const {
    int status = 0;
    // "HTTP/1.1 200 OK"
    if (!absl::StartsWith(status_line, "HTTP/") || status_line.size() < 12 ||
        !absl::SimpleAtoi(status_line.substr(9, 3), &status)) {
      return "the answer is not HTTP";
    }
    bool passes = policy_.codes.empty() && status >= 200 && status <= 399;
    for (const auto& [first, last] : policy_.codes) passes |= status >= first && status <= last;
    if (passes) return "";
    return absl::StrCat("HTTP status ", status);
  }

  void Finish(std::string failure) { Answer({std::move(failure)}); }

  void Answer(const ProbeAnswer& answer) {
    if (const ProbeDone done = std::exchange(done_, nullptr)) done(answer);
  }

  void Close() {
    error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  ProbePolicy policy_;
  ProbeDone done_;
  std::vector<tcp::endpoint> endpoints_;
  std::string request_;
  std::string answer_;
  size_t received_ = 0;
  std::array<char, 2'048> chunk_{};
};

}  // namespace

Prober::~Prober() {
  for (const auto& [id, probe] : commands_) probe->Abandon();
}

void Prober::Probe(const ProbePolicy& policy, uint16_t port, ProbeDone done) {
  if (policy.kind == ProbePolicy::Kind::kGrpc) {
    ProbeByGrpc(policy, port, std::move(done));
  } else {
    ProbeByConnection(policy, port, std::move(done));
  }
}

std::vector<tcp::endpoint> Prober::AddressesOf(uint16_t port) const {
  std::vector<tcp::endpoint> addresses = {{asio::ip::address_v4::loopback(), port}};
  error_code error;
  const auto second = asio::ip::make_address(second_address_, error);
  if (!error && second != addresses[0].address()) addresses.emplace_back(second, port);
  return addresses;
}

void Prober::ProbeByConnection(const ProbePolicy& policy, uint16_t port, ProbeDone done) {
  std::make_shared<ProbeSession>(loop_.io(), policy, std::move(done))->Begin(AddressesOf(port));
}

void Prober::ProbeByGrpc(const ProbePolicy& policy, uint16_t port, ProbeDone done) {
  std::vector<std::string> targets = {absl::StrCat("127.0.0.1:", port)};
  error_code error;
  const auto second = asio::ip::make_address(second_address_, error);
  // gRPC takes addresses of one family.
  if (!error && second.is_v4()) targets.push_back(absl::StrCat(second.to_string(), ":", port));
  grpc_.Probe(targets, policy.service, policy.timeout, std::move(done));
}

void Prober::ProbeByCommand(const AssignmentId& id, const ProbePolicy& policy,
                            const absl::StatusOr<ProbeCommand>& command, ProbeDone done) {
  const auto answer = [&](ProbeAnswer what) {
    loop_.Post([done, what = std::move(what)] { done(what); });
  };
  if (commands_.contains(id)) return answer({"the command of the probe before still runs"});
  if (!command.ok()) return answer(ProbeAnswer::NotAsked(std::string(command.status().message())));
  const auto probe = std::make_shared<ExecProbe>(loop_.io(), policy.timeout, done,
                                                 [this, id] { commands_.erase(id); });
  if (const absl::Status status = probe->Begin(*command); !status.ok()) {
    return answer(ProbeAnswer::NotAsked(std::string(status.message())));
  }
  commands_[id] = probe;
}

}  // namespace pando::agent
