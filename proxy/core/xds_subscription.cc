#include "proxy/core/xds_subscription.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pando::proxy {
namespace {

bool IsNamed(XdsType type) { return type == XdsType::kEndpoints || type == XdsType::kRoute; }

std::vector<std::string> Missing(const std::set<std::string>& from,
                                 const std::set<std::string>& in) {
  std::vector<std::string> missing;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(), std::back_inserter(missing));
  return missing;
}

}  // namespace

std::vector<XdsRequest> XdsSubscription::Want(std::set<std::string> endpoints,
                                              std::set<std::string> routes) {
  std::vector<XdsRequest> requests;
  if (auto request = WantNames(XdsType::kEndpoints, std::move(endpoints))) {
    requests.push_back(*std::move(request));
  }
  if (auto request = WantNames(XdsType::kRoute, std::move(routes))) {
    requests.push_back(*std::move(request));
  }
  return requests;
}

std::optional<XdsRequest> XdsSubscription::WantNames(XdsType type, std::set<std::string> names) {
  NamedType& of_type = named(type);
  const std::set<std::string> before = std::exchange(of_type.wanted, std::move(names));
  std::erase_if(snapshot_.of(type),
                [&](const auto& resource) { return !of_type.wanted.contains(resource.first); });
  if (!connected_) return std::nullopt;
  if (!of_type.asked) return FirstRequest(type);
  XdsRequest request;
  request.type = type;
  request.subscribe = Missing(of_type.wanted, before);
  request.unsubscribe = Missing(before, of_type.wanted);
  if (request.subscribe.empty() && request.unsubscribe.empty()) return std::nullopt;
  return request;
}

bool XdsSubscription::Wanted(XdsType type, const std::string& name) const {
  if (type == XdsType::kEndpoints) return endpoints_.wanted.contains(name);
  if (type == XdsType::kRoute) return routes_.wanted.contains(name);
  return true;
}

std::vector<XdsRequest> XdsSubscription::OnConnected() {
  connected_ = true;
  ++stream_;
  endpoints_.asked = routes_.asked = false;
  std::vector<XdsRequest> requests;
  for (const XdsType type : kXdsTypes) {
    if (auto request = FirstRequest(type)) requests.push_back(*std::move(request));
  }
  return requests;
}

void XdsSubscription::OnDisconnected() { connected_ = false; }

// Of a type on a stream: says everything that is subscribed, and what of it is here already.
std::optional<XdsRequest> XdsSubscription::FirstRequest(XdsType type) {
  XdsRequest request;
  request.type = type;
  if (IsNamed(type)) {
    NamedType& of_type = named(type);
    if (of_type.wanted.empty()) return std::nullopt;
    of_type.asked = true;
    request.subscribe.assign(of_type.wanted.begin(), of_type.wanted.end());
  }
  for (const auto& [name, resource] : snapshot_.of(type)) {
    request.initial_versions[name] = resource.version;
  }
  return request;
}

XdsReceipt XdsSubscription::Accept(const XdsUpdate& update) {
  XdsResources& resources = snapshot_.of(update.type);
  for (const auto& [name, resource] : update.resources) {
    if (Wanted(update.type, name)) resources[name] = resource;
  }
  if (!IsNamed(update.type)) {
    for (const std::string& name : update.removed) resources.erase(name);
  }
  return {stream_, update.type, update.nonce};
}

std::optional<XdsRequest> XdsSubscription::Ack(const XdsReceipt& receipt) const {
  if (!connected_ || receipt.stream != stream_) return std::nullopt;
  XdsRequest request;
  request.type = receipt.type;
  request.response_nonce = receipt.nonce;
  return request;
}

XdsRequest XdsSubscription::Nack(const XdsUpdate& update, std::string reason) {
  XdsRequest request;
  request.type = update.type;
  request.response_nonce = update.nonce;
  request.error = std::move(reason);
  return request;
}

}  // namespace pando::proxy
