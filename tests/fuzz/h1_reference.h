// A second, independent reading of HTTP/1.1 messages, by Boost.Beast: what our parser accepts,
// Beast must accept with the same meaning. The other way round is no matter; ours is the stricter
// one.
#pragma once

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>

#include "proxy/core/h1_body.h"
#include "proxy/core/h1_parser.h"

namespace pando::proxy {

inline void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "the readings differ: %s\n", what);
  std::abort();
}

inline std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

inline void RequireAccepted(const boost::beast::error_code& error) {
  if (error) Require(false, ("Beast refuses it: " + error.message()).c_str());
}

template <class Parser>
void Unlimit(Parser& parser) {
  parser.header_limit(std::numeric_limits<std::uint32_t>::max());
  parser.body_limit(boost::none);
}

// Feeds all of `bytes`. Returns how many were used; `failed` says whether, and why, Beast refused
// them.
template <class Parser>
size_t Feed(Parser& parser, std::string_view bytes, boost::beast::error_code& failed) {
  size_t used = 0;
  failed = {};
  while (used < bytes.size() && !parser.is_done()) {
    boost::beast::error_code error;
    const size_t step =
        parser.put(boost::asio::buffer(bytes.data() + used, bytes.size() - used), error);
    used += step;
    if (error == boost::beast::http::error::need_more) break;
    if (error) {
      failed = error;
      break;
    }
    if (step == 0) break;
  }
  return used;
}

// The head has been read by both; `fields` are ours. Beast keeps those of one name together, so
// each is compared with theirs of that name and number.
template <class Parser>
void CompareFields(const Parser& parser, const std::vector<HeaderField>& fields) {
  const auto& theirs = parser.get();
  const auto count = static_cast<size_t>(std::distance(theirs.begin(), theirs.end()));
  Require(count == fields.size(), "the number of fields");
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string_view name = fields[i].name;
    const auto number =
        std::count_if(fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(i),
                      [&](const HeaderField& field) { return EqualsIgnoreCase(field.name, name); });
    const auto range = theirs.equal_range(boost::beast::string_view(name.data(), name.size()));
    Require(std::distance(range.first, range.second) > number, "a field is missing");
    const auto found = std::next(range.first, number);
    Require(View(found->name_string()) == name, "a field's name");
    Require(View(found->value()) == fields[i].value, "a field's value");
  }
}

// What follows the head, by our framing and by theirs.
template <class Parser>
void CompareBodies(Parser& parser, BodyKind kind, uint64_t length, std::string_view rest) {
  // Beast makes room for all of it at once.
  if (kind == BodyKind::kLength && length > (uint64_t{1} << 20)) return;
  BodyFramer ours;
  ours.Start(kind, length);
  std::string payload;
  const size_t used = ours.Consume(rest, &payload);
  if (ours.failed()) return;
  parser.eager(true);
  boost::beast::error_code failed;
  const size_t theirs = Feed(parser, rest, failed);
  if (ours.done()) {
    RequireAccepted(failed);
    Require(parser.is_done(), "Beast waits for more");
    Require(theirs == used, "where the body ends");
    Require(parser.get().body() == payload, "the payload");
  } else {
    Require(failed || !parser.is_done(), "Beast is done before us");
  }
}

}  // namespace pando::proxy
