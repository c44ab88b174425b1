#include "data/npz_frames.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "data/npy.h"
#include "data/zip_writer.h"

namespace espquant::data {
namespace {

Error cannot_write(const std::filesystem::path& path) {
  return Error(ErrorCode::Io, fmt::format("cannot write it: {}", std::strerror(errno)))
      .file(path.string());
}

void write_at(int file, const std::filesystem::path& path, std::span<const std::byte> bytes,
              std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw cannot_write(path);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
}

class FileSink : public ByteSink {
 public:
  FileSink(const std::filesystem::path& at, std::filesystem::path shown)
      : shown_(std::move(shown)) {
    file_ = ::open(at.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file_ < 0) throw cannot_write(shown_);
  }
  ~FileSink() override {
    if (file_ >= 0) ::close(file_);
  }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  void append(std::span<const std::byte> bytes) override {
    write_at(file_, shown_, bytes, static_cast<std::int64_t>(size_));
    size_ += bytes.size();
  }
  void patch(std::uint64_t offset, std::span<const std::byte> bytes) override {
    write_at(file_, shown_, bytes, static_cast<std::int64_t>(offset));
  }
  void close() {
    const int result = ::close(file_);
    file_ = -1;
    if (result != 0) throw cannot_write(shown_);
  }

 private:
  std::filesystem::path shown_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

std::int64_t bytes_of(const NpzFrames::Array& array) {
  return element_count(array.frame) * static_cast<std::int64_t>(size_of(array.dtype));
}

}  // namespace

Shape shape_of_frames(Shape frame, std::int64_t count) {
  if (count == 1) return frame;
  if (!frame.empty() && frame[0] == 1)
    frame[0] = count;
  else
    frame.insert(frame.begin(), count);
  return frame;
}

NpzFrames::NpzFrames(OutputFiles& files, std::filesystem::path path, std::vector<Array> arrays)
    : files_(files), path_(std::move(path)), arrays_(std::move(arrays)) {
  const std::filesystem::path name = files_.stage(path_.string() + ".frames");
  waiting_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (waiting_ < 0) throw cannot_write(path_);
  files_.unstage(name);
}

NpzFrames::~NpzFrames() {
  if (waiting_ >= 0) ::close(waiting_);
}

void NpzFrames::add(std::span<const Tensor> frame) {
  ESPQUANT_ASSERT(frame.size() == arrays_.size(), "a frame has a tensor for each array");
  std::int64_t size = 0;
  for (const Array& array : arrays_) size += bytes_of(array);
  std::int64_t at = frames_++ * size;
  for (std::size_t i = 0; i < frame.size(); ++i) {
    ESPQUANT_ASSERT(frame[i].dtype() == arrays_[i].dtype && frame[i].shape() == arrays_[i].frame,
                    "frames are of one type and shape");
    write_at(waiting_, path_, frame[i].bytes(), at);
    at += bytes_of(arrays_[i]);
  }
}

void NpzFrames::finish(const std::map<std::string, Tensor>& others) {
  FileSink sink(files_.stage(path_), path_);
  ZipWriter zip(sink, true);
  std::int64_t size = 0;
  std::map<std::string, std::pair<const Array*, std::int64_t>> growing;  // and where in a frame
  for (const Array& array : arrays_) {
    growing.emplace(array.name, std::pair(&array, size));
    size += bytes_of(array);
  }
  const auto write_growing = [&](const Array& array, std::int64_t at) {
    const auto header = npy_header(array.dtype, shape_of_frames(array.frame, frames_));
    zip.begin(array.name + ".npy",
              header.size() + static_cast<std::uint64_t>(bytes_of(array) * frames_));
    zip.write(header);
    std::vector<std::byte> one(static_cast<std::size_t>(bytes_of(array)));
    for (std::int64_t f = 0; f < frames_; ++f) {
      for (std::size_t done = 0; done < one.size();) {
        const ssize_t n = ::pread(waiting_, one.data() + done, one.size() - done,
                                  f * size + at + static_cast<std::int64_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw cannot_write(path_);
        done += static_cast<std::size_t>(n);
      }
      zip.write(one);
    }
    zip.end();
  };
  auto other = others.begin();
  const auto write_others_before = [&](const std::string* name) {
    for (; other != others.end() && (name == nullptr || other->first < *name); ++other) {
      const auto npy = write_npy(other->second);
      zip.begin(other->first + ".npy", npy.size());
      zip.write(npy);
      zip.end();
    }
  };
  for (const auto& [name, array] : growing) {
    write_others_before(&name);
    write_growing(*array.first, array.second);
  }
  write_others_before(nullptr);
  zip.finish();
  sink.close();
}

}  // namespace espquant::data
