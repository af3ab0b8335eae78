# Precompiled headers for the release: the standard headers that nearly every file sees, these with JSON, and these with
# GoogleTest. One file of each serves all rooms and both optimisation levels; CMake's own mechanism would build one for
# every target. A file's own includes stay what it needs: without g++, with sanitizers or when cross-compiling nothing is
# precompiled, and where the compiler finds that its options do not fit it reads the header as text.
set(FLYWHEEL_PRECOMPILED OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT FLYWHEEL_SANITIZE
   AND NOT CMAKE_CROSSCOMPILING)
  set(FLYWHEEL_PRECOMPILED ON)
endif()
set(FLYWHEEL_PRECOMPILED_FOLDER ${PROJECT_BINARY_DIR}/precompiled)

# The packages' own definitions decide how their headers read, so they must be those of the files that use them.
function(flywheel_precompile name packages)
  set(header ${FLYWHEEL_PRECOMPILED_FOLDER}/${name}.h)
  file(CONFIGURE OUTPUT ${header} CONTENT "${ARGN}" @ONLY)
  set(flags ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE})
  separate_arguments(flags NATIVE_COMMAND "${flags}")
  foreach(package ${packages})
    get_target_property(options ${package} INTERFACE_COMPILE_OPTIONS)
    if(options)
      list(APPEND flags ${options})
    endif()
    get_target_property(definitions ${package} INTERFACE_COMPILE_DEFINITIONS)
    if(definitions)
      foreach(definition ${definitions})
        if(NOT definition MATCHES "\\$<")
          list(APPEND flags -D${definition})
        endif()
      endforeach()
    endif()
  endforeach()
  add_custom_command(
    OUTPUT ${header}.gch
    COMMAND ${CMAKE_CXX_COMPILER} ${flags} -std=c++20 -Wpedantic -ffp-contract=off -fno-math-errno -x c++-header ${header} -o
      ${header}.gch
    DEPENDS ${header}
    COMMENT "Precompiling ${name}.h"
    VERBATIM)
  add_custom_target(flywheel_precompiled_${name} DEPENDS ${header}.gch)
endfunction()

if(FLYWHEEL_PRECOMPILED)
  set(standard "#include <fmt/format.h>\n")
  foreach(header algorithm cmath cstdint filesystem functional map memory optional set span string string_view utility
      vector)
    string(APPEND standard "#include <${header}>\n")
  endforeach()
  flywheel_precompile(standard fmt::fmt "${standard}")
  set(with_json "${standard}#include <nlohmann/json.hpp>\n")
  flywheel_precompile(standard_json "fmt::fmt" "${with_json}")
  flywheel_precompile(tests "fmt::fmt;GTest::gmock;GTest::gtest" "${with_json}#include <gmock/gmock.h>\n#include <gtest/gtest.h>\n")
endif()

# The sources of a target read the header of this name. `any`: the one with JSON where they name JSON themselves.
function(flywheel_use_precompiled target name)
  if(NOT FLYWHEEL_PRECOMPILED)
    return()
  endif()
  foreach(source ${ARGN})
    set(header ${name})
    if(name STREQUAL "any")
      file(STRINGS ${source} json REGEX "^#include \"(base/json|ledger/json_record|protocol/run_events|workload/).*\"")
      set(header standard)
      if(json)
        set(header standard_json)
      endif()
    endif()
    # g++ 12 warns of std::string's own memcpy where it comes out of a precompiled header. The other presets, which have
    # none, keep these warnings.
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -include ${FLYWHEEL_PRECOMPILED_FOLDER}/${header}.h
      -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
    set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS ${FLYWHEEL_PRECOMPILED_FOLDER}/${header}.h.gch)
    add_dependencies(${target} flywheel_precompiled_${header})
  endforeach()
endfunction()
