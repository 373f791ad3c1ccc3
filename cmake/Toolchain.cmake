# Compiler settings that hold for every target of ours.
option(PANDO_CCACHE "Compile through ccache when it is installed" ON)
set(PANDO_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, for example address,undefined")

find_program(PANDO_CCACHE_PROGRAM ccache)
if(PANDO_CCACHE AND PANDO_CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${PANDO_CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PANDO_CCACHE_PROGRAM})
endif()

find_program(PANDO_LLD ld.lld)
if(PANDO_LLD)
  add_link_options(-fuse-ld=lld)
endif()

if(PANDO_SANITIZE)
  add_compile_options(-fsanitize=${PANDO_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PANDO_SANITIZE})
  add_compile_definitions(PANDO_SANITIZED=1)
  if(PANDO_SANITIZE MATCHES thread)
    # TSan does not understand fences, and Asio does not need them: its queue has a lock.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    # protobuf's headers add members to map fields under TSan; the packaged library has none. libstdc++ has
    # to know all the same: its shared_ptr reads both counts at once, which TSan takes for a race.
    add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
  # "cluster_test.asan": tests/run --all shows several builds in one list.
  get_filename_component(PANDO_TEST_SUFFIX ${CMAKE_BINARY_DIR} NAME)
  string(PREPEND PANDO_TEST_SUFFIX .)
endif()

# Generated code and system headers do not get these; see pando_library().
set(PANDO_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wswitch -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 and 13 see overlapping copies in std::string where none are (GCC bug 105651).
  list(APPEND PANDO_WARNINGS -Wno-restrict)
endif()
