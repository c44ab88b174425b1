# Run by espquant_embed at build time.
string(REPLACE "|" ";" FILES "${FILES}")
set(entries "")
foreach(file IN LISTS FILES)
  if(BELOW)
    file(RELATIVE_PATH name "${BELOW}" "${file}")
  else()
    get_filename_component(name "${file}" NAME_WE)
  endif()
  file(READ "${file}" text)
  string(APPEND entries "    {\"${name}\", R\"embedded(${text})embedded\"},\n")
endforeach()
file(WRITE "${SOURCE}" "#include \"${HEADER}\"

namespace {

constexpr espquant::EmbeddedText kTexts[] = {
${entries}};

}  // namespace

std::span<const espquant::EmbeddedText> ${FUNCTION}() { return kTexts; }
")
