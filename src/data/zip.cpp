#include "data/zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "data/zip_format.h"
#include "data/zip_writer.h"

namespace espquant::data {
namespace {

constexpr std::size_t kMaxComment = 0xFFFF;
// Deflate spends at least two bits on a match of 258 bytes, and a stored length on an empty block.
constexpr std::size_t kMaxExpansion = 1032;

Error malformed_zip(std::string message) {
  return Error(ErrorCode::Malformed, "not a valid zip archive: " + std::move(message));
}

/// Takes little-endian fields off a range; every step is checked.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  void skip(std::uint64_t count) { take(count); }
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > rest_.size()) throw malformed_zip("it ends inside a record");
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  void expect(std::uint32_t signature, std::string_view record) {
    if (u32() != signature) throw malformed_zip(fmt::format("no {} where it should stand", record));
  }
  bool empty() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    const auto bytes = take(width);
    for (std::size_t i = width; i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return value;
  }
  std::span<const std::byte> rest_;
};

std::vector<std::byte> read_range(const ByteSource& archive, std::uint64_t offset,
                                  std::uint64_t count) {
  if (offset > archive.size() || count > archive.size() - offset)
    throw malformed_zip("it ends inside a record");
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  archive.read(offset, bytes);
  return bytes;
}

/// Where the end record stands in the last bytes of an archive.
std::size_t find_end_record(std::span<const std::byte> tail) {
  if (tail.size() >= kEndSize) {
    const std::size_t last = tail.size() - kEndSize;
    for (std::size_t comment = 0; comment <= std::min(last, kMaxComment); ++comment) {
      Fields fields(tail.subspan(last - comment));
      if (fields.u32() != kEndSignature) continue;
      fields.skip(kEndSize - 6);
      if (fields.u16() == comment) return last - comment;
    }
  }
  throw malformed_zip("no end record; the file is cut short or no .npz");
}

struct Directory {
  std::vector<std::byte> bytes;
  std::uint64_t offset = 0;
  std::uint64_t entries = 0;
};

Directory find_directory(const ByteSource& archive) {
  const std::uint64_t tail_size =
      std::min<std::uint64_t>(archive.size(), kMaxComment + kEndSize + kEnd64LocatorSize);
  const std::vector<std::byte> held = read_range(archive, archive.size() - tail_size, tail_size);
  const std::span<const std::byte> tail = held;
  const std::size_t end_in_tail = find_end_record(tail);
  const std::uint64_t end = archive.size() - tail_size + end_in_tail;
  Fields fields(tail.subspan(end_in_tail));
  fields.skip(4);
  const std::uint32_t volumes = fields.u32();
  fields.skip(2);
  std::uint64_t entries = fields.u16(), size = fields.u32(), offset = fields.u32();
  Fields locator(tail.subspan(end_in_tail - std::min(end_in_tail, kEnd64LocatorSize)));
  if (end_in_tail >= kEnd64LocatorSize && locator.u32() == kEnd64LocatorSignature) {
    locator.skip(4);
    const std::uint64_t end64 = locator.u64();
    if (end64 > archive.size() - std::min<std::uint64_t>(archive.size(), kEnd64Size))
      throw malformed_zip("its zip64 record stands outside the file");
    const std::vector<std::byte> record = read_range(archive, end64, kEnd64Size);
    Fields fields64(record);
    fields64.expect(kEnd64Signature, "zip64 record");
    fields64.skip(8 + 2 + 2 + 4 + 4 + 8);
    entries = fields64.u64();
    size = fields64.u64();
    offset = fields64.u64();
  } else if (volumes != 0) {
    throw Error(ErrorCode::Unsupported, "a zip archive of several volumes");
  }
  if (offset > end || size > end - offset)
    throw malformed_zip("its directory stands outside the file");
  return {read_range(archive, offset, size), offset, entries};
}

/// Sizes and offsets that overflowed their 32-bit field stand in the zip64 extra field, in this
/// order.
void read_zip64_extra(std::span<const std::byte> extra,
                      std::initializer_list<std::uint64_t*> values) {
  const bool needed = std::ranges::any_of(values, [](auto* v) { return *v == kIn64BitField; });
  Fields fields(extra);
  while (needed && fields.left() >= 4) {
    const std::uint16_t id = fields.u16();
    Fields field(fields.take(fields.u16()));
    if (id != kZip64Extra) continue;
    for (std::uint64_t* value : values)
      if (*value == kIn64BitField) *value = field.u64();
    return;
  }
}

ZipMember read_entry(Fields& fields, const ByteSource& archive, std::uint64_t directory) {
  ZipMember member;
  fields.expect(kEntrySignature, "directory entry");
  fields.skip(4);
  const std::uint16_t flags = fields.u16(), method = fields.u16();
  fields.skip(4);
  member.crc = fields.u32();
  std::uint64_t compressed = fields.u32(), size = fields.u32();
  const std::uint16_t name_size = fields.u16(), extra_size = fields.u16(),
                      comment_size = fields.u16();
  fields.skip(8);
  std::uint64_t local = fields.u32();
  const auto name = fields.take(name_size);
  member.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  read_zip64_extra(fields.take(extra_size), {&size, &compressed, &local});
  fields.skip(comment_size);

  if (member.name.empty() || member.name.find('\0') != std::string::npos)
    throw malformed_zip("a member without a usable name");
  if ((flags & kEncryptedFlag) != 0)
    throw Error(ErrorCode::Unsupported, "the member is encrypted").tensor(member.name);
  if (method != kStored && method != kDeflated)
    throw Error(ErrorCode::Unsupported, fmt::format("compression method {}", method))
        .tensor(member.name)
        .remedy("save with numpy.savez or numpy.savez_compressed");
  member.deflated = method == kDeflated;

  // The content must end before the directory.
  if (local > directory || kLocalSize > directory - local)
    throw malformed_zip("it ends inside a record");
  const std::vector<std::byte> local_header = read_range(archive, local, kLocalSize);
  Fields header(local_header);
  header.expect(kLocalSignature, "local header");
  header.skip(22);
  const std::uint64_t behind_header = std::uint64_t{header.u16()} + header.u16();
  const std::uint64_t room = directory - local - kLocalSize;
  if (behind_header > room || compressed > room - behind_header)
    throw malformed_zip("it ends inside a record");
  member.offset = local + kLocalSize + behind_header;
  member.compressed_size = compressed;
  if (member.deflated ? size / kMaxExpansion > compressed : size != compressed)
    throw malformed_zip(fmt::format("{} bytes cannot come from {}", size, compressed))
        .tensor(member.name);
  member.size = static_cast<std::size_t>(size);
  return member;
}

