# The generated protobuf code is a library of its own, without the project's warnings, and a system include.
set(ONNX_SCHEMA_DIR ${CMAKE_BINARY_DIR}/generated/onnx)
file(MAKE_DIRECTORY ${ONNX_SCHEMA_DIR})
add_custom_command(
  OUTPUT ${ONNX_SCHEMA_DIR}/onnx_schema.pb.cc ${ONNX_SCHEMA_DIR}/onnx_schema.pb.h
  COMMAND protobuf::protoc --cpp_out=${ONNX_SCHEMA_DIR} -I ${CMAKE_CURRENT_SOURCE_DIR}/onnx onnx_schema.proto
  DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/onnx/onnx_schema.proto
  VERBATIM)
add_library(espquant_onnx_schema STATIC ${ONNX_SCHEMA_DIR}/onnx_schema.pb.cc ${ONNX_SCHEMA_DIR}/onnx_schema.pb.h)
target_include_directories(espquant_onnx_schema SYSTEM PUBLIC ${ONNX_SCHEMA_DIR})
target_link_libraries(espquant_onnx_schema PUBLIC protobuf::libprotobuf-lite)
if(ESPQUANT_SANITIZE)
  target_compile_options(espquant_onnx_schema PRIVATE -fsanitize=${ESPQUANT_SANITIZE})
endif()
