#include "controller/core/delta_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

constexpr char kWildcard[] = "*";

size_t Index(ResourceType type) { return static_cast<size_t>(type); }

const char* TypeName(ResourceType type) {
  switch (type) {
    case ResourceType::kCluster:
      return "cluster";
    case ResourceType::kEndpoints:
      return "endpoints";
    case ResourceType::kListener:
      return "listener";
    case ResourceType::kRoute:
      return "route";
  }
  return "unknown";
}

// What a resource adds to a response besides its bytes: field tags, lengths, version.
size_t WireSize(const std::string& name, const ResourceBody& body) {
  return name.size() + body.version.size() + body.any_bytes.size() + 24;
}

}  // namespace

// ---- ResourceSet ----

bool ResourceSet::Put(ResourceType type, const std::string& name, ResourceBody body) {
  std::shared_ptr<const ResourceBody>& slot = resources_[Index(type)][name];
  if (slot != nullptr && *slot == body) return false;
  const bool changed = slot == nullptr || slot->version != body.version;
  slot = std::make_shared<const ResourceBody>(std::move(body));
  ++revision_;
  return changed;
}

bool ResourceSet::Remove(ResourceType type, const std::string& name) {
  if (resources_[Index(type)].erase(name) == 0) return false;
  ++revision_;
  return true;
}

std::shared_ptr<const ResourceBody> ResourceSet::Find(ResourceType type,
                                                      const std::string& name) const {
  const auto& of_type = resources_[Index(type)];
  const auto found = of_type.find(name);
  return found == of_type.end() ? nullptr : found->second;
}

const std::map<std::string, std::shared_ptr<const ResourceBody>>& ResourceSet::all(
    ResourceType type) const {
  return resources_[Index(type)];
}

// ---- requests ----

DeltaStream::DeltaStream(const ResourceSet& resources, size_t max_response_bytes)
    : resources_(resources), max_response_bytes_(max_response_bytes) {}

void DeltaStream::TypeState::Forget(const std::string& name) {
  has.erase(name);
  brought.erase(name);
  refused.erase(name);
  resend.erase(name);
  reported.erase(name);
}

DeltaProgress DeltaStream::OnRequest(const DeltaRequest& request) {
  responses_looked_at_ = caught_up_looked_at_ = 0;
  DeltaProgress progress;
  TypeState& of_type = state(request.type);
  // A stale nonce acknowledges nothing, yet the subscriptions beside it count.
  if (of_type.InFlight() && request.response_nonce == of_type.in_flight_nonce) {
    OnAnswer(request, of_type, progress);
  }
  Subscribe(request, of_type);
  Unsubscribe(request, of_type);
  if (progress.nack) {
    nack_stands_ = true;
  } else if (nack_stands_ && !AnyRefused() && !of_type.InFlight()) {  // what flies may be refused
    nack_stands_ = false;
    progress.nack_over = true;
  }
  return progress;
}

void DeltaStream::OnAnswer(const DeltaRequest& request, TypeState& of_type,
                           DeltaProgress& progress) {
  of_type.in_flight_nonce.clear();
  if (request.error) progress.nack = absl::StrCat(TypeName(request.type), ": ", *request.error);
  for (const auto& [name, sent] : std::exchange(of_type.in_flight, {})) {
    if (!of_type.Subscribed(name)) continue;
    if (request.error) {
      of_type.refused[name] = sent.version;
      continue;
    }
    of_type.has[name] = sent.version;
    of_type.brought.erase(name);
    of_type.refused.erase(name);
    if (request.type == ResourceType::kEndpoints) {
      of_type.reported[name] = sent.generation;
      progress.acked_endpoints.emplace_back(name, sent.generation);
    }
  }
  // A refused removal is not repeated either: the resource no longer exists.
  for (const std::string& name : std::exchange(of_type.in_flight_removed, {})) {
    of_type.has.erase(name);
    of_type.brought.erase(name);
    of_type.reported.erase(name);
  }
}

void DeltaStream::Subscribe(const DeltaRequest& request, TypeState& of_type) {
  const bool first = !std::exchange(of_type.seen, true);
  const bool has_legacy_wildcard =
      request.type == ResourceType::kCluster || request.type == ResourceType::kListener;
  if (first && request.subscribe.empty() && has_legacy_wildcard) of_type.wildcard = true;
  for (const std::string& name : request.subscribe) {
    if (name == kWildcard) {
      of_type.wildcard = true;
      continue;
    }
    of_type.names.insert(name);
    if (first && request.initial_versions.contains(name)) continue;
    // Subscribed again means: lost it, send it again - even content that was refused before.
    of_type.refused.erase(name);
    of_type.resend.insert(name);
  }
  if (!first) return;
  for (const auto& [name, version] : request.initial_versions) {
    if (!of_type.Subscribed(name)) continue;
    of_type.has[name] = version;
    of_type.brought.insert(name);
  }
}

