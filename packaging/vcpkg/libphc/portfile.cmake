# Takes the library from the release's tarballs, and compiles nothing. The tarballs for Linux need glibc; vcpkg has no
# name for systems with musl.
if(VCPKG_TARGET_ARCHITECTURE STREQUAL "arm64")
    set(platform aarch64)
else()
    set(platform x86_64)
endif()
if(VCPKG_TARGET_IS_LINUX)
    string(APPEND platform -linux-gnu)
elseif(VCPKG_TARGET_IS_MINGW)
    string(APPEND platform -windows)
else()
    string(APPEND platform "-${VCPKG_CMAKE_SYSTEM_NAME}")
endif()

@HASHES@
if(NOT DEFINED sha512_${platform})
    message(FATAL_ERROR "this release of libphc has no library for ${platform}; it has @PLATFORMS@")
endif()

vcpkg_download_distfile(archive
    URLS "@URL@/${file_${platform}}"
    FILENAME "${file_${platform}}"
    SHA512 "${sha512_${platform}}"
)
vcpkg_extract_source_archive(source ARCHIVE "${archive}")

# One library for programs with and without debug information.
set(VCPKG_BUILD_TYPE release)
file(INSTALL "${source}/include" DESTINATION "${CURRENT_PACKAGES_DIR}")
if(VCPKG_LIBRARY_LINKAGE STREQUAL "dynamic")
    file(GLOB libraries "${source}/lib/libphc.so*" "${source}/lib/libphc.dll.a")
    file(GLOB programs "${source}/bin/*.dll")
    if(programs)
        file(INSTALL ${programs} DESTINATION "${CURRENT_PACKAGES_DIR}/bin")
    endif()
else()
    set(libraries "${source}/lib/libphc.a")
endif()
file(INSTALL ${libraries} DESTINATION "${CURRENT_PACKAGES_DIR}/lib")

# The CMake package, in the place that vcpkg gives to it. Its paths are relative to lib/cmake/phc.
foreach(name IN ITEMS phcConfig phcConfigVersion)
    file(READ "${source}/lib/cmake/phc/${name}.cmake" text)
    string(REPLACE ":../../lib" ":../../../lib/lib" text "${text}")
    string(REPLACE ":../../../" ":../../" text "${text}")
    file(WRITE "${CURRENT_PACKAGES_DIR}/share/phc/${name}.cmake" "${text}")
endforeach()
file(INSTALL "${source}/lib/pkgconfig" DESTINATION "${CURRENT_PACKAGES_DIR}/lib")
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${source}/share/doc/libphc/LICENSE" "${source}/share/doc/libphc/THIRD-PARTY.txt")
