# A release compiles the files of a room in groups: one compilation reads several of them one after the other, so that
# their headers are read, and the templates of these made, once for the group. It is what CMake calls a unity build; its
# own takes no file with options of its own. The other presets compile file by file, so they also see that each includes
# what it needs.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT CMAKE_CROSSCOMPILING)
  option(FLYWHEEL_GROUPED "Compile the files of a room in groups" ON)
else()
  option(FLYWHEEL_GROUPED "Compile the files of a room in groups" OFF)
endif()
set(FLYWHEEL_GROUP_BYTES 60000)  # of source text; larger groups gain little and leave a processor idle at the end

# flywheel_group(OUT NAME SOURCES...) sets OUT to what is compiled: files that include up to FLYWHEEL_GROUP_BYTES of the
# sources, or the sources themselves.
function(flywheel_group out name)
  if(NOT FLYWHEEL_GROUPED)
    set(${out} ${ARGN} PARENT_SCOPE)
    return()
  endif()
  set(groups "")
  set(text "")
  set(bytes 0)
  foreach(source ${ARGN})
    file(SIZE ${source} size)
    math(EXPR with_this "${bytes} + ${size}")
    if(text AND with_this GREATER FLYWHEEL_GROUP_BYTES)
      flywheel_write_group(groups ${name} "${text}")
      set(text "")
      set(with_this ${size})
    endif()
    string(APPEND text "#include \"${source}\"\n")
    set(bytes ${with_this})
  endforeach()
  if(text)
    flywheel_write_group(groups ${name} "${text}")
  endif()
  set(${out} ${groups} PARENT_SCOPE)
endfunction()

function(flywheel_write_group list_name name text)
  list(LENGTH ${list_name} number)
  set(file ${PROJECT_BINARY_DIR}/groups/${name}_${number}.cc)
  file(CONFIGURE OUTPUT ${file} CONTENT "${text}" @ONLY)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The warning is for headers with anonymous namespaces, and takes the sources for headers here.
    set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS -Wno-subobject-linkage)
  endif()
  set(${list_name} ${${list_name}} ${file} PARENT_SCOPE)
endfunction()
