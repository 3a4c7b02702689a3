/** WARN() and what lockdep says: kernel/panic.c __warn(), kernel/locking/lockdep.c. */
import { readPlace } from "../places.ts";
import type { Family, Title } from "./family.ts";

/** Places of WARN() that say what is wrong; the function to blame is behind the check. */
const KNOWN: readonly (readonly [RegExp, Title])[] = [
  [
    /lib\/debugobjects\.c/,
    {
      text: "WARNING: ODEBUG bug in %s",
      type: "MEMORY_SAFETY_WARNING",
      skip: /debug_|rcu|hrtimer_|timer_|work_|percpu_|kmem_|slab_|kfree|vunmap|vfree|__free_|kobject_/,
    },
  ],
  [/mm\/usercopy\.c/, { text: "WARNING: bad usercopy in %s", type: "WARNING", skip: /usercopy|__check/ }],
  [/lib\/kobject\.c/, { text: "WARNING: kobject bug in %s", type: "WARNING", skip: /kobject_/ }],
  [/fs\/proc\/generic\.c/, { text: "WARNING: proc registration bug in %s", type: "WARNING", skip: /proc_/ }],
  [
    /lib\/refcount\.c/,
    { text: "WARNING: refcount bug in %s", type: "MEMORY_SAFETY_WARNING", skip: /refcount|kobject_/ },
  ],
  [
    /kernel\/locking\/lockdep\.c/,
    { text: "WARNING: locking bug in %s", type: "LOCKDEP", skip: /lock_sock|release_sock/ },
  ],
  [
    /mm\/[\w/]{1,60}\.c:\d+ (?:k.?.?malloc|krealloc|kvmalloc)/,
    {
      text: "WARNING: kmalloc bug in %s",
      type: "WARNING",
      skip: /kmalloc|kcalloc|kzalloc|krealloc|vmalloc|slab|kmem/,
    },
  ],
];
const PLAIN: Title = { text: "WARNING in %s", type: "WARNING" };

const LOCKDEP_TITLES: readonly (readonly [RegExp, string])[] = [
  [/possible|lock order detected/, "possible deadlock in %s"],
  [/inconsistent lock state/, "inconsistent lock state in %s"],
  [/suspicious RCU usage/, "WARNING: suspicious RCU usage in %s"],
  [/bad unlock balance/, "WARNING: bad unlock balance in %s"],
  [/held lock freed/, "WARNING: held lock freed in %s"],
];

export const WARNING: Family = {
  opens: [
    [
      /^WARNING: CPU: (\d{1,6}) PID: (\d{1,10}) at (?:(\S{1,400}):(\d{1,7}) )?(\S.{0,300})$/,
      ([, cpu, pid, file, line, where = ""]) => {
        const place = readPlace(where);
        return {
          kind: "warning",
          title: KNOWN.find(([pattern]) => pattern.test(`${file}:${line} ${where}`))?.[1] ?? PLAIN,
          cpu: Number(cpu),
          pid: Number(pid),
          parts: ["who", "rip", "trace", "end"],
          ...(file === undefined ? {} : { source: { file, line: Number(line) } }),
          ...(place === undefined ? {} : { place }),
        };
      },
    ],
    [
      /^(?:WARNING|INFO|\[ INFO): ((?:possible (?:circular locking dependency|irq lock inversion dependency|recursive locking)|\S{4,7}IRQ-safe -> \S{4,7}IRQ-unsafe lock order) detected|inconsistent lock state|suspicious RCU usage|bad unlock balance detected|held lock freed)/,
      ([, what = ""]) => ({
        kind: "lockdep",
        title: {
          text: LOCKDEP_TITLES.find(([pattern]) => pattern.test(what))?.[1] ?? "possible deadlock in %s",
          type: "LOCKDEP",
          from: ["headline", "trace"],
          skip: /rcu|kmem|slab|kmalloc|vmalloc/,
        },
        parts: ["who", "trace"],
        endsWithTrace: true,
      }),
    ],
  ],
};
