# Sources of a target that declare different names are compiled together, so that gRPC's and Boost's
# headers are read once for several of them: eight of the agent's take 20 s of CPU time in place of 36.
# For what builds from nothing (deploy/lib/bootstrap.sh); off for daily work, where one changed file is
# one compilation.
option(PANDO_UNITY "Compile several sources of a target together" OFF)
set(PANDO_UNITY_FILES 16)

# pando_declared_names(OUT FILE): what a file declares at its left edge that is not a member.
function(pando_declared_names out file)
  file(READ ${file} text)
  # Neither may stand in a CMake list.
  string(REGEX REPLACE "[;[]" "=" text "\n${text}")
  string(REPLACE "]" " " text "${text}")
  # Other files may have the same of these.
  string(REGEX REPLACE "\n(namespace|using namespace|using [a-zA-Z_]+::|TEST|INSTANTIATE)[^\n]*" "" text "${text}")
  string(REGEX MATCHALL
    "\n(class|struct|enum class|enum) +[A-Za-z0-9_]+|\n[A-Za-z][^\n({=]*[ *&>][A-Za-z0-9_]+ *[({=]|\nMATCHER[_P0-9]*.[A-Za-z0-9_]+"
    found "${text}")
  list(TRANSFORM found REPLACE " *[({=]$" "")
  list(TRANSFORM found REPLACE "^.*[^A-Za-z0-9_]" "")
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# pando_unity(TARGET)
function(pando_unity target)
  if(NOT PANDO_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  # A type of one source only is no mistake, though the compiler takes the source for a header.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cc$")
  set(groups 0)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source)
    # Which go together depends on what is in them.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    pando_declared_names(names ${source})
    set(group 0)
    while(group LESS groups)
      list(LENGTH names_${group} before)
      set(both ${names_${group}} ${names})
      list(REMOVE_DUPLICATES both)
      list(LENGTH both together)
      list(REMOVE_DUPLICATES names)
      list(LENGTH names more)
      math(EXPR apart "${before} + ${more}")
      if(together EQUAL apart AND size_${group} LESS PANDO_UNITY_FILES)
        break()
      endif()
      math(EXPR group "${group} + 1")
    endwhile()
    if(group EQUAL groups)
      math(EXPR groups "${groups} + 1")
      set(names_${group} "")
      set(size_${group} 0)
    endif()
    list(APPEND names_${group} ${names})
    list(REMOVE_DUPLICATES names_${group})
    math(EXPR size_${group} "${size_${group}} + 1")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${target}_${group})
  endforeach()
endfunction()
