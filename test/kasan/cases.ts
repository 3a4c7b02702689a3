/**
 * What each case of kasan_test has to report, after Linux 6.1's own run of the suite (test/data: kasan-kunit.txt), with
 * this kernel's cache sizes: kind, access and size, place in the object. Cases that are not listed report nothing.
 */
type Expected = readonly [kind: string, access: string, place: string];

const oob = (access: string, place = ""): Expected => ["slab-out-of-bounds", access, place];
const freed = (access: string, place = ""): Expected => ["use-after-free", access, place];
const times = (count: number, what: Expected): Expected[] => Array.from({ length: count }, () => what);

export const HEAP_CASES: { readonly [name: string]: readonly Expected[] } = {
  kmalloc_oob_right: [
    oob("Write 1", "115 bytes inside of kmalloc-128"),
    oob("Write 1", "120 bytes inside of kmalloc-128"),
    oob("Read 1", "0 bytes to the right of kmalloc-128"),
  ],
  kmalloc_oob_left: [oob("Read 1", "15 bytes to the right of kmalloc-16")],
  kmalloc_node_oob_right: [oob("Read 1", "0 bytes to the right of kmalloc-4k")],
  kmalloc_pagealloc_oob_right: [oob("Write 1")],
  kmalloc_pagealloc_uaf: [freed("Read 1")],
  kmalloc_pagealloc_invalid_free: [["invalid-free", "Free 0", ""]],
  pagealloc_uaf: [freed("Read 1")],
  kmalloc_large_oob_right: [oob("Write 1", "3840 bytes inside of kmalloc-4k")],
  krealloc_more_oob: [
    oob("Write 1", "235 bytes inside of kmalloc-256"),
    oob("Write 1", "240 bytes inside of kmalloc-256"),
  ],
  krealloc_less_oob: [201, 208, 218, 234, 235].map((at) =>
    oob("Write 1", `${at} bytes inside of kmalloc-256`),
  ),
  krealloc_pagealloc_more_oob: times(2, oob("Write 1")),
  krealloc_pagealloc_less_oob: times(5, oob("Write 1")),
  krealloc_uaf: times(2, freed("Read 1", "0 bytes inside of kmalloc-256")),
  kmalloc_oob_16: [oob("Write 16", "0 bytes inside of kmalloc-16")],
  kmalloc_uaf_16: [freed("Read 16", "0 bytes inside of kmalloc-16")],
  kmalloc_oob_in_memset: [oob("Write 128", "0 bytes inside of kmalloc-128")],
  kmalloc_oob_memset_2: [oob("Write 2", "119 bytes inside of kmalloc-128")],
  kmalloc_oob_memset_4: [oob("Write 4", "117 bytes inside of kmalloc-128")],
  kmalloc_oob_memset_8: [oob("Write 8", "113 bytes inside of kmalloc-128")],
  kmalloc_oob_memset_16: [oob("Write 16", "105 bytes inside of kmalloc-128")],
  kmalloc_memmove_negative_size: [
    ["out-of-bounds", "Read 18446744073709551614", "4 bytes inside of kmalloc-64"],
  ],
  kmalloc_memmove_invalid_size: [oob("Read 64", "4 bytes inside of kmalloc-64")],
  kmalloc_uaf: [freed("Read 1", "8 bytes inside of kmalloc-16")],
  kmalloc_uaf_memset: [freed("Write 33", "0 bytes inside of kmalloc-64")],
  kmalloc_uaf2: [freed("Read 1", "40 bytes inside of kmalloc-64")],
  kmem_cache_oob: [oob("Read 1", "0 bytes to the right of test_cache")],
  ksize_unpoisons_memory: [oob("Read 1", "0 bytes to the right of kmalloc-128")],
  ksize_uaf: [0, 0, 120].map((at) => freed("Read 1", `${at} bytes inside of kmalloc-128`)),
  kmem_cache_double_free: [["double-free", "Free 0", "0 bytes inside of test_cache"]],
  kmem_cache_invalid_free: [["invalid-free", "Free 0", "1 bytes inside of test_cache"]],
  kmem_cache_double_destroy: [freed("Read 1", "0 bytes inside of kmem_cache")],
  kasan_memchr: [oob("Read 1", "24 bytes inside of kmalloc-32")],
  kasan_memcmp: [oob("Read 1", "24 bytes inside of kmalloc-32")],
  kasan_strings: times(6, freed("Read 1", "16 bytes inside of kmalloc-32")),
  kasan_bitops_generic: [
    ...times(15, oob("Write 8", "8 bytes inside of kmalloc-16")),
    oob("Read 8", "8 bytes inside of kmalloc-16"),
    oob("Write 8", "8 bytes inside of kmalloc-16"),
  ],
  kmalloc_double_kzfree: [
    freed("Read 1", "0 bytes inside of kmalloc-16"),
    ["double-free", "Free 0", "0 bytes inside of kmalloc-16"],
  ],
  vmalloc_oob: times(2, ["vmalloc-out-of-bounds", "Read 1", ""]),
};

/** Cases whose red zones only the compiler can place. */
export const COMPILER_CASES: { readonly [name: string]: readonly Expected[] } = {
  kasan_global_oob_right: [["global-out-of-bounds", "Read 1", ""]],
  kasan_global_oob_left: [["global-out-of-bounds", "Read 1", ""]],
  kasan_stack_oob: [["stack-out-of-bounds", "Read 1", ""]],
  kasan_alloca_oob_left: [["alloca-out-of-bounds", "Read 1", ""]],
  kasan_alloca_oob_right: [["alloca-out-of-bounds", "Read 1", ""]],
};
