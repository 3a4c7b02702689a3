/* Memory before the page allocator: ranges of RAM and what in them is taken. Mirrors Linux mm/memblock.c. */
#ifndef _LINUX_MEMBLOCK_H
#define _LINUX_MEMBLOCK_H
#include <linux/types.h>

struct memblock_region { phys_addr_t base, size; };
struct memblock_type { unsigned long cnt; struct memblock_region regions[64]; };
struct memblock { struct memblock_type memory, reserved; };
extern struct memblock memblock;

void memblock_add(phys_addr_t base, phys_addr_t size);
void memblock_reserve(phys_addr_t base, phys_addr_t size);
/* Zeroed memory in the direct map; panics when there is none. */
void *memblock_alloc(phys_addr_t size, phys_addr_t align);
bool memblock_is_memory(phys_addr_t addr);
bool memblock_is_reserved(phys_addr_t addr);
#endif
