import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { boot } from "./machines.ts";

let machine: Machine;
const sh = async (command: string): Promise<string> => (await machine.exec(command)).stdout;

beforeAll(async () => {
  machine = await boot();
});

describe("the guest's shell", () => {
  it.each([
    ["echo one; echo two", "one\ntwo\n"],
    ["true && echo yes || echo no", "yes\n"],
    ["! true; echo $?", "1\n"],
    ["(exit 3); echo $?", "3\n"],
    ["for i in a 'b c' d; do echo \"<$i>\"; done", "<a>\n<b c>\n<d>\n"],
    ['i=; while [ "$i" != xxx ]; do i="$i"x; done; echo $i', "xxx\n"],
    ["if [ -e /proc/version ]; then echo there; else echo gone; fi", "there\n"],
    ['x=$(echo a b; echo c); echo "$x" $x', "a b\nc a b c\n"],
    ["echo out > /tmp/f; echo more >> /tmp/f; cat < /tmp/f", "out\nmore\n"],
    ["cat /no 2> /dev/null; echo $?", "1\n"],
    ["seq 100 | tail -n 3 | head -n 1", "98\n"],
    ["dmesg | grep -c 'Linux version 5.15.0'", "1\n"],
    ["printf '%s=%d\\n' a 1 b 2", "a=1\nb=2\n"],
    ["nosuch 2>&1; echo $?", "sh: nosuch: not found\n127\n"],
    ["cd /lib/modules; pwd; echo *; cd /", "/lib/modules\n5.15.0\n"],
    ["sh -c 'kill -SEGV $$' 2>&1; echo $?", "Segmentation fault\n139\n"],
    ["echo $HOME $NOPE; unset HOME; echo $HOME", "/root\n\n"],
    ["cat /proc/sys/kernel/osrelease; uname -r", "5.15.0\n5.15.0\n"],
    ["ls -l /dev/null | cut 2> /dev/null; ls /dev | grep null", "null\n"],
    ["sleep 0.5 & wait; echo done", "done\n"],
  ])("%s", async (command, expected) => {
    expect(await sh(command)).toBe(expected);
  });

  it("has each process in an address space of its own", async () => {
    expect(await sh("cat /proc/1/maps")).toMatch(/^00400000-[0-9a-f]{8} r-xp 00000000 00:01 \d+ +\/init$/m);
    expect(await sh("ps")).toMatch(/^ +1 +0 S +init$/m);
  });

  it("says why a module can't be loaded", async () => {
    await machine.exec("echo garbage > /tmp/m.ko");
    expect(await sh("insmod /tmp/m.ko 2>&1")).toBe(
      "insmod: ERROR: could not insert module /tmp/m.ko: Invalid module format\n",
    );
    expect(await sh("insmod /init 2>&1")).toContain("Invalid module format");
    expect(await sh("rmmod nothing 2>&1")).toBe("rmmod: ERROR: Module nothing is not currently loaded\n");
  });

  it("keeps /proc closed to new files and wrong values", async () => {
    expect((await machine.exec("echo 1 > /proc/sys/kernel/bogus")).status).toBe(1);
    expect(await sh("echo x > /proc/sys/kernel/panic")).toContain("Invalid argument");
  });

  it("loads and unloads mydriver, and knows its taint", async () => {
    expect((await machine.exec("insmod mydriver")).status).toBe(0);
    expect(await sh("cat /proc/modules")).toMatch(/^mydriver \d+ 0 - Live 0xffffffffa0000000 \(OE\)$/m);
    expect(await sh("insmod mydriver 2>&1")).toContain("File exists");
    expect(await sh("cat /dev/mydriver")).toBe("mydriver\n");
    expect(await sh("cat /proc/sys/kernel/tainted")).toBe("12288\n");
    // Whoever has the device open keeps the driver.
    const held = await sh("(rmmod mydriver; lsmod) < /dev/mydriver 2>&1");
    expect(held).toMatch(/^rmmod: ERROR: Module mydriver is in use\nModule .*\nmydriver +\d+ +1\n$/);
    expect((await machine.exec("rmmod mydriver")).status).toBe(0);
    expect(await sh("lsmod")).toBe("Module                  Size  Used by\n");
  });

  it("reboots", async () => {
    await expect(machine.exec("reboot")).rejects.toMatchObject({ code: "machine-stopped" });
    expect(machine.consoleLog.at(-1)).toMatch(/reboot: Restarting system$/);
  });
});
