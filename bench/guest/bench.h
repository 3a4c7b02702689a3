/* What the bench guest's files share. */
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
#ifdef __x86_64__
typedef unsigned long long word;
#else
typedef unsigned int word;
#endif

/* Provided by start64.S and start32.S. */
extern void trap_page_fault(void);
extern void trap_int80(void);

u32 run_alu(void);
u32 run_sieve(void);
u32 run_memloop(void);
u32 run_memrep(void);
u32 run_chase(void);
u32 run_qsort(void);
u32 run_crc32(void);
u32 run_fib(void);
u32 run_vm(void);
u32 run_sha256(void);
u32 run_mix(void);
u32 run_xpage(void);
u32 run_pio(void);

#endif
