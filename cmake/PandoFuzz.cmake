# Fuzz targets that are also tests.
#
# pando_fuzz(NAME SOURCES x_fuzz.cc ... [DEPS ...] [CORPUS dir])
# The sources define LLVMFuzzerTestOneInput. CORPUS is corpus/<NAME without _fuzz> unless given.
#
# Any compiler: a program that replays the corpus, with every input also cut short and with bits
# flipped, as a ctest entry. Clang with -DPANDO_FUZZ=ON: a libFuzzer program in <build>/fuzz/.
#   cmake -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DPANDO_FUZZ=ON \
#         -DPANDO_SANITIZE=address,undefined,fuzzer-no-link
#   ninja -C build/fuzz spec_fuzz && build/fuzz/fuzz/spec_fuzz tests/fuzz/corpus/spec
option(PANDO_FUZZ "Build libFuzzer programs (clang) in place of the corpus replays" OFF)
set(PANDO_FUZZ_REPLAY ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)

function(pando_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_CORPUS)
    string(REGEX REPLACE "_fuzz$" "" ARG_CORPUS ${name})
    set(ARG_CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${ARG_CORPUS})
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${PANDO_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  if(PANDO_FUZZ)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_sources(${name} PRIVATE ${PANDO_FUZZ_REPLAY})
    add_test(NAME ${name}${PANDO_TEST_SUFFIX} COMMAND ${name} ${ARG_CORPUS})
    set_tests_properties(${name}${PANDO_TEST_SUFFIX} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()
