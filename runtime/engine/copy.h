/* copy.c: an entry of one open directory into another, with its owner, mode and times; no link is followed. */
#ifndef WAFER_COPY_H
#define WAFER_COPY_H

#include <sys/stat.h>

/* All take what a stat of the source said, or what is to be true of the copy instead. -1 and errno. */
int copy_attributes(int fd, const struct stat *status);
/* As long as it was then; a clone where the file system can. */
int copy_file(int from, int to, const char *name, const struct stat *status);
int copy_symlink(int from, int to, const char *name, const struct stat *status);

#endif
