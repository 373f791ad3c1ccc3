#include "ctl/output.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

const char* Code(Color color) {
  switch (color) {
    case Color::kNone:
      return "";
    case Color::kGreen:
      return "\x1b[32m";
    case Color::kYellow:
      return "\x1b[33m";
    case Color::kRed:
      return "\x1b[31m";
    case Color::kDim:
      return "\x1b[2m";
    case Color::kBold:
      return "\x1b[1m";
  }
  return "";
}

// What a cell shows: a table never has a hole, so that `awk '{print $5}'` works.
std::string Shown(const Cell& cell, bool last) {
  return cell.text.empty() && !last ? "-" : cell.text;
}

// Columns a text takes: its characters, not its bytes.
size_t WidthOf(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string Paint(const std::string& text, Color color, bool enabled) {
  if (!enabled || color == Color::kNone || text.empty()) return text;
  return absl::StrCat(Code(color), text, "\x1b[0m");
}

std::string Table::ToString(bool color) const {
  std::vector<size_t> widths;
  for (const std::string& name : header_) widths.push_back(name.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], WidthOf(Shown(row[i], i + 1 == widths.size())));
    }
  }
  std::string out;
  const auto add_line = [&](const std::vector<Cell>& cells) {
    std::string line;
    size_t owed = 0;  // spaces due before the next visible text
    for (size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
      const std::string text = Shown(cells[i], i + 1 == widths.size());
      if (!text.empty()) {
        line.append(owed, ' ');
        owed = 0;
        line += Paint(text, cells[i].color, color);
      }
      owed += widths[i] - WidthOf(text) + 2;
    }
    absl::StrAppend(&out, line, "\n");
  };
  std::vector<Cell> header;
  for (const std::string& name : header_) header.emplace_back(name, Color::kDim);
  add_line(header);
  for (const auto& row : rows_) add_line(row);
  return out;
}

void PrintDocument(std::ostream& out, OutputFormat format, const std::string& json) {
  if (format == OutputFormat::kYaml) {
    out << JsonToYaml(json);
  } else {
    out << IndentJson(json) << "\n";
  }
  out.flush();
}

void PrintDocumentOfSeries(std::ostream& out, OutputFormat format, const std::string& json) {
  if (format == OutputFormat::kYaml) {
    out << "---\n" << JsonToYaml(json);
  } else {
    out << json << "\n";
  }
  out.flush();
}

}  // namespace pando::ctl
