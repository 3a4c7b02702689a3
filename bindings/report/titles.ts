/**
 * The title that syzkaller gives a crash, with the function it blames (pkg/report of github.com/google/syzkaller
 * names the same bug alike; so do thousands of reports on the mailing lists). Frames are walked from the top; what
 * checks, reports, locks, copies or prints is passed over, since it is where bugs show, not where they are.
 */
import type { Title } from "./families/family.ts";
import type { CodeLocation, TraceFrame } from "./types.ts";

export interface TitleSources {
  readonly headline: CodeLocation | undefined;
  readonly rip: CodeLocation | undefined;
  readonly trace: readonly TraceFrame[];
}

export interface MadeTitle {
  readonly title: string;
  readonly altTitles: readonly string[];
  readonly frame?: string;
  /** It wants a function, and none was there. */
  readonly incomplete: boolean;
}

export function makeTitle(title: Title, sources: TitleSources): MadeTitle {
  if (!title.text.includes("%s")) return { title: title.text, altTitles: title.alt ?? [], incomplete: false };
  const frame = pickFrame(title, sources);
  const fill = (text: string): string => text.replace("%s", () => frame ?? "corrupted");
  const altTitles = (title.alt ?? []).map(fill);
  if (frame === undefined) {
    // Code without unwind data, such as data that is executed, leaves a trace of doubtful frames only.
    const doubtful = sources.trace.map((each) => ({ ...each, reliable: true }));
    const guess = pickFrame(title, { ...sources, trace: doubtful });
    if (guess !== undefined) altTitles.unshift(title.text.replace("%s", () => guess));
  }
  return {
    title: fill(title.text),
    altTitles,
    ...(frame === undefined ? {} : { frame }),
    incomplete: frame === undefined,
  };
}

/** A function without what the compiler added: `.cold`, `.isra.0`, `.constprop.3`. */
export function plainName(symbol: string): string {
  return symbol.replace(/\..*$/, "");
}

function pickFrame(title: Title, sources: TitleSources): string | undefined {
  const frames = candidates(title, sources);
  const fit = frames.filter((name) => !isInnocent(name) && !title.skip?.test(name));
  if (title.pick === "stall") return stalled(fit) ?? fit[0];
  if (title.pick === "hang") return hung(frames);
  return fit[0];
}

function candidates(title: Title, { headline, rip, trace }: TitleSources): string[] {
  const names: string[] = [];
  for (const source of title.from ?? ["rip", "trace"]) {
    if (source === "trace") {
      const reliable = trace.filter((frame) => frame.reliable);
      // A tick that interrupted the loop is not the loop.
      const tick = reliable.findIndex(
        ({ symbol }) => symbol !== undefined && /apic_timer_interrupt/.test(symbol),
      );
      const own = title.pick === "stall" && rip === undefined ? reliable.slice(tick + 1) : reliable;
      for (const { symbol } of own) if (symbol !== undefined) names.push(plainName(symbol));
    } else {
      const symbol = (source === "rip" ? rip : headline)?.symbol;
      if (symbol !== undefined) names.push(plainName(symbol));
    }
  }
  return names;
}