void DeltaStream::Unsubscribe(const DeltaRequest& request, TypeState& of_type) {
  for (const std::string& name : request.unsubscribe) {
    if (name == kWildcard) {
      of_type.wildcard = false;
      std::vector<std::string> dropped;
      for (const auto* versions : {&of_type.has, &of_type.refused}) {
        for (const auto& [known, version] : *versions) {
          if (!of_type.names.contains(known)) dropped.push_back(known);
        }
      }
      for (const std::string& known : of_type.resend) {
        if (!of_type.names.contains(known)) dropped.push_back(known);
      }
      for (const std::string& known : dropped) of_type.Forget(known);
      continue;
    }
    of_type.names.erase(name);
    if (of_type.wildcard) {
      // The client dropped it, but the wildcard still covers it: tell how it stands.
      of_type.resend.insert(name);
    } else {
      of_type.Forget(name);
    }
  }
}

// ---- responses ----

std::vector<DeltaResponse> DeltaStream::TakeResponses() {
  std::vector<DeltaResponse> responses;
  if (std::exchange(responses_looked_at_, resources_.revision()) == resources_.revision()) {
    return responses;
  }
  for (ResourceType type : kResourceTypes) {
    if (std::optional<DeltaResponse> response = NextResponse(type)) {
      responses.push_back(*std::move(response));
    }
  }
  return responses;
}

std::optional<DeltaResponse> DeltaStream::NextResponse(ResourceType type) {
  TypeState& of_type = state(type);
  if (!of_type.seen || of_type.InFlight()) return std::nullopt;
  DeltaResponse response;
  response.type = type;
  if (MayUpdate(type)) AddUpdates(type, response);
  AddUnknown(type, response);
  // Removals travel alone: refusing an update must not leave a removal undecided.
  if (response.resources.empty()) AddRemovals(type, response);
  if (response.resources.empty() && response.removed.empty()) return std::nullopt;
  response.nonce = absl::StrCat(next_nonce_++);
  of_type.in_flight_nonce = response.nonce;
  return response;
}

void DeltaStream::AddUpdates(ResourceType type, DeltaResponse& response) {
  TypeState& of_type = state(type);
  size_t bytes = 0;
  for (DeltaResponse::Item& item : Updates(type)) {
    bytes += WireSize(item.name, *item.body);
    if (!response.resources.empty() && bytes > max_response_bytes_) break;
    of_type.resend.erase(item.name);
    of_type.in_flight[item.name] = {item.body->version, item.body->generation};
    if (type == ResourceType::kCluster) warming_.insert(item.name);
    if (type == ResourceType::kEndpoints) warming_.erase(item.name);
    response.resources.push_back(std::move(item));
  }
}

void DeltaStream::AddUnknown(ResourceType type, DeltaResponse& response) {
  TypeState& of_type = state(type);
  for (auto it = of_type.resend.begin(); it != of_type.resend.end();) {
    // What the client still has is a removal with its own order; see AddRemovals.
    if (!Gone(type, *it) || of_type.has.contains(*it)) {
      ++it;
      continue;
    }
    response.removed.push_back(*it);
    it = of_type.resend.erase(it);
  }
}

void DeltaStream::AddRemovals(ResourceType type, DeltaResponse& response) {
  TypeState& of_type = state(type);
  const std::set<std::string> gone = GoneNames(type);
  if (gone.empty() || !MayRemove(type)) return;
  for (const std::string& name : gone) {
    if (of_type.brought.contains(name) && type != ResourceType::kListener && !RoutesTold()) {
      continue;
    }
    // The cluster first; its endpoints mean nothing after that.
    if (type == ResourceType::kEndpoints && state(ResourceType::kCluster).has.contains(name)) {
      continue;
    }
    of_type.resend.erase(name);
    of_type.refused.erase(name);
    of_type.in_flight_removed.push_back(name);
    response.removed.push_back(name);
    if (type == ResourceType::kCluster) warming_.erase(name);
  }
}

std::vector<std::pair<std::string, uint64_t>> DeltaStream::TakeCaughtUp() {
  std::vector<std::pair<std::string, uint64_t>> caught_up;
  if (std::exchange(caught_up_looked_at_, resources_.revision()) == resources_.revision()) {
    return caught_up;
  }
  TypeState& endpoints = state(ResourceType::kEndpoints);
  for (const auto& [name, version] : endpoints.has) {
    // What is in flight may be running already, or not yet: its answer will tell.
    if (endpoints.in_flight.contains(name)) continue;
    const std::shared_ptr<const ResourceBody> body =
        resources_.Find(ResourceType::kEndpoints, name);
    if (body == nullptr || body->version != version) continue;
    const auto [reported, is_new] = endpoints.reported.try_emplace(name, body->generation);
    if (!is_new && std::exchange(reported->second, body->generation) == body->generation) continue;
    caught_up.emplace_back(name, body->generation);
  }
  return caught_up;
}

