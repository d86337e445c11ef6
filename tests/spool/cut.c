/* Cuts the power of a mounted file system, as far as that can be done from inside: what is not on its disk yet is lost,
 * its journal included, and every later call on it fails. `cut FOLDER`, for ext4 and XFS; it needs root. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SHUTDOWN _IOR('X', 125, uint32_t)
enum { WITHOUT_FLUSH_OF_THE_JOURNAL = 2 };

int main(int argc, char **argv) {
    uint32_t how = WITHOUT_FLUSH_OF_THE_JOURNAL;
    int folder = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0 || ioctl(folder, SHUTDOWN, &how) != 0) {
        fprintf(stderr, "cut: %s: %s\n", argc == 2 ? argv[1] : "a folder is needed", strerror(errno));
        return 1;
    }
    close(folder);
    return 0;
}
