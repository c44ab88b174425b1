#pragma once

namespace firmware {

// Makes the card's files appear below /sdcard. Returns whether that worked, having said why not.
bool mount_sdcard();

}  // namespace firmware
