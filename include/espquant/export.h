#pragma once

/// What a program outside the library can see.
#define ESPQUANT_API __attribute__((visibility("default")))
