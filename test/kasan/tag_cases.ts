/**
 * What each case of kasan_test has to report in the tag modes: kind and access. The kind of what is not in a slab, and of
 * what a neighbour's tag gives away, is invalid-access (Linux mm/kasan/report_tags.c). Cases that are not listed report
 * nothing.
 */
const times = (count: number, what: string): string[] => Array.from({ length: count }, () => what);

/** Of a granule in part, of a compiler's red zones. Linux skips the first two too, and the others without CONFIG_KASAN_STACK. */
export const ONLY_GENERIC: ReadonlySet<string> = new Set([
  "kmalloc_oob_16",
  "kasan_bitops_generic",
  ..."kasan_global_oob_right kasan_global_oob_left kasan_stack_oob kasan_alloca_oob_left".split(" "),
  "kasan_alloca_oob_right",
]);

/** As in Linux: hardware tags leave mappings of others' pages alone, and know nothing of memmove()'s length. */
export const NOT_HARDWARE: ReadonlySet<string> = new Set([
  "kmalloc_memmove_negative_size",
  "vmap_tags",
  "vm_map_ram_tags",
]);

export const TAG_CASES: { readonly [name: string]: readonly string[] } = {
  kmalloc_oob_right: ["slab-out-of-bounds Write", "invalid-access Read"],
  kmalloc_oob_left: ["invalid-access Read"],
  kmalloc_node_oob_right: ["invalid-access Read"],
  kmalloc_pagealloc_oob_right: ["invalid-access Write"],
  kmalloc_pagealloc_uaf: ["invalid-access Read"],
  kmalloc_pagealloc_invalid_free: ["invalid-free Free"],
  pagealloc_oob_right: ["invalid-access Read"],
  pagealloc_uaf: ["invalid-access Read"],
  kmalloc_large_oob_right: ["slab-out-of-bounds Write"],
  krealloc_more_oob: ["slab-out-of-bounds Write"],
  krealloc_less_oob: times(4, "slab-out-of-bounds Write"),
  krealloc_pagealloc_more_oob: ["invalid-access Write"],
  krealloc_pagealloc_less_oob: times(4, "invalid-access Write"),
  krealloc_uaf: times(2, "use-after-free Read"),
  kmalloc_uaf_16: ["use-after-free Read"],
  kmalloc_oob_in_memset: ["slab-out-of-bounds Write"],
  kmalloc_oob_memset_2: ["slab-out-of-bounds Write"],
  kmalloc_oob_memset_4: ["slab-out-of-bounds Write"],
  kmalloc_oob_memset_8: ["slab-out-of-bounds Write"],
  kmalloc_oob_memset_16: ["slab-out-of-bounds Write"],
  kmalloc_memmove_negative_size: ["slab-out-of-bounds Read"],
  kmalloc_memmove_invalid_size: ["slab-out-of-bounds Read"],
  kmalloc_uaf: ["use-after-free Read"],
  kmalloc_uaf_memset: ["use-after-free Write"],
  kmalloc_uaf2: ["use-after-free Read"],
  kmalloc_uaf3: ["use-after-free Read"],
  kmem_cache_oob: ["invalid-access Read"],
  ksize_unpoisons_memory: ["invalid-access Read"],
  ksize_uaf: times(3, "use-after-free Read"),
  kmem_cache_double_free: ["double-free Free"],
  kmem_cache_invalid_free: ["invalid-free Free"],
  kmem_cache_double_destroy: ["use-after-free Read"],
  kasan_memchr: ["invalid-access Read"],
  kasan_memcmp: ["invalid-access Read"],
  kasan_strings: ["use-after-free Read"],
  kasan_bitops_tags: [
    ...times(15, "slab-out-of-bounds Write"),
    "slab-out-of-bounds Read",
    "slab-out-of-bounds Write",
  ],
  kmalloc_double_kzfree: ["use-after-free Read", "double-free Free"],
  vmalloc_oob: ["invalid-access Read"],
};
