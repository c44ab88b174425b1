#include "data/zip_writer.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <string_view>

#include "base/error.h"
#include "data/zip_format.h"

namespace espquant::data {

/// From here on 32 bits may not hold what a member compresses to.
constexpr std::uint64_t kNeeds64 = 0xFF000000;

/// What the directory will say of a member.
struct WrittenMember {
  std::string name;
  std::uint64_t offset = 0, size = 0, packed = 0;
  uLong crc = 0;
  bool deflated = false;

  bool is_large() const { return size >= kNeeds64; }
};

namespace {

using Record = std::vector<std::byte>;

void put(Record& out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void put_text(Record& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
}

/// The fields that a local header and a directory entry have in common, from "version needed" to
/// the length of the extra field.
void put_common(Record& out, const WrittenMember& m, std::size_t extra_size) {
  constexpr std::uint64_t kVersion20 = 20, kVersion45 = 45, kFirstOfJanuary1980 = 0x21;
  // Without the flag readers take names for code page 437.
  const bool ascii =
      std::ranges::all_of(m.name, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  put(out, extra_size > 0 ? kVersion45 : kVersion20, 2);
  put(out, ascii ? 0 : kUtf8Flag, 2);
  put(out, m.deflated ? kDeflated : kStored, 2);
  put(out, 0, 2);
  put(out, kFirstOfJanuary1980, 2);
  put(out, m.crc, 4);
  put(out, m.is_large() ? kIn64BitField : m.packed, 4);
  put(out, m.is_large() ? kIn64BitField : m.size, 4);
  put(out, m.name.size(), 2);
  put(out, extra_size, 2);
}

Record local_header(const WrittenMember& m) {
  Record extra, header;
  if (m.is_large()) {
    put(extra, kZip64Extra, 2);
    put(extra, 16, 2);
    put(extra, m.size, 8);
    put(extra, m.packed, 8);
  }
  put(header, kLocalSignature, 4);
  put_common(header, m, extra.size());
  put_text(header, m.name);
  header.insert(header.end(), extra.begin(), extra.end());
  return header;
}

void put_entry(Record& directory, const WrittenMember& m) {
  const bool far = m.offset >= kIn64BitField;
  Record fields, extra;
  if (m.is_large()) {
    put(fields, m.size, 8);
    put(fields, m.packed, 8);
  }
  if (far) put(fields, m.offset, 8);
  if (!fields.empty()) {
    put(extra, kZip64Extra, 2);
    put(extra, fields.size(), 2);
    extra.insert(extra.end(), fields.begin(), fields.end());
  }
  put(directory, kEntrySignature, 4);
  put(directory, 20, 2);
  put_common(directory, m, extra.size());
  put(directory, 0, 2 + 2 + 2);
  put(directory, 0, 4);
  put(directory, far ? kIn64BitField : m.offset, 4);
  put_text(directory, m.name);
  directory.insert(directory.end(), extra.begin(), extra.end());
}

}  // namespace

struct ZipWriter::State {
  ByteSink& sink;
  bool compress;
  std::uint64_t position = 0;
  std::vector<WrittenMember> members;
  z_stream deflater{};
  bool deflating = false;

  void append(std::span<const std::byte> bytes) {
    sink.append(bytes);
    position += bytes.size();
  }
  void deflate_some(std::span<const std::byte> bytes, int flush) {
    constexpr std::size_t kStep = std::numeric_limits<uInt>::max() / 2;
    do {
      const auto some = bytes.first(std::min(bytes.size(), kStep));
      bytes = bytes.subspan(some.size());
      deflater.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(some.data()));
      deflater.avail_in = static_cast<uInt>(some.size());
      int result = Z_OK;
      do {
        std::array<std::byte, 1 << 16> packed;
        deflater.next_out = reinterpret_cast<Bytef*>(packed.data());
        deflater.avail_out = static_cast<uInt>(packed.size());
        result = deflate(&deflater, bytes.empty() ? flush : Z_NO_FLUSH);
        ESPQUANT_ASSERT(result != Z_STREAM_ERROR, "deflate lost its way");
        append(std::span(packed).first(packed.size() - deflater.avail_out));
      } while (deflater.avail_out == 0);
    } while (!bytes.empty());
  }
};

ZipWriter::ZipWriter(ByteSink& sink, bool compress)
    : state_(new State{sink, compress, 0, {}, {}, false}) {}

ZipWriter::~ZipWriter() {
  if (state_->deflating) deflateEnd(&state_->deflater);
}

void ZipWriter::begin(const std::string& name, std::uint64_t size) {
  State& s = *state_;
  WrittenMember& m = s.members.emplace_back();
  m.name = name;
  m.offset = s.position;
  m.size = size;
  m.crc = crc32(0, nullptr, 0);
  m.deflated = s.compress;
  s.append(local_header(m));
  if (!s.compress) return;
  s.deflater = {};
  if (deflateInit2(&s.deflater, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  s.deflating = true;
}

void ZipWriter::write(std::span<const std::byte> bytes) {
  State& s = *state_;
  WrittenMember& m = s.members.back();
  m.crc = crc32_z(m.crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (s.compress)
    s.deflate_some(bytes, Z_NO_FLUSH);
  else
    s.append(bytes);
}

void ZipWriter::end() {
  State& s = *state_;
  WrittenMember& m = s.members.back();
  if (s.compress) {
    s.deflate_some({}, Z_FINISH);
    deflateEnd(&s.deflater);
    s.deflating = false;
  }
  m.packed = s.position - m.offset - local_header(m).size();
  s.sink.patch(m.offset, local_header(m));
}

void ZipWriter::finish() {
  State& s = *state_;
  Record directory, end;
  for (const WrittenMember& m : s.members) put_entry(directory, m);
  constexpr std::size_t kMostEntries = 0xFFFF;
  const std::uint64_t entries = s.members.size(), offset = s.position;
  const bool large =
      entries >= kMostEntries || directory.size() >= kIn64BitField || offset >= kIn64BitField;
  if (large) {
    put(end, kEnd64Signature, 4);
    put(end, kEnd64Size - 12, 8);
    put(end, 45, 2);
    put(end, 45, 2);
    put(end, 0, 4 + 4);
    put(end, entries, 8);
    put(end, entries, 8);
    put(end, directory.size(), 8);
    put(end, offset, 8);
    put(end, kEnd64LocatorSignature, 4);
    put(end, 0, 4);
    put(end, offset + directory.size(), 8);
    put(end, 1, 4);
  }
  put(end, kEndSignature, 4);
  put(end, 0, 4);
  put(end, std::min<std::uint64_t>(entries, kMostEntries), 2);
  put(end, std::min<std::uint64_t>(entries, kMostEntries), 2);
  put(end, std::min<std::uint64_t>(directory.size(), kIn64BitField), 4);
  put(end, std::min<std::uint64_t>(offset, kIn64BitField), 4);
  put(end, 0, 2);
  s.append(directory);
  s.append(end);
}

}  // namespace espquant::data
