/** Open files of a task, its root and working directory. Mirrors Linux include/linux/fdtable.h and fs_struct.h. */
import { dentryPath } from "./paths.ts";
import type { Program } from "./program.ts";
import type { Task } from "./tasks.ts";

/** An open file descriptor. */
export interface OpenFile {
  readonly descriptor: number;
  readonly file: bigint;
  readonly dentry: bigint;
  readonly inode: bigint;
  /** REG, DIR, CHR, BLK, FIFO, SOCK, LNK; "" for others. */
  readonly type: string;
  readonly path: string;
}

/** A task's open files and folders. */
export interface FilesOfTask {
  readonly root: string;
  readonly workingDirectory: string;
  readonly files: readonly OpenFile[];
}

const DESCRIPTORS_LIMIT = 1 << 16;
const FILE_TYPES: ReadonlyMap<number, string> = new Map([
  [0o010000, "FIFO"],
  [0o020000, "CHR"],
  [0o040000, "DIR"],
  [0o060000, "BLK"],
  [0o100000, "REG"],
  [0o120000, "LNK"],
  [0o140000, "SOCK"],
]);

/** Undefined for a task without files: one that has exited. */
export async function filesOf(program: Program, task: Task): Promise<FilesOfTask | undefined> {
  const fs = await task.value.member("fs").target();
  const table = await task.value.member("files").target();
  if (table.address === 0n || fs.address === 0n) return undefined;
  const descriptors = await table.member("fdt").target();
  const count = Math.min(await descriptors.member("max_fds").number(), DESCRIPTORS_LIMIT);
  const pointers = await descriptors.member("fd").u64();
  const type = program.type("struct file");
  const files: OpenFile[] = [];
  for (let descriptor = 0; descriptor < count; descriptor++) {
    const address = await program.memory.u64(pointers + BigInt(descriptor * 8));
    if (address === 0n) continue;
    const file = program.value(type, address);
    const dentry = await file.member("f_path.dentry").target();
    if (dentry.address === 0n) {
      const none = { dentry: 0n, inode: 0n, type: "", path: "" };
      files.push({ descriptor, file: address, ...none });
      continue;
    }
    const inode = await dentry.member("d_inode").target();
    const mode = inode.address === 0n ? 0 : await inode.member("i_mode").number();
    files.push({
      ...{ descriptor, file: address, dentry: dentry.address, inode: inode.address },
      type: FILE_TYPES.get(mode & 0o170000) ?? "",
      path: await dentryPath(program, file.member("f_path")),
    });
  }
  return {
    root: await dentryPath(program, fs.member("root")),
    workingDirectory: await dentryPath(program, fs.member("pwd")),
    files,
  };
}
