#include "agent/adoption.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/process.h"

namespace pando::agent {
namespace {

constexpr Millis kPause{10};
constexpr Millis kPatience{1'000};
constexpr Millis kPauseWhenOverdue{1'000};

}  // namespace

Adoption::Adoption(EventLoop& loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), boot_id_(BootId()) {}

void Adoption::Begin(Assignment assignment, const InstanceDir& dir) {
  const AssignmentId id = assignment.id;
  const uint64_t memory_bytes = assignment.limits.memory_bytes;
  const auto [one, is_new] =
      open_.try_emplace(id, Open{std::move(assignment), InstanceSearch(dir, boot_id_, memory_bytes),
                                 loop_.Now() + kPatience});
  if (!is_new || !Look(one->second)) return LookAgainSoon();
  open_.erase(one);
}

std::vector<const Assignment*> Adoption::Sought() const {
  std::vector<const Assignment*> assignments;
  for (const auto& [id, one] : open_) assignments.push_back(&one.assignment);
  return assignments;
}

bool Adoption::expects_more() const {
  return std::any_of(open_.begin(), open_.end(),
                     [](const auto& one) { return !one.second.overdue; });
}

bool Adoption::Look(Open& one) {
  const bool is_late = loop_.Now() >= one.patient_until;
  auto found = one.search.Look(is_late);
  if (found.ok()) {
    handlers_.found(std::move(one.assignment), *std::move(found));
    return true;
  }
  if (is_late && !std::exchange(one.overdue, true)) {
    handlers_.overdue(one.assignment, found.status());
  }
  return false;
}

void Adoption::LookAgainSoon() {
  if (std::exchange(scheduled_, true)) return;
  loop_.RunAfter(expects_more() ? kPause : kPauseWhenOverdue,
                 [this, alive = std::weak_ptr<char>(alive_)] {
                   if (!alive.expired()) LookAgain();
                 });
}

void Adoption::LookAgain() {
  scheduled_ = false;
  const size_t before = open_.size();
  for (auto one = open_.begin(); one != open_.end();) {
    one = Look(one->second) ? open_.erase(one) : std::next(one);
  }
  if (open_.size() < before) handlers_.later();
  if (!open_.empty()) LookAgainSoon();
}

}  // namespace pando::agent
