# Generates <build>/src/<room>/<name>_generated.h from src/<room>/<name>.fbs and puts its path into `out`.
function(espquant_flatbuffers out schema)
  get_filename_component(name ${schema} NAME_WE)
  get_filename_component(folder ${schema} DIRECTORY)
  set(folder ${CMAKE_BINARY_DIR}/src/${folder})
  set(header ${folder}/${name}_generated.h)
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${FLATC} --cpp --scoped-enums -o ${folder} ${CMAKE_CURRENT_SOURCE_DIR}/${schema}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${schema}
    COMMENT "flatc ${schema}"
    VERBATIM)
  set(${out} ${header} PARENT_SCOPE)
endfunction()
