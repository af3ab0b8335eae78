# Builds web/ into one HTML file and embeds it: flywheel_embed_report_page(target) adds the generated source to target.
find_program(NODE node)
find_program(NPM npm)

function(flywheel_embed_report_page target)
  if(NOT TARGET ${target})
    return()
  endif()
  if(NOT NODE OR NOT NPM)
    message(FATAL_ERROR "node and npm (18 or later) are needed to build the report page. Run scripts/setup.")
  endif()
  set(web ${PROJECT_SOURCE_DIR}/web)
  set(page ${PROJECT_BINARY_DIR}/web/report.html)
  set(generated ${PROJECT_BINARY_DIR}/generated/report_template.cc)
  file(GLOB_RECURSE page_sources CONFIGURE_DEPENDS ${web}/src/*.ts ${web}/src/*.css)
  add_custom_command(
    OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -P ${PROJECT_SOURCE_DIR}/cmake/web_install.cmake
    COMMAND ${NPM} run --silent build -- --outDir ${PROJECT_BINARY_DIR}/web --emptyOutDir --logLevel warn
    DEPENDS ${page_sources} ${web}/report.html ${web}/vite.config.ts ${web}/tsconfig.json ${web}/package.json
      ${web}/package-lock.json ${PROJECT_SOURCE_DIR}/cmake/web_install.cmake
    WORKING_DIRECTORY ${web}
    COMMENT "Building the report page"
    VERBATIM)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${NODE} ${web}/embed.mjs ${page} ${generated}
    DEPENDS ${page} ${web}/embed.mjs
    COMMENT "Embedding the report page"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()
