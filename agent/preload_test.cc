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
  absl::StatusOr<bool> Preload(const std::string& program) {
    command_.argv = {program, "argument"};
    return PreloadFixedPort(command_, 20'013, temp_.path() + "/lib.so", environment_);
  }

  TempDir temp_;
  CommandLine command_;
  std::vector<std::string> environment_;
};

TEST_F(PreloadTest, TellsTheLibraryBothPorts) {
  EXPECT_EQ(*Preload("/proc/self/exe"), true);
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
  Write("elevated", Elf(PT_INTERP), 04755);
  Write("by-env", "#!/usr/bin/env -S A=b static --flag\n");
  Write("by-path", "#! " + temp_.path() + "/static -e\n");
  Write("by-script", "#!" + temp_.path() + "/by-path\n");
  Write("itself", "#!" + temp_.path() + "/itself\n");
  Write("nothing", "#!\n");
  Write("text", "echo\n");
  struct Case {
    std::string program;
    bool want;
  };
  const Case cases[] = {
      {"dynamic", true},         {"./dynamic", true},
      {"static", false},         {temp_.path() + "/static", false},
      {"./static", false},       {"elevated", false},
      {"by-env", false},         {"by-path", false},
      {"by-script", false},      {"itself", true},
      {"nothing", true},         {"text", true},
      {"no-such-program", true}, {"./no-such-program", true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.program);
    const auto preloads = Preload(c.program);
    ASSERT_TRUE(preloads.ok()) << preloads.status();
    EXPECT_EQ(*preloads, c.want);
    // Also where it preloads nothing: what it starts may.
    EXPECT_THAT(environment_, testing::Contains("PANDO_FIXED_PORT=8080:20013"));
    environment_.resize(2);
  }
}

TEST_F(PreloadTest, RefusesWhatNeitherWayCanLead) {
  Write("old", Elf(PT_INTERP, ELFCLASS32));
  Write("cut", Elf(PT_INTERP).substr(0, 20));
  for (const char* program : {"old", "cut"}) {
    EXPECT_THAT(std::string(Preload(program).status().message()),
                HasSubstr("not a 64-bit program"));
  }
}

TEST_F(PreloadTest, SaysWhenTheLibraryCannotBePreloaded) {
  command_.argv = {"/proc/self/exe"};
  const auto preload = [&](const std::string& library) {
    return std::string(
        PreloadFixedPort(command_, 20'013, library, environment_).status().message());
  };
  EXPECT_THAT(preload("/no/such/lib.so"), HasSubstr("no such file: /no/such/lib.so"));
  Write("a b.so", "");
  EXPECT_THAT(preload(temp_.path() + "/a b.so"), HasSubstr("has a blank or a colon"));
  EXPECT_EQ(FixedPortLibrary("/usr/libexec/pando/pando-shim"),
            "/usr/libexec/pando/libpando-fixed-port.so");
}

}  // namespace
}  // namespace pando::agent