/// Members that share bytes are the trick of small archives that expand without bound.
void check_disjoint(const std::vector<ZipMember>& members) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  std::set<std::string_view> names;
  for (const ZipMember& member : members) {
    ranges.emplace_back(member.offset, member.offset + member.compressed_size);
    if (!names.insert(member.name).second)
      throw malformed_zip("two members of one name").tensor(member.name);
  }
  std::ranges::sort(ranges);
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second || ranges[i].first == ranges[i - 1].first)
      throw malformed_zip("members overlap");
}

}  // namespace

std::vector<ZipMember> list_zip(const ByteSource& archive, std::uint64_t limit) {
  const Directory directory = find_directory(archive);
  Fields fields(directory.bytes);
  std::vector<ZipMember> members;
  while (!fields.empty()) members.push_back(read_entry(fields, archive, directory.offset));
  if (members.size() != directory.entries) throw malformed_zip("its directory is incomplete");
  check_disjoint(members);
  for (const ZipMember& member : members) {
    if (member.size > limit)
      throw Error(ErrorCode::BadData, "the archive expands to more bytes than are accepted")
          .remedy("split it, or save fewer samples");
    limit -= member.size;
  }
  return members;
}

struct ZipReader::State {
  const ByteSource& archive;
  std::uint64_t offset, compressed_left;
  std::size_t left;
  uLong expected_crc, crc = crc32(0, nullptr, 0);
  std::optional<z_stream> inflater = {};
  /// What was read of the compressed bytes last.
  std::vector<std::byte> piece = {};

  void take(std::span<std::byte> out) {
    archive.read(offset, out);
    offset += out.size();
    compressed_left -= out.size();
  }
  /// Fills the front of `out`; returns how much.
  std::size_t inflate_into(std::span<std::byte> out);
};

ZipReader::ZipReader(const ByteSource& archive, const ZipMember& member)
    : state_(std::make_unique<State>(
          State{archive, member.offset, member.compressed_size, member.size, member.crc})) {
  if (!member.deflated) return;
  z_stream& stream = state_->inflater.emplace();
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
}

ZipReader::~ZipReader() {
  if (state_->inflater) inflateEnd(&*state_->inflater);
}

std::size_t ZipReader::State::inflate_into(std::span<std::byte> out) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  z_stream& stream = *inflater;
  if (stream.avail_in == 0) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, compressed_left)));
    take(piece);
    stream.next_in = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_in = static_cast<uInt>(piece.size());
  }
  const uInt offered = stream.avail_in, wanted = static_cast<uInt>(out.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = wanted;
  const int result = inflate(&stream, Z_NO_FLUSH);
  const uInt produced = wanted - stream.avail_out;
  if ((result != Z_OK && result != Z_STREAM_END) || (produced == 0 && offered == stream.avail_in))
    throw malformed_zip("compressed data is damaged or ends early");
  if (result == Z_STREAM_END && produced < left)
    throw malformed_zip("compressed data ends early");
  return produced;
}

void ZipReader::read(std::span<std::byte> out) {
  State& s = *state_;
  if (out.size() > s.left) throw malformed_zip("a member is shorter than its content needs");
  constexpr std::size_t kStep = std::size_t{1} << 20;
  while (!out.empty()) {
    auto next = out.first(std::min(out.size(), kStep));
    if (s.inflater)
      next = next.first(s.inflate_into(next));
    else
      s.take(next);
    s.crc = crc32_z(s.crc, reinterpret_cast<const Bytef*>(next.data()), next.size());
    s.left -= next.size();
    out = out.subspan(next.size());
  }
}

void ZipReader::finish() {
  if (state_->left != 0) throw malformed_zip("a member is longer than its content needs");
  if (state_->crc != state_->expected_crc)
    throw malformed_zip("the checksum of a member does not fit");
}

namespace {

class VectorSink : public ByteSink {
 public:
  void append(std::span<const std::byte> bytes) override {
    content.insert(content.end(), bytes.begin(), bytes.end());
  }
  void patch(std::uint64_t offset, std::span<const std::byte> bytes) override {
    std::ranges::copy(bytes, content.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  std::vector<std::byte> content;
};

}  // namespace

std::vector<std::byte> write_zip(
    std::span<const std::pair<std::string, std::vector<std::byte>>> members, bool compress) {
  VectorSink sink;
  ZipWriter zip(sink, compress);
  for (const auto& [name, content] : members) {
    zip.begin(name, content.size());
    zip.write(content);
    zip.end();
  }
  zip.finish();
  return std::move(sink.content);
}

}  // namespace espquant::data
