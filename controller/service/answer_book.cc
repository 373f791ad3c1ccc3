#include "controller/service/answer_book.h"

#include <utility>

namespace pando::controller {

AnswerBook::AnswerBook(const std::vector<v1::AnswerRecord>& records, size_t max_answers,
                       size_t max_bytes)
    : max_answers_(max_answers), max_bytes_(max_bytes) {
  for (const v1::AnswerRecord& record : records) {
    Insert(record.sequence(), record.request_id(), record.answer());
  }
}

const std::string* AnswerBook::Find(const std::string& request_id) const {
  const auto found = answers_.find(request_id);
  return found == answers_.end() ? nullptr : &found->second;
}

std::vector<StoreWrite> AnswerBook::Add(const std::string& request_id, std::string answer) {
  v1::AnswerRecord record;
  record.set_sequence(next_sequence_);
  record.set_request_id(request_id);
  record.set_answer(answer);
  std::vector<StoreWrite> writes{ToStoreWrite(record)};
  Insert(next_sequence_, request_id, std::move(answer));
  for (const uint64_t gone : Shrink()) writes.push_back(DeleteAnswer(gone));
  return writes;
}

void AnswerBook::Insert(uint64_t sequence, const std::string& request_id, std::string answer) {
  next_sequence_ = sequence + 1;
  order_.push_back({sequence, request_id, request_id.size() + answer.size()});
  bytes_ += order_.back().bytes;
  answers_[request_id] = std::move(answer);
}

std::vector<uint64_t> AnswerBook::Shrink() {
  std::vector<uint64_t> gone;
  // The newest stays, however large it is.
  while (order_.size() > 1 && (order_.size() > max_answers_ || bytes_ > max_bytes_)) {
    gone.push_back(order_.front().sequence);
    bytes_ -= order_.front().bytes;
    answers_.erase(order_.front().request_id);
    order_.pop_front();
  }
  return gone;
}

}  // namespace pando::controller
