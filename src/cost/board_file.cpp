#include "cost/board_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/toml_text.h"

namespace espquant::cost {
namespace {

struct BoardKey {
  std::string_view key;
  double Board::*value;
};

constexpr std::array kBoardKeys = {
    BoardKey{"clock_mhz", &Board::clock_mhz},
    BoardKey{"cache_bytes", &Board::cache_bytes},
    BoardKey{"line_bytes", &Board::line_bytes},
    BoardKey{"second_cache_bytes", &Board::second_cache_bytes},
    BoardKey{"second_line_bytes", &Board::second_line_bytes},
    BoardKey{"tile_bytes", &Board::tile_bytes},
    BoardKey{"second_core_saves", &Board::second_core_saves},
    BoardKey{"within", &Board::within},
};

double board_number(const toml::node& node, std::string_view key) {
  const auto number = node.value<double>();
  if (!number || !node.is_number())
    throw Error(ErrorCode::Malformed, fmt::format("'{}' of a board must be a number", key));
  return *number;
}

std::string board_string(const toml::node& node, std::string_view key) {
  if (!node.is_string())
    throw Error(ErrorCode::Malformed, fmt::format("'{}' of a board must be a text", key));
  return **node.as_string();
}

void read_cycles(const toml::node& node, NodeWork& cycles) {
  const auto* table = node.as_table();
  if (table == nullptr) throw Error(ErrorCode::Malformed, "[cycles] of a board must be a table");
  for (const auto& [key, value] : *table) {
    const auto kind = std::find_if(kWorkKinds.begin(), kWorkKinds.end(),
                                   [name = key.str()](const WorkKind& k) { return k.key == name; });
    if (kind == kWorkKinds.end())
      throw Error(ErrorCode::Malformed, fmt::format("[cycles] has no '{}'", key.str()))
          .remedy("docs/your-board.md lists the keys");
    cycles.*kind->amount = board_number(value, key.str());
  }
}

BoardFile read_board(const toml::table& table) {
  BoardFile file;
  const auto text = [&](std::string_view key) {
    const auto* node = table.get(key);
    if (node == nullptr)
      throw Error(ErrorCode::Malformed, fmt::format("a board needs '{}'", key))
          .remedy("Make the file with espquant latency --fit --out");
    return board_string(*node, key);
  };
  const Target& chip = find_target(text("target"));
  file.espdl = text("espdl");
  const Target& target = chip.under(find_release(file.espdl));
  file.target = target.name;
  file.board = board_of(target);
  for (const auto& [key, value] : table) {
    if (key == "target" || key == "espdl") continue;
    const auto known =
        std::find_if(kBoardKeys.begin(), kBoardKeys.end(),
                     [name = key.str()](const BoardKey& k) { return k.key == name; });
    if (key == "name")
      file.board.name = board_string(value, "name");
    else if (key == "cycles")
      read_cycles(value, file.board.cycles);
    else if (known != kBoardKeys.end())
      file.board.*known->value = board_number(value, key.str());
    else
      throw Error(ErrorCode::Malformed, fmt::format("a board has no '{}'", key.str()))
          .remedy("docs/your-board.md lists the keys");
  }
  check_board(file.board);
  return file;
}

/// As TOML writes it: quotes and controls escaped.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + '"';
}

}  // namespace

BoardFile parse_board(std::string_view toml, const std::string& file_name) try {
  return read_board(parse_toml(toml));
} catch (Error& error) {
  throw error.file(file_name);
}

std::string board_text(const BoardFile& file) {
  std::string text = fmt::format("name = {}\ntarget = {}\nespdl = {}\n", quoted(file.board.name),
                                 quoted(file.target), quoted(file.espdl));
  for (const auto& entry : kBoardKeys)
    text += fmt::format("{} = {:.6g}\n", entry.key, file.board.*entry.value);
  text += "\n# of a core\n[cycles]\n";
  for (const auto& kind : kWorkKinds)
    text += fmt::format("{} = {:.6g}\n", kind.key, file.board.cycles.*kind.amount);
  return text;
}

}  // namespace espquant::cost
