# Builds web/ into one HTML file per page and embeds them: flywheel_embed_pages(target) adds the generated sources.
find_program(NODE node)
find_program(NPM npm)

function(flywheel_embed_pages target)
  if(NOT TARGET ${target})
    return()
  endif()
  if(NOT NODE OR NOT NPM)
    message(FATAL_ERROR "node and npm (18 or later) are needed to build the pages. Run scripts/setup.")
  endif()
  set(web ${PROJECT_SOURCE_DIR}/web)
  set(built ${PROJECT_BINARY_DIR}/web)
  set(generated ${PROJECT_BINARY_DIR}/generated)
  file(GLOB_RECURSE page_sources CONFIGURE_DEPENDS ${web}/src/*.ts ${web}/src/*.css)
  add_custom_command(
    OUTPUT ${built}/report.html ${built}/fit.html
    COMMAND ${CMAKE_COMMAND} -P ${PROJECT_SOURCE_DIR}/cmake/web_install.cmake
    COMMAND ${NPM} run --silent build -- ${built}
    DEPENDS ${page_sources} ${web}/report.html ${web}/fit.html ${web}/build.mjs ${web}/vite.config.ts
      ${web}/tsconfig.json ${web}/package.json ${web}/package-lock.json ${PROJECT_SOURCE_DIR}/cmake/web_install.cmake
    WORKING_DIRECTORY ${web}
    COMMENT "Building the pages"
    VERBATIM)
  foreach(page Report Fit)
    string(TOLOWER ${page} name)
    add_custom_command(
      OUTPUT ${generated}/${name}_template.cc
      COMMAND ${NODE} ${web}/embed.mjs ${built}/${name}.html ${generated}/${name}_template.cc k${page}Template
      DEPENDS ${built}/${name}.html ${web}/embed.mjs
      COMMENT "Embedding ${name}.html"
      VERBATIM)
    target_sources(${target} PRIVATE ${generated}/${name}_template.cc)
  endforeach()
endfunction()
