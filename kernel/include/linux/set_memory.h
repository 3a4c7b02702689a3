/* What may be done with kernel pages. Mirrors Linux include/linux/set_memory.h. */
#ifndef _LINUX_SET_MEMORY_H
#define _LINUX_SET_MEMORY_H

/* Of whole pages from addr on, on every processor that has not seen them before; pages of 2 MiB are split. */
int set_memory_ro(unsigned long addr, int numpages);
int set_memory_rw(unsigned long addr, int numpages);
int set_memory_nx(unsigned long addr, int numpages);
int set_memory_np(unsigned long addr, int numpages);
int set_memory_x(unsigned long addr, int numpages);
/* Only splits. */
int set_memory_4k(unsigned long addr, int numpages);
/* The end of booting: code and constants become read-only, everything but code no-execute. */
void mark_rodata_ro(void);
void free_initmem(void);
#endif