/** Functions at which bugs show but which are not to blame, by what they do. */
const INNOCENT: readonly RegExp[] = [
  // Sanitizers and their reports
  /__sanitizer|__asan|kasan|__msan|kmsan|kcsan|ubsan|check_memory_region|read_word_at_a_time|print_(?:address_description|report)/,
  // Reporting and dying
  /dump_stack|show_stack|panic|__warn|warn_slowpath|warn_alloc|invalid_op|report_bug|fixup_bug|do_error|_trap|debug_object|_is_static_object|__stack_chk_fail/,
  // Locks and lockdep
  /lockdep|lock_acquire|lock_release|lock_class|reacquire_held_locks|(?:spin|raw_read|raw_write)_(?:try|un)?lock|mutex_(?:(?:try|un)?lock|remove_waiter)|osq_(?:un)?lock/,
  /^(?:down|up)(?:_(?:read|write)(?:_trylock|_killable|_interruptible)?)?$|rwsem_down|perf_trace|__wake_up/,
  // Counters and lists, which check themselves
  /refcount_(?:add|sub|inc|dec|set|read|warn)|list_(?:add|del|replace|move|splice)/,
  // Strings and memory
  /mem(?:cpy|cmp|set|chr|move)|str(?:n?cmp|l?cpy|ncpy|scpy|len|nstr|nlen|chr)|fortify_panic/,
  /copy_(?:to|from)_user|(?:put|get)_user|might_(?:fault|sleep)|usercopy_abort|__check_(?:object_size|heap_object)/,
  // Formatting and printing
  /_indirect_thunk_|^string|^pointer|sc?n?printf|kv?asprintf|printk|dev_(?:info|notice|warn|err|alert|crit|emerg)/,
  // Timers, work, waiting
  /del_timer|flush_work|cancel_work|try_to_grab_pending|(?:drain|destroy)_workqueue|finish_wait|kthread_stop/,
  // The device model, which is told of what others forgot
  /kobject_(?:del|put|uevent_env)|add_uevent_var|get_device_parent|device_(?:add|del|unregister|destroy|for_each_child|remove_file)|sysfs_remove|unregister_netdev|rollback_registered/,
  /hwrng_unregister|i2c_del_adapter|__unregister_client|usb_(?:kill_|control_msg|hcd_submit_urb|submit_urb)|dummy_urb_enqueue/,
];

function isInnocent(name: string): boolean {
  return INNOCENT.some((pattern) => pattern.test(name));
}

/** Where the kernel hands over to a system call, a work item, a softirq: what it called is the loop's name. */
const DISPATCHERS =
  /process_one_work|do_syscall_|do_fast_syscall_|netif_receive_skb|do_softirq|handle_softirqs|call_timer_fn|run_timer|run_ksoftirqd|smpboot_thread_fn|kthread|start_secondary|cpu_startup_entry|ret_from_fork|vfs_(?:write|read|iter_read|iter_write|ioctl|open)|do_iter_|blkdev_(?:driver_)?ioctl|^call_(?:read_iter|write_iter|mmap)|mmap_region|do_mmap|do_dentry_open|^_?_?sock_(?:sendmsg|recvmsg|release|mmap|do_ioctl|ioctl)|__sys_(?:setsockopt|listen|accept)|kernel_(?:setsockopt|accept)|sk_common_release|nfnetlink_rcv_msg|__do_fault|handle_mm_fault|do_page_fault|^page_fault$|__fput|task_work_run|exit_to_user/;

function stalled(frames: readonly string[]): string | undefined {
  const anchor = frames.findIndex((name) => DISPATCHERS.test(name));
  if (anchor < 0) return undefined;
  const name = frames[Math.max(0, anchor - 1)];
  return name?.replace(/^(?:__x64_|__ia32_|SYSC_|SyS_|compat_SYSC_|compat_SyS_)/, "");
}

/** Whole classes of hangs that have one cause, by the start of a function's name. */
const COMMON_WAITS: readonly (readonly [string, string | undefined])[] = [
  ["rtnl_lock", undefined],
  ["synchronize_rcu", "synchronize_rcu"],
  ["synchronize_srcu", "synchronize_rcu"],
  ["synchronize_net", "synchronize_rcu"],
  ["synchronize_sched", "synchronize_rcu"],
];
const WAITERS =
  /sched|_lock|_slowlock|down|rwsem|completion|kthread|wait|synchronize|context_switch|__switch_to|cancel_delayed_work/;

function hung(frames: readonly string[]): string | undefined {
  for (const name of frames) {
    const common = COMMON_WAITS.find(([start]) => name.startsWith(start));
    if (common !== undefined) return common[1] ?? name;
  }
  return frames.find((name) => !WAITERS.test(name));
}

/**
 * The same for two reports of one bug: kind, class and the functions of the first reliable frames. Numbers,
 * addresses, offsets, tasks and CPUs are left out.
 */
export function dedupeKey(kind: string, type: string, title: string, sources: TitleSources): string {
  const stack = [
    sources.rip?.symbol ?? sources.headline?.symbol,
    ...sources.trace.filter((frame) => frame.reliable).map((frame) => frame.symbol),
  ]
    .filter((symbol) => symbol !== undefined)
    .map(plainName)
    .filter((name) => !isInnocent(name))
    .slice(0, 5);
  const subject = title.replace(/0x[0-9a-f]+|\d+/g, "N");
  return [kind, type, subject, ...stack].join("|");
}
