# Writes FILE with the commit of SOURCE, only where it has changed, so that a new commit compiles one small file and
# nothing else. Outside a repository, and where git is not there, the commit is "unknown".
set(commit unknown)
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE found
    OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
  if(NOT failed)
    set(commit ${found})
    execute_process(COMMAND ${GIT} -C ${SOURCE} diff --quiet HEAD -- . RESULT_VARIABLE changed ERROR_QUIET)
    if(changed)
      string(APPEND commit " with changes")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${FILE} CONTENT "#pragma once\n#define FLYWHEEL_COMMIT \"${commit}\"\n" @ONLY)