// ---- what is due, and when it may go ----

bool DeltaStream::NeedsUpdate(ResourceType type, const std::string& name,
                              const ResourceBody& body) const {
  const TypeState& of_type = state(type);
  if (of_type.resend.contains(name)) return true;
  // After a refusal anything else is news, even what the client had before: it may still be
  // trying to get the refused one to work.
  const auto refused = of_type.refused.find(name);
  if (refused != of_type.refused.end()) return refused->second != body.version;
  if (type == ResourceType::kEndpoints && warming_.contains(name)) return true;
  const auto has = of_type.has.find(name);
  return has == of_type.has.end() || has->second != body.version;
}

std::vector<DeltaResponse::Item> DeltaStream::Updates(ResourceType type) const {
  std::vector<DeltaResponse::Item> updates;
  const TypeState& of_type = state(type);
  if (of_type.wildcard) {
    for (const auto& [name, body] : resources_.all(type)) {
      if (NeedsUpdate(type, name, *body)) updates.push_back({name, body});
    }
    return updates;
  }
  for (const std::string& name : of_type.names) {
    std::shared_ptr<const ResourceBody> body = resources_.Find(type, name);
    if (body != nullptr && NeedsUpdate(type, name, *body)) {
      updates.push_back({name, std::move(body)});
    }
  }
  return updates;
}

bool DeltaStream::AnyUpdate(ResourceType type) const { return !Updates(type).empty(); }

bool DeltaStream::Gone(ResourceType type, const std::string& name) const {
  if (resources_.Find(type, name) != nullptr) return false;
  return type != ResourceType::kEndpoints ||
         resources_.Find(ResourceType::kCluster, name) == nullptr;
}

// Of what the client has, or was sent and refused.
std::set<std::string> DeltaStream::GoneNames(ResourceType type) const {
  std::set<std::string> names;
  for (const auto* versions : {&state(type).has, &state(type).refused}) {
    for (const auto& [name, version] : *versions) {
      if (Gone(type, name)) names.insert(name);
    }
  }
  return names;
}

// A route must not lead to a cluster whose endpoints are on their way for the first time.
bool DeltaStream::FirstEndpointsUnsettled() const {
  const TypeState& endpoints = state(ResourceType::kEndpoints);
  for (const auto& [name, sent] : endpoints.in_flight) {
    if (!endpoints.has.contains(name)) return true;
  }
  for (const DeltaResponse::Item& item : Updates(ResourceType::kEndpoints)) {
    if (!endpoints.has.contains(item.name)) return true;
  }
  return false;
}

bool DeltaStream::RunsOlderThanRefused(ResourceType type) const {
  const TypeState& of_type = state(type);
  for (const auto& [name, version] : of_type.refused) {
    const std::shared_ptr<const ResourceBody> body = resources_.Find(type, name);
    if (body != nullptr && body->version == version && of_type.has.contains(name)) return true;
  }
  return false;
}

bool DeltaStream::AnyRefused() const {
  return std::any_of(types_.begin(), types_.end(),
                     [](const TypeState& of_type) { return !of_type.refused.empty(); });
}

bool DeltaStream::Settled(ResourceType type) const {
  const TypeState& of_type = state(type);
  return !of_type.seen || (!of_type.InFlight() && !AnyUpdate(type) && GoneNames(type).empty());
}

bool DeltaStream::MayUpdate(ResourceType type) const {
  switch (type) {
    case ResourceType::kCluster:
      return true;
    case ResourceType::kEndpoints:
      return !state(ResourceType::kCluster).InFlight();
    case ResourceType::kListener:
      return !state(ResourceType::kCluster).InFlight() && !FirstEndpointsUnsettled();
    case ResourceType::kRoute:
      return !state(ResourceType::kCluster).InFlight() && !FirstEndpointsUnsettled() &&
             !state(ResourceType::kListener).InFlight();
  }
  return false;
}

bool DeltaStream::MayRemove(ResourceType type) const {
  switch (type) {
    case ResourceType::kListener:
      return true;
    case ResourceType::kRoute:
      return Settled(ResourceType::kListener) && !RunsOlderThanRefused(ResourceType::kListener);
    case ResourceType::kCluster:
    case ResourceType::kEndpoints:
      return Settled(ResourceType::kListener) && Settled(ResourceType::kRoute) &&
             !RunsOlderThanRefused(ResourceType::kRoute);
  }
  return false;
}

// A client that comes back tells its state type by type, clusters first.
bool DeltaStream::RoutesTold() const {
  const TypeState& listeners = state(ResourceType::kListener);
  return listeners.seen && (state(ResourceType::kRoute).seen || listeners.has.empty());
}

}  // namespace pando::controller
