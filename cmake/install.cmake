# `cmake --install build --prefix X`, and packages by `cpack -G DEB` in the build folder: the binary, the completions of
# shells, the man page (both made by the binary itself), the docs and the licence.
include(GNUInstallDirs)

set(made ${PROJECT_BINARY_DIR}/share)
set(shell_files ${made}/flywheel.bash ${made}/_flywheel ${made}/flywheel.fish)
add_custom_command(
  OUTPUT ${shell_files} ${made}/flywheel.1
  COMMAND ${CMAKE_COMMAND} -E make_directory ${made}
  COMMAND flywheel completion bash > ${made}/flywheel.bash
  COMMAND flywheel completion zsh > ${made}/_flywheel
  COMMAND flywheel completion fish > ${made}/flywheel.fish
  COMMAND flywheel man > ${made}/flywheel.1
  DEPENDS flywheel
  COMMENT "Writing completions and the man page"
  VERBATIM)
add_custom_target(flywheel_share ALL DEPENDS ${shell_files} ${made}/flywheel.1)

install(TARGETS flywheel RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${made}/flywheel.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME flywheel)
install(FILES ${made}/_flywheel DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${made}/flywheel.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# Debian's policy wants pages and changelogs compressed, without a date inside.
install(CODE "
  set(pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1\")
  file(MAKE_DIRECTORY \"\${pages}\")
  execute_process(COMMAND gzip -9nc ${made}/flywheel.1 OUTPUT_FILE \"\${pages}/flywheel.1.gz\" COMMAND_ERROR_IS_FATAL ANY)
  message(STATUS \"Installing: \${pages}/flywheel.1.gz\")")
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_PACKAGE_NAME flywheel)
set(CPACK_PACKAGE_VENDOR "The Flywheel authors")
set(CPACK_PACKAGE_CONTACT "The Flywheel authors <flywheel@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "autonomous pretraining lab for language models")
set(CPACK_PACKAGE_DESCRIPTION "Given a corpus and an amount of compute, flywheel trains a ladder of
small language models, measures its noise, searches better recipes, adopts
what survives replication, and forecasts what more compute would bring.")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # the libraries that it depends on, from the binary
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
