// What is printed on stdout: tables for people, documents for programs.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace pando::ctl {

enum class OutputFormat { kTable, kWide, kJson, kYaml, kName };

enum class Color { kNone, kGreen, kYellow, kRed, kDim, kBold };

// `text` in the color, when `enabled`.
std::string Paint(const std::string& text, Color color, bool enabled);

struct Cell {
  Cell(std::string content, Color paint = Color::kNone)  // NOLINT(google-explicit-constructor)
      : text(std::move(content)), color(paint) {}
  Cell(const char* content) : text(content) {}  // NOLINT(google-explicit-constructor)

  std::string text;
  Color color = Color::kNone;
};

// Columns as wide as their widest cell, two spaces apart, no space at line ends. An empty cell is
// shown as "-", except in the last column.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}

  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  std::string ToString(bool color) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<Cell>> rows_;
};

// `json` (compact) as a document of its own in `format`, which is kJson or kYaml.
void PrintDocument(std::ostream& out, OutputFormat format, const std::string& json);
// The same as one of a series: JSON takes one line each, YAML starts each with "---".
void PrintDocumentOfSeries(std::ostream& out, OutputFormat format, const std::string& json);

inline bool IsDocument(OutputFormat format) {
  return format == OutputFormat::kJson || format == OutputFormat::kYaml;
}

}  // namespace pando::ctl
