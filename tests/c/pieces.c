/* Does one piece of the library's work so many times, for `xtask guard`: src/capi/pieces.rs. */
#include <stdint.h>
#include <stdlib.h>

int32_t phc_piece(const char *name, uint32_t count);

int main(int count, char **arguments) {
    if (count != 3) {
        return 2;
    }
    return phc_piece(arguments[1], (uint32_t)strtoul(arguments[2], NULL, 10)) == 1 ? 0 : 1;
}
