/* Removing trees by descriptor, without following links. See remove.c. */
#ifndef WAFER_REMOVE_H
#define WAFER_REMOVE_H

enum { REMOVE_DEPTH_MAX = 1000 };

struct remover {
	int hoist_fd; /* where deep directories are moved; -1: recurse up to REMOVE_DEPTH_MAX instead */
	int again;    /* something was hoisted: the root has to be emptied once more */
	unsigned long hoisted;
	unsigned long long entries;
	char failed[256]; /* name of the entry that could not be removed */
};

/* Removes everything in `dirfd`, not the directory itself. -1 with errno. */
int remove_contents(struct remover *remover, int dirfd, int depth);

#endif
