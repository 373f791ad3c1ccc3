// Bytes waiting to be sent or to become a whole message. Owns memory only while it holds some, so
// that an idle connection costs nothing here.
#pragma once

#include <string>
#include <string_view>

namespace pando::proxy {

class ByteQueue {
 public:
  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size() - begin_; }
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }

  void Append(std::string_view bytes) { bytes_.append(bytes); }
  void Consume(size_t count) {
    begin_ += count;
    if (begin_ >= bytes_.size()) {
      Clear();
    } else if (begin_ > kCompactAt && begin_ > bytes_.size() / 2) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
  }
  void Clear() {
    std::string().swap(bytes_);
    begin_ = 0;
  }

 private:
  static constexpr size_t kCompactAt = 4096;
  std::string bytes_;  // empty exactly when nothing is held
  size_t begin_ = 0;
};

}  // namespace pando::proxy
