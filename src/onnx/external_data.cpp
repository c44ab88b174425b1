#include "onnx/external_data.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace espquant::onnx {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRemedy =
    "keep the data file in the model's folder and name it by a relative path";

Error refusal(std::string message) {
  return Error(ErrorCode::BadData, "external data: " + std::move(message)).remedy(kRemedy);
}

fs::path confined_path(const fs::path& folder, const std::string& file) {
  if (folder.empty()) throw refusal("a model without a folder cannot have any");
  const fs::path relative(file);
  if (file.empty() || file.find('\0') != std::string::npos)
    throw refusal("the file has no usable name");
  if (relative.is_absolute()) throw refusal(fmt::format("'{}' is an absolute path", file));
  if (std::find(relative.begin(), relative.end(), "..") != relative.end())
    throw refusal(fmt::format("'{}' leads out of the model's folder", file));
  std::error_code error;
  const fs::path home = fs::canonical(folder, error);
  if (error)
    throw Error(ErrorCode::Io, "cannot read the model's folder: " + error.message())
        .file(folder.string());
  const fs::path real = fs::canonical(home / relative, error);
  if (error)
    throw Error(ErrorCode::Io,
                fmt::format("external data: cannot read '{}': {}", file, error.message()))
        .remedy(kRemedy);
  if (std::mismatch(home.begin(), home.end(), real.begin(), real.end()).first != home.end())
    throw refusal(fmt::format("'{}' is a link that leads out of the model's folder", file));
  return real;
}

}  // namespace

ExternalFile::ExternalFile(const fs::path& folder, const ExternalLocation& location)
    : location_(location) {
  const fs::path path = confined_path(folder, location.file);
  // The path is resolved: a link that appears in its place afterwards is not followed.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor_ < 0)
    throw Error(ErrorCode::Io, fmt::format("external data: cannot read '{}': {}", location.file,
                                           std::strerror(errno)));
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor_);
    throw refusal(fmt::format("'{}' is not a regular file", location.file));
  }
  file_size_ = static_cast<std::uint64_t>(info.st_size);
}

ExternalFile::~ExternalFile() { ::close(descriptor_); }

void ExternalFile::check_holds(std::uint64_t size) const {
  if (location_.length && *location_.length != size)
    throw Error(ErrorCode::Malformed,
                fmt::format("external data: {} bytes stated, the shape asks for {}",
                            *location_.length, size));
  if (location_.offset > file_size_ || size > file_size_ - location_.offset)
    throw Error(ErrorCode::Malformed,
                fmt::format("external data: '{}' has {} bytes, the tensor asks for {} from {} on",
                            location_.file, file_size_, size, location_.offset))
        .remedy("the data file is truncated or belongs to another model; export the model again");
}

void ExternalFile::read(std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(descriptor_, out.data() + done, out.size() - done,
                              static_cast<off_t>(location_.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      throw Error(ErrorCode::Io, fmt::format("external data: cannot read '{}': {}", location_.file,
                                             n == 0 ? "it became shorter" : std::strerror(errno)));
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace espquant::onnx
