# The Debian package, made by `cpack` in the build folder: scripts/package.sh.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME espquant)
set(CPACK_PACKAGE_VENDOR espquant)
set(CPACK_PACKAGE_CONTACT "espquant maintainers <maintainers@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "quantizes ONNX networks for Espressif chips")
set(CPACK_PACKAGE_DESCRIPTION "Turns ONNX networks into the .espdl files that ESP-DL runs on an ESP32-S3, ESP32-P4 and others,
and computes the very integers that the chip will compute: program, C++ library and Python module.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# ldconfig behind the installation and the removal of a shared library.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")
file(WRITE ${CMAKE_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/triggers)
# To develop against the static library.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libdnnl-dev, libhwy-dev, libtbb-dev, libfmt-dev, libprotobuf-dev, libopencv-imgproc-dev, libjpeg62-turbo-dev, libpng-dev, zlib1g-dev, libsqlite3-dev, libssl-dev, libtomlplusplus-dev")
if(TARGET espquant_python)
  math(EXPR next "${Python3_VERSION_MINOR} + 1")
  set(CPACK_DEBIAN_PACKAGE_DEPENDS
      "python3 (>= 3.${Python3_VERSION_MINOR}), python3 (<< 3.${next}), python3-numpy")
endif()
include(CPack)
