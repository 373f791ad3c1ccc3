# How this project's libraries, programs and tests are declared.

# pando_library(NAME SOURCES a.cc ... [DEPS ...])
# Include paths start at the root: #include "controller/core/model.h".
function(pando_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${PANDO_WARNINGS})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  pando_unity(${name})
endfunction()

# pando_program(NAME SOURCES main.cc ... [DEPS ...]): an installed binary in build/<preset>/bin.
function(pando_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${PANDO_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()

# What packaged libraries do to memory is left out: TSan does not see how they order it, and looked for
# a race in each byte that gRPC had received.
set(PANDO_TSAN_OPTIONS suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp:ignore_noninstrumented_modules=1)

# pando_test(NAME LABEL unit|component SOURCES ... DEPS ... [TIMEOUT seconds] [BUSY])
# One GoogleTest program, one ctest entry. BUSY: it computes for longer than it takes to compile.
function(pando_test name)
  cmake_parse_arguments(ARG "BUSY" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${PANDO_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_BUSY)
    # Of what is tested nothing changes: that is in the libraries. To optimise the tests doubles their build.
    target_compile_options(${name} PRIVATE -O0)
  endif()
  pando_unity(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name}${PANDO_TEST_SUFFIX} COMMAND ${name})
  set_tests_properties(${name}${PANDO_TEST_SUFFIX} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1;TSAN_OPTIONS=${PANDO_TSAN_OPTIONS}")
endfunction()
