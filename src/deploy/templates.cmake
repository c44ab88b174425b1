# The texts of generated projects, each under its path below templates/.
set(template_root ${CMAKE_CURRENT_SOURCE_DIR}/deploy/templates)
file(GLOB_RECURSE template_files CONFIGURE_DEPENDS ${template_root}/*)
list(SORT template_files)
espquant_embed(EMBEDDED_TEMPLATES HEADER deploy/templates.h
               FUNCTION espquant::deploy::embedded_templates BELOW ${template_root}
               FILES ${template_files})
