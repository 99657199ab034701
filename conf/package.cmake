# What `cmake --install` puts where, and how `cpack` makes a Debian package of it. `./dev package` runs both.
include(GNUInstallDirs)

install(TARGETS rollcall RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES conf/rollcall.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/rollcall)
install(FILES conf/completion/rollcall DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

# ---- Manual pages: rollcall.json(5) is what the program says of its own table --------------------------------------

configure_file(conf/man/rollcall.1.in rollcall.1 @ONLY)
add_custom_command(OUTPUT rollcall.json.5
    COMMAND rollcall --explain=man > rollcall.json.5
    DEPENDS rollcall VERBATIM)

# zipped NAME SOURCE FOLDER: installed compressed, without the time and the name of the file, so that the same source
# makes the same package.
function(zipped name source folder)
    add_custom_command(OUTPUT ${name}.gz
        COMMAND gzip -9 -n -c ${source} > ${name}.gz
        DEPENDS ${source} VERBATIM)
    set_property(GLOBAL APPEND PROPERTY ROLLCALL_ZIPPED ${CMAKE_BINARY_DIR}/${name}.gz)
    install(FILES ${CMAKE_BINARY_DIR}/${name}.gz DESTINATION ${folder})
endfunction()

zipped(rollcall.1 ${CMAKE_BINARY_DIR}/rollcall.1 ${CMAKE_INSTALL_MANDIR}/man1)
zipped(rollcall.json.5 ${CMAKE_BINARY_DIR}/rollcall.json.5 ${CMAKE_INSTALL_MANDIR}/man5)
zipped(changelog ${CMAKE_SOURCE_DIR}/conf/debian/changelog ${CMAKE_INSTALL_DATADIR}/doc/rollcall)
get_property(all_zipped GLOBAL PROPERTY ROLLCALL_ZIPPED)
add_custom_target(documents ALL DEPENDS ${all_zipped})

# ---- What only a Debian system has ----------------------------------------------------------------------------------

# Debian 12 still keeps units in /lib, and its helpers look there; later releases know only /usr/lib.
cmake_host_system_information(RESULT distribution QUERY DISTRIB_INFO)
if(distribution_ID STREQUAL debian AND distribution_VERSION_ID EQUAL 12)
    set(ROLLCALL_UNIT_DIR /lib/systemd/system)
else()
    set(ROLLCALL_UNIT_DIR /usr/lib/systemd/system)
endif()

option(ROLLCALL_DEBIAN "Install the unit, the configuration under /etc and Debian's documents, too" OFF)
if(ROLLCALL_DEBIAN)
    install(FILES conf/systemd/rollcall.service DESTINATION ${ROLLCALL_UNIT_DIR})
    install(FILES conf/debian/rollcall.json DESTINATION /etc/rollcall)
    install(DIRECTORY DESTINATION /etc/rollcall/secrets
        DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE)
    install(FILES conf/debian/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/rollcall)
    install(FILES conf/debian/lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME rollcall)
    file(GLOB guides CONFIGURE_DEPENDS conf/*.md)
    install(FILES ${guides} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/rollcall)
    file(GLOB examples CONFIGURE_DEPENDS conf/*.json conf/*.cfg conf/*.conf)
    list(FILTER examples EXCLUDE REGEX schema)
    install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/rollcall/examples)
    install(DIRECTORY conf/redis conf/prometheus conf/grafana DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/rollcall/examples)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME rollcall)
set(CPACK_PACKAGE_VENDOR "Rollcall maintainers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "WebSocket edge server that knows who is here")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "Rollcall maintainers <maintainers@rollcall.invalid>")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# libwebsockets loads the first by name at run time; the group that may read the secrets comes from the second.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libwebsockets-evlib-uv, adduser")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server (>= 5:7.0), haproxy")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Browsers and phones connect with the Pusher Channels client libraries, back
ends publish through Pusher's HTTP API with the server SDKs. One process
keeps presence in memory; a fleet of them keeps it in Redis shards, under
Sentinel or at fixed addresses, and puts back whatever Redis loses.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/conf/debian/postinst ${CMAKE_SOURCE_DIR}/conf/debian/prerm ${CMAKE_SOURCE_DIR}/conf/debian/postrm
    ${CMAKE_SOURCE_DIR}/conf/debian/conffiles)
include(CPack)
