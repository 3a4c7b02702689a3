/*
 * VMCOREINFO: what dump tools must know before they can read anything else; and the registers of each CPU as
 * ELF notes. Mirrors Linux kernel/crash_core.c and kexec_core.c.
 */
#include <asm/processor.h>
#include <linux/buildid.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/printk_ringbuffer.h>
#include <linux/smp.h>

struct elf_siginfo { int si_signo, si_code, si_errno; };
struct old_timeval { long tv_sec, tv_usec; };
struct elf_prstatus_common { struct elf_siginfo pr_info; short pr_cursig; unsigned long pr_sigpend, pr_sighold; pid_t pr_pid, pr_ppid, pr_pgrp, pr_sid; struct old_timeval pr_utime, pr_stime, pr_cutime, pr_cstime; };
struct elf_prstatus { struct elf_prstatus_common common; unsigned long pr_reg[27]; int pr_fpvalid; };

#define NT_PRSTATUS 1
static note_buf_t crash_notes_store[NR_CPUS] __aligned(8);
DEFINE_PER_CPU(note_buf_t *, crash_notes);
int crashing_cpu = -1;

unsigned char vmcoreinfo_data[PAGE_SIZE];
size_t vmcoreinfo_size;
u32 vmcoreinfo_note[(PAGE_SIZE + 64) / 4];

extern struct list_head vmap_area_list;
extern struct mem_section **mem_section;
extern struct pglist_data *node_data[];
extern nodemask_t node_states[];
extern struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; } shadow_timekeeper;
extern unsigned long phys_base;

void vmcoreinfo_append_str(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vmcoreinfo_size += vsnprintf((char *)vmcoreinfo_data + vmcoreinfo_size, sizeof(vmcoreinfo_data) - vmcoreinfo_size, fmt, args);
	va_end(args);
}
#define SYMBOL(n) vmcoreinfo_append_str("SYMBOL(%s)=%lx\n", #n, (unsigned long)&n)
#define SYMBOL_ARRAY(n) vmcoreinfo_append_str("SYMBOL(%s)=%lx\n", #n, (unsigned long)n)
#define SIZE(n) vmcoreinfo_append_str("SIZE(%s)=%lu\n", #n, (unsigned long)sizeof(struct n))
#define OFFSET(s, m) vmcoreinfo_append_str("OFFSET(%s.%s)=%lu\n", #s, #m, (unsigned long)offsetof(struct s, m))
#define LENGTH(n, v) vmcoreinfo_append_str("LENGTH(%s)=%lu\n", #n, (unsigned long)(v))
#define NUMBER(n, v) vmcoreinfo_append_str("NUMBER(%s)=%ld\n", #n, (long)(v))

static void update_vmcoreinfo_note(void)
{
	vmcoreinfo_note[0] = 11;
	vmcoreinfo_note[1] = vmcoreinfo_size;
	vmcoreinfo_note[2] = 0;
	memcpy(&vmcoreinfo_note[3], "VMCOREINFO", 11);
	memcpy(&vmcoreinfo_note[6], vmcoreinfo_data, vmcoreinfo_size);
}

/* At the crash: when it was. */
void crash_save_vmcoreinfo(void)
{
	vmcoreinfo_append_str("CRASHTIME=%lu\n", (unsigned long)shadow_timekeeper.xtime_sec);
	update_vmcoreinfo_note();
}

unsigned long paddr_vmcoreinfo_note(void)
{
	return __pa(vmcoreinfo_note);
}

