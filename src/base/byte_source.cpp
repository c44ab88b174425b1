#include "base/byte_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/descriptor.h"
#include "base/error.h"

namespace espquant {
namespace {

class FileBytes : public ByteSource {
 public:
  explicit FileBytes(const std::filesystem::path& path)
      : path_(path), file_(detail::open_to_read(path)) {}

  std::uint64_t size() const override { return file_.size; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t n =
          ::pread(file_.descriptor.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) detail::io_error(path_, "read it", errno);
      if (n == 0)
        throw Error(ErrorCode::Malformed, "it has become shorter while it was read")
            .file(path_.string());
      out = out.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
  }

 private:
  std::filesystem::path path_;
  detail::OpenFile file_;
};

class HeldBytes : public ByteSource {
 public:
  explicit HeldBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  std::uint64_t size() const override { return bytes_.size(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    ESPQUANT_ASSERT(offset <= bytes_.size() && out.size() <= bytes_.size() - offset,
                    "bytes beyond the end are read");
    std::ranges::copy(std::span(bytes_).subspan(static_cast<std::size_t>(offset), out.size()),
                      out.begin());
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

std::shared_ptr<const ByteSource> bytes_of_file(const std::filesystem::path& path) {
  return std::make_shared<FileBytes>(path);
}

std::shared_ptr<const ByteSource> bytes_in_memory(std::vector<std::byte> bytes) {
  return std::make_shared<HeldBytes>(std::move(bytes));
}

}  // namespace espquant
