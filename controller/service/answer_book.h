// What requests were answered, so that one that comes again because its answer was lost is not
// carried out again. Bounded by number and size: a client repeats a request within seconds.
// Kept in the store with the change itself. Used on the loop.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/store/records.h"
#include "pando/v1/store.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

class AnswerBook {
 public:
  static constexpr size_t kMaxAnswers = 1'000;
  static constexpr size_t kMaxBytes = 8 << 20;

  // `records` by sequence, as LoadAnswers gives them.
  explicit AnswerBook(const std::vector<v1::AnswerRecord>& records,
                      size_t max_answers = kMaxAnswers, size_t max_bytes = kMaxBytes);

  // The serialized response; nullptr when the request was not answered yet.
  const std::string* Find(const std::string& request_id) const;
  // Returns what has to be committed together with the change.
  std::vector<StoreWrite> Add(const std::string& request_id, std::string answer);
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    uint64_t sequence = 0;
    std::string request_id;
    size_t bytes = 0;
  };

  void Insert(uint64_t sequence, const std::string& request_id, std::string answer);
  // Sequence numbers of those that had to go.
  std::vector<uint64_t> Shrink();

  const size_t max_answers_;
  const size_t max_bytes_;
  uint64_t next_sequence_ = 1;
  size_t bytes_ = 0;
  std::deque<Entry> order_;  // oldest first
  std::unordered_map<std::string, std::string> answers_;
};

}  // namespace pando::controller
