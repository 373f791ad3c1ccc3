#include "agent/preload.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstring>

#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A 64-bit program of one segment.
std::string Elf(uint32_t segment_type, unsigned char bits = ELFCLASS64) {
  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = bits;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment = {};
  segment.p_type = segment_type;
  std::string bytes(sizeof(header) + sizeof(segment), '\0');
  memcpy(bytes.data(), &header, sizeof(header));
  memcpy(bytes.data() + sizeof(header), &segment, sizeof(segment));
  return bytes;
}

class PreloadTest : public testing::Test {
 protected:
  PreloadTest() {
    Write("lib.so", "");
    command_.dir = temp_.path();
    command_.fixed_port = 8'080;
    environment_ = {"A=1", "PATH=/no/such/dir:" + temp_.path()};
  }
  void Write(const std::string& name, const std::string& content, mode_t mode = 0755) {
    ASSERT_TRUE(WriteFileAtomically(temp_.path() + "/" + name, content).ok());
    chmod((temp_.path() + "/" + name).c_str(), mode);
  }
  absl::Status Preload(const std::string& program) {
    command_.argv = {program, "argument"};
    return PreloadFixedPort(command_, 20'013, temp_.path() + "/lib.so", environment_);
  }

  TempDir temp_;
  CommandLine command_;
  std::vector<std::string> environment_;
};

TEST_F(PreloadTest, TellsTheLibraryBothPorts) {
  ASSERT_TRUE(Preload("/proc/self/exe").ok());
  EXPECT_THAT(environment_,
              ElementsAre("A=1", HasSubstr("PATH="), "LD_PRELOAD=" + temp_.path() + "/lib.so",
                          "PANDO_FIXED_PORT=8080:20013"));
}

TEST_F(PreloadTest, WhatTheSpecPreloadsComesAfterIt) {
  environment_.emplace_back("LD_PRELOAD=/opt/malloc.so");
  ASSERT_TRUE(Preload("/proc/self/exe").ok());
  EXPECT_THAT(environment_,
              testing::Contains("LD_PRELOAD=" + temp_.path() + "/lib.so:/opt/malloc.so"));
}

TEST_F(PreloadTest, LooksAtTheProgramThatWillRun) {
  Write("dynamic", Elf(PT_INTERP));
  Write("static", Elf(PT_LOAD));
  Write("old", Elf(PT_INTERP, ELFCLASS32));
  Write("cut", Elf(PT_INTERP).substr(0, 20));
  Write("elevated", Elf(PT_INTERP), 04755);
  Write("by-env", "#!/usr/bin/env -S A=b static --flag\n");
  Write("by-path", "#! " + temp_.path() + "/static -e\n");
  Write("by-script", "#!" + temp_.path() + "/by-path\n");
  Write("itself", "#!" + temp_.path() + "/itself\n");
  Write("nothing", "#!\n");
  Write("text", "echo\n");
  const std::string is_static = "statically linked: " + temp_.path() + "/static ";
  struct Case {
    std::string program;
    std::string want;
  };
  const Case cases[] = {
      {"dynamic", ""},
      {"./dynamic", ""},
      {"static", is_static},
      {temp_.path() + "/static", is_static},
      {"./static", "statically linked: " + temp_.path() + "/./static "},
      {"old", "not a 64-bit program"},
      {"cut", "not a 64-bit program"},
      {"elevated", "set-user-id or with capabilities: "},
      {"by-env", is_static},
      {"by-path", is_static},
      {"by-script", is_static},
      {"itself", ""},
      {"nothing", ""},
      {"text", ""},
      {"no-such-program", ""},
      {"./no-such-program", ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.program);
    const absl::Status status = Preload(c.program);
    EXPECT_EQ(status.ok(), c.want.empty()) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.want));
  }
}

TEST_F(PreloadTest, SaysWhenTheLibraryCannotBePreloaded) {
  command_.argv = {"/proc/self/exe"};
  const auto preload = [&](const std::string& library) {
    return std::string(PreloadFixedPort(command_, 20'013, library, environment_).message());
  };
  EXPECT_THAT(preload("/no/such/lib.so"), HasSubstr("no such file: /no/such/lib.so"));
  Write("a b.so", "");
  EXPECT_THAT(preload(temp_.path() + "/a b.so"), HasSubstr("has a blank or a colon"));
  EXPECT_EQ(FixedPortLibrary("/usr/libexec/pando/pando-shim"),
            "/usr/libexec/pando/libpando-fixed-port.so");
}

}  // namespace
}  // namespace pando::agent
