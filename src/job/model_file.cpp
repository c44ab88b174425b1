#include "job/model_file.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string_view>

#include "base/file.h"
#include "sim/made_for.h"
#include "sim/program.h"

namespace espquant::job {
namespace {

bool is_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

bool is_network(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".onnx" || extension == ".espdl") return extension == ".onnx";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  char magic[3] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof(magic));
  const std::string_view found(magic, sizeof(magic));
  return found != "EDL" && found != "PDL";
}

espdl::Key read_key(const std::string& digits_or_file) {
  constexpr std::uint64_t kLargestKeyFile = 4096;
  espdl::Key key;
  if (is_hexadecimal(digits_or_file) && !std::filesystem::exists(digits_or_file))
    return espdl::parse_key(digits_or_file);
  const std::filesystem::path path = digits_or_file;
  if (!std::filesystem::exists(path))
    // Without repeating it: it may be a key that was mistyped.
    throw Error(ErrorCode::Usage, "--key gives neither 32 hexadecimal digits nor a file");
  try {
    const auto content = read_file(path, kLargestKeyFile);
    if (content.size() == key.size()) {
      std::copy(content.begin(), content.end(), key.begin());
      return key;
    }
    return espdl::parse_key(
        trimmed({reinterpret_cast<const char*>(content.data()), content.size()}));
  } catch (Error& error) {
    throw error.file(path.string());
  }
}

espdl::ReadOptions ModelFile::read_options() const {
  espdl::ReadOptions options;
  options.name = name;
  if (!key.empty()) options.key = read_key(key);
  return options;
}

espdl::Model ModelFile::load() const try {
  return espdl::read_model_file(path, read_options());
} catch (Error& error) {
  if (error.code() == ErrorCode::Malformed && path.extension() == ".onnx")
    throw Error(ErrorCode::Malformed, "is a network, and this command takes an .espdl")
        .file(path.string())
        .remedy("Quantize it first: espquant quantize FILE --calib DATA");
  throw;
}

std::optional<std::filesystem::path> ModelFile::banks_file() const {
  if (banks == "none") return std::nullopt;
  if (!banks.empty()) return banks;
  std::filesystem::path beside = std::filesystem::path(path).replace_extension(".banks");
  if (path.extension() != ".espdl" || !std::filesystem::exists(beside)) return std::nullopt;
  return beside;
}

espdl::Banks ModelFile::load_banks(const espdl::Model& model) const {
  const auto file = banks_file();
  if (!file) return {};
  try {
    return espdl::read_banks(read_file(*file), model, read_file(path));
  } catch (Error& error) {
    throw error.file(file->string());
  }
}

const Target& ModelFile::target_for(const espdl::Model& model) const {
  return sim::target_of(model, target, espdl);
}

const Target& ModelFile::target_to_run(const espdl::Model& model) const try {
  const Target& chip = target_for(model);
  sim::require_packed_for(model, chip);
  return chip;
} catch (Error& error) {
  throw error.file(path.string());
}

}  // namespace espquant::job
