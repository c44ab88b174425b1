# libopencv-imgproc-dev carries no CMake package (that one is in libopencv-dev, with 170 libraries behind it).
find_path(OPENCV_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
find_library(OPENCV_CORE opencv_core REQUIRED)
find_library(OPENCV_IMGPROC opencv_imgproc REQUIRED)
add_library(opencv_imgproc_only INTERFACE)
target_include_directories(opencv_imgproc_only SYSTEM INTERFACE ${OPENCV_INCLUDE_DIR})
target_link_libraries(opencv_imgproc_only INTERFACE ${OPENCV_IMGPROC} ${OPENCV_CORE})

# Debian's dnnl CMake package asks for OpenCL, which the library's CPU half does not use.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(dnnl_cpu INTERFACE)
target_include_directories(dnnl_cpu SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(dnnl_cpu INTERFACE ${DNNL_LIBRARY})

# Highway, likewise by plain search.
find_path(HWY_INCLUDE_DIR hwy/highway.h REQUIRED)
find_library(HWY_LIBRARY hwy REQUIRED)
add_library(highway INTERFACE)
target_include_directories(highway SYSTEM INTERFACE ${HWY_INCLUDE_DIR})
target_link_libraries(highway INTERFACE ${HWY_LIBRARY})
