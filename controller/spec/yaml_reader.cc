#include "controller/spec/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

constexpr char kTextTag[] = "tag:yaml.org,2002:str";

// Length of the UTF-8 character at the start of `text`; 0 when there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, beyond U+10FFFF.
  const unsigned char second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Builds one document's tree from the parser's events. Throws YAML::ParserException, as the parser
// itself does; ReadYaml catches it.
class TreeBuilder final : public YAML::EventHandler {
 public:
  // `previous_start`: where the document before this one began, -1 for the first one.
  explicit TreeBuilder(int previous_start) : previous_start_(previous_start) {}

  YamlPtr TakeRoot() { return std::exchange(root_, nullptr); }

  // -1 before a document.
  int start() const { return start_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp gives an empty document without end for a token that cannot begin one.
    if (mark.pos == previous_start_) throw YAML::ParserException(mark, "no document begins so");
    start_ = mark.pos;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(New(mark, YamlNode::Kind::kNothing), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    // An anchor is known when its node is complete.
    if (found == anchors_.end())
      throw YAML::ParserException(mark, "an alias inside its own anchor");
    Add(found->second, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // "?": plain, "!": in quotes.
    if (!tag.empty() && tag != "?" && tag != "!" && tag != kTextTag) RefuseTag(mark, tag);
    if (!IsUtf8(value)) throw YAML::ParserException(mark, "this text is not UTF-8");
    if (value.find('\0') != std::string::npos) {
      throw YAML::ParserException(mark, "a text must not hold a NUL character");
    }
    auto node = New(mark, YamlNode::Kind::kText);
    node->text = value;
    node->quoted = tag == "!" || tag == kTextTag;
    Add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct OpenNode {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor;
    YamlPtr key;  // of a map: read, its value not yet
  };

  static std::shared_ptr<YamlNode> New(const YAML::Mark& mark, YamlNode::Kind kind) {
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->line = mark.line + 1;
    return node;
  }

  [[noreturn]] static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    throw YAML::ParserException(mark, absl::StrCat("tags are not used here: ", Quoted(tag)));
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    if (!tag.empty() && tag != "?") RefuseTag(mark, tag);
    if (open_.size() >= static_cast<size_t>(kMaxYamlDepth)) {
      throw YAML::ParserException(mark, absl::StrCat("more than ", kMaxYamlDepth, " levels deep"));
    }
    open_.push_back({New(mark, kind), anchor, nullptr});
  }

  void Close() {
    OpenNode done = std::move(open_.back());
    open_.pop_back();
    Add(std::move(done.node), done.anchor);
  }

  void Add(YamlPtr node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node->kind == YamlNode::Kind::kList) {
      parent.node->items.push_back(std::move(node));
    } else if (parent.key == nullptr) {
      parent.key = std::move(node);
    } else {
      parent.node->entries.push_back({std::exchange(parent.key, nullptr), std::move(node)});
    }
  }

  const int previous_start_;
  int start_ = -1;
  YamlPtr root_;
  std::vector<OpenNode> open_;
  std::map<YAML::anchor_t, YamlPtr> anchors_;
};

}  // namespace

std::vector<YamlPtr> ReadYaml(const std::string& text, Mistakes& mistakes) {
  std::vector<YamlPtr> documents;
  if (text.size() > kMaxYamlBytes) {
    mistakes.Add(1, "", absl::StrCat("the file is larger than ", kMaxYamlBytes, " bytes"));
    return documents;
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    int start = -1;
    for (size_t count = 1;; ++count) {
      TreeBuilder builder(start);  // anchors do not reach into the next document
      if (!parser.HandleNextDocument(builder)) break;
      start = builder.start();
      YamlPtr root = builder.TakeRoot();
      if (count > kMaxYamlDocuments) {
        mistakes.Add(root == nullptr ? 1 : root->line, "",
                     absl::StrCat("more than ", kMaxYamlDocuments, " documents"));
        break;
      }
      if (root == nullptr || root->kind == YamlNode::Kind::kNothing) continue;
      documents.push_back(std::move(root));
    }
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 1 : error.mark.line + 1;
    mistakes.Add(line, "", absl::StrCat("not valid YAML: ", error.msg));
  } catch (const std::exception& error) {  // the parser's own slips, e.g. out of range
    mistakes.Add(1, "", absl::StrCat("not valid YAML: ", error.what()));
  }
  return documents;
}

}  // namespace pando::controller
