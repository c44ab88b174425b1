#include <cstdio>

extern "C" void app_main();

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  app_main();
  return 0;
}
