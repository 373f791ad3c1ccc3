#include "agent/prober.h"

#include <boost/asio/ip/address.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

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

void Prober::SetSecondAddress(const std::string& address) {
  error_code error;
  const auto second = asio::ip::make_address(address, error);
  second_address_.reset();
  if (!error && second != asio::ip::address_v4::loopback()) second_address_ = second;
}

std::vector<tcp::endpoint> Prober::AddressesOf(uint16_t port) const {
  std::vector<tcp::endpoint> addresses = {{asio::ip::address_v4::loopback(), port}};
  if (second_address_) addresses.emplace_back(*second_address_, port);
  return addresses;
}

void Prober::ProbeByConnection(const ProbePolicy& policy, uint16_t port, ProbeDone done) {
  connections_.Probe(policy, AddressesOf(port), std::move(done));
}

void Prober::ProbeByGrpc(const ProbePolicy& policy, uint16_t port, ProbeDone done) {
  std::vector<std::string> targets = {absl::StrCat("127.0.0.1:", port)};
  // gRPC takes addresses of one family.
  if (second_address_ && second_address_->is_v4()) {
    targets.push_back(absl::StrCat(second_address_->to_string(), ":", port));
  }
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
