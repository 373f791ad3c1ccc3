// Replays a corpus through a fuzz target where libFuzzer is not at hand: each file as it is, cut
// short at many places and with single bits flipped. Deterministic, so a failure can be repeated.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;

constexpr size_t kVariantsPerFile = 400;

void Run(const std::string& input) {
  // An exact heap copy, so that AddressSanitizer sees a read past the end.
  const std::vector<uint8_t> copy(input.begin(), input.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

size_t Replay(const std::string& input) {
  Run(input);
  const size_t step = std::max<size_t>(1, input.size() / (kVariantsPerFile / 2));
  size_t runs = 1;
  for (size_t at = 0; at < input.size(); at += step) {
    Run(input.substr(0, at));
    std::string flipped = input;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    Run(flipped);
    runs += 2;
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (fs::is_directory(argv[i])) {
      for (const auto& entry : fs::recursive_directory_iterator(argv[i])) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else {
      files.emplace_back(argv[i]);
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "no inputs: name a corpus directory\n");
    return 1;
  }
  std::sort(files.begin(), files.end());
  size_t runs = 0;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      return 1;
    }
    runs += Replay(input);
  }
  std::printf("%zu files, %zu runs\n", files.size(), runs);
  return 0;
}