static int crash_save_vmcoreinfo_init(void)
{
	char id[BUILD_ID_TEXT];

	vmcoreinfo_append_str("OSRELEASE=%s\n", init_uts_ns.name.release);
	vmcoreinfo_append_str("BUILD-ID=%s\n", build_id_text(vmlinux_build_id, id) + 1);
	vmcoreinfo_append_str("PAGESIZE=%lu\n", (unsigned long)PAGE_SIZE);
	SYMBOL(init_uts_ns);
	OFFSET(uts_namespace, name);
	SYMBOL_ARRAY(node_states);
	vmcoreinfo_append_str("SYMBOL(node_online_map)=%lx\n", (unsigned long)&node_states[N_ONLINE]);
	vmcoreinfo_append_str("SYMBOL(swapper_pg_dir)=%lx\n", (unsigned long)init_top_pgt);
	SYMBOL_ARRAY(_stext);
	SYMBOL(vmap_area_list);
	SYMBOL(mem_section);
	LENGTH(mem_section, 2048);
	SIZE(mem_section);
	OFFSET(mem_section, section_mem_map);
	NUMBER(SECTION_SIZE_BITS, 27);
	NUMBER(MAX_PHYSMEM_BITS, 46);
	SIZE(page);
	SIZE(pglist_data);
	SIZE(zone);
	SIZE(free_area);
	SIZE(list_head);
	vmcoreinfo_append_str("SIZE(nodemask_t)=%lu\n", (unsigned long)sizeof(nodemask_t));
	OFFSET(page, flags);
	OFFSET(page, _refcount);
	OFFSET(page, mapping);
	OFFSET(page, lru);
	OFFSET(page, _mapcount);
	OFFSET(page, private);
	OFFSET(page, compound_dtor);
	OFFSET(page, compound_order);
	OFFSET(page, compound_head);
	OFFSET(pglist_data, node_zones);
	OFFSET(pglist_data, nr_zones);
	OFFSET(pglist_data, node_start_pfn);
	OFFSET(pglist_data, node_spanned_pages);
	OFFSET(pglist_data, node_id);
	OFFSET(zone, free_area);
	OFFSET(zone, vm_stat);
	OFFSET(zone, spanned_pages);
	OFFSET(free_area, free_list);
	OFFSET(list_head, next);
	OFFSET(list_head, prev);
	OFFSET(vmap_area, va_start);
	OFFSET(vmap_area, list);
	LENGTH(zone.free_area, MAX_ORDER);
	SYMBOL_ARRAY(node_data);
	LENGTH(node_data, 1);
	SYMBOL(prb);
	SYMBOL(log_buf);
	SYMBOL(log_buf_len);
	SYMBOL(clear_seq);
	SIZE(printk_ringbuffer);
	OFFSET(printk_ringbuffer, desc_ring);
	OFFSET(printk_ringbuffer, text_data_ring);
	OFFSET(printk_ringbuffer, fail);
	SIZE(prb_desc_ring);
	OFFSET(prb_desc_ring, count_bits);
	OFFSET(prb_desc_ring, descs);
	OFFSET(prb_desc_ring, infos);
	OFFSET(prb_desc_ring, head_id);
	OFFSET(prb_desc_ring, tail_id);
	SIZE(prb_desc);
	OFFSET(prb_desc, state_var);
	OFFSET(prb_desc, text_blk_lpos);
	SIZE(prb_data_blk_lpos);
	OFFSET(prb_data_blk_lpos, begin);
	OFFSET(prb_data_blk_lpos, next);
	SIZE(printk_info);
	OFFSET(printk_info, seq);
	OFFSET(printk_info, ts_nsec);
	OFFSET(printk_info, text_len);
	OFFSET(printk_info, caller_id);
	OFFSET(printk_info, dev_info);
	SIZE(dev_printk_info);
	OFFSET(dev_printk_info, subsystem);
	LENGTH(printk_info_subsystem, 16);
	OFFSET(dev_printk_info, device);
	LENGTH(printk_info_device, 48);
	SIZE(prb_data_ring);
	OFFSET(prb_data_ring, size_bits);
	OFFSET(prb_data_ring, data);
	vmcoreinfo_append_str("SIZE(atomic_long_t)=8\nOFFSET(atomic_long_t.counter)=0\n");
	SIZE(latched_seq);
	OFFSET(latched_seq, val);
	LENGTH(free_area.free_list, MIGRATE_TYPES);
	NUMBER(NR_FREE_PAGES, NR_FREE_PAGES);
	NUMBER(PG_lru, PG_lru);
	NUMBER(PG_private, PG_private);
	NUMBER(PG_swapcache, PG_swapcache);
	NUMBER(PG_swapbacked, PG_swapbacked);
	NUMBER(PG_slab, PG_slab);
	NUMBER(PG_hwpoison, PG_hwpoison);
	NUMBER(PG_head_mask, 1L << PG_head);
	NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE, -129);
	NUMBER(HUGETLB_PAGE_DTOR, 2);
	NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE, -257);
	NUMBER(phys_base, phys_base);
	SYMBOL_ARRAY(init_top_pgt);
	NUMBER(pgtable_l5_enabled, 0);
	vmcoreinfo_append_str("KERNELOFFSET=0\n");
	NUMBER(KERNEL_IMAGE_SIZE, 0x40000000);
	NUMBER(sme_mask, 0);

	update_vmcoreinfo_note();
	for (unsigned int cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (cpu_online(cpu))
			per_cpu(crash_notes, cpu) = &crash_notes_store[cpu];
	return 0;
}
core_initcall(crash_save_vmcoreinfo_init);

void crash_save_cpu(struct pt_regs *regs, int cpu)
{
	u32 *note = (u32 *)per_cpu(crash_notes, cpu);
	struct elf_prstatus *status = (void *)(note + 5);

	if (!note) /* before core_initcall */
		return;
	memset(note, 0, sizeof(note_buf_t));
	note[0] = 5;
	note[1] = sizeof(*status);
	note[2] = NT_PRSTATUS;
	memcpy(&note[3], "CORE", 5);
	status->common.pr_pid = current->pid;
	memcpy(status->pr_reg, regs, sizeof(*regs)); /* user_regs_struct begins as pt_regs does */
}

/* Whether an oops goes to the crash kernel itself. After the notifiers it is panic() that does, so that they are called. */
bool kexec_should_crash(struct task_struct *p)
{
	return !crash_kexec_post_notifiers && (in_interrupt() || !p->pid || p->pid == 1 || panic_on_oops);
}

/* Registers as they are here, for a panic without a register frame. Part of its caller: RIP and RSP are of one frame. */
static __attribute__((always_inline)) inline void crash_setup_regs(struct pt_regs *to, struct pt_regs *from)
{
	if (from) {
		*to = *from;
		return;
	}
	memset(to, 0, sizeof(*to));
	__asm__ volatile("mov %%rbp, %0; mov %%rsp, %1; mov %%rbx, %2" : "=m"(to->bp), "=m"(to->sp), "=m"(to->bx));
	__asm__ volatile("mov %%r12, %0; mov %%r13, %1; mov %%r14, %2; mov %%r15, %3" : "=m"(to->r12), "=m"(to->r13), "=m"(to->r14), "=m"(to->r15));
	__asm__ volatile("lea (%%rip), %0" : "=r"(to->ip));
	to->cs = __KERNEL_CS;
	to->ss = __KERNEL_DS;
	to->flags = local_save_flags();
}

/* The other CPUs stop where they are; everybody's registers are in crash_notes. */
static noinline void machine_crash_shutdown(struct pt_regs *regs)
{
	local_irq_disable();
	nmi_shootdown_cpus();
	crash_save_cpu(regs, smp_processor_id());
	if (in_nmi())
		crash_settle_nmi_stack();
}

/* Leaves the registers where dumps find them and goes to the crash kernel, if there is one. */
noinline void __crash_kexec(struct pt_regs *regs)
{
	struct pt_regs fixed_regs;

	if (crashing_cpu != -1 && crashing_cpu != smp_processor_id()) /* another CPU's crash */
		return;
	crash_setup_regs(&fixed_regs, regs);
	crashing_cpu = smp_processor_id();
	machine_crash_shutdown(&fixed_regs);
	/* Ahead of the return in the code too: crash sizes a frame by the instructions before the call. */
	if (likely(kexec_crash_image)) {
		crash_save_vmcoreinfo();
		machine_kexec(kexec_crash_image);
	}
}

/* From an oops that is likely to be a panic: no other CPU may get there first. Without a crash kernel it may end otherwise. */
noinline void crash_kexec(struct pt_regs *regs)
{
	int expected = -1, cpu = smp_processor_id();

	if (!kexec_crash_image)
		return;
	if (__atomic_compare_exchange_n(&panic_cpu.counter, &expected, cpu, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) || expected == cpu)
		__crash_kexec(regs);
	else
		panic_smp_self_stop();
}
