/** Names of files from their dentries and mounts. Mirrors Linux fs/d_path.c. */
import type { Program } from "./program.ts";
import type { Value } from "./value.ts";

const DEPTH_LIMIT = 128;

/** The path that a struct path {mnt, dentry} has in its namespace. */
export async function dentryPath(program: Program, path: Value): Promise<string> {
  let dentry = await path.member("dentry").target();
  let mount = await mountOf(program, path);
  const names: string[] = [];
  for (let depth = 0; depth < DEPTH_LIMIT && dentry.address !== 0n; depth++) {
    const parent = await dentry.member("d_parent").target();
    const root = mount === undefined ? 0n : await mount.member("mnt.mnt_root").u64();
    if (dentry.address === root || parent.address === dentry.address) {
      // The root of a file system goes on where that is mounted.
      const above = mount === undefined ? undefined : await mount.member("mnt_parent").target();
      const readable = above !== undefined && (await program.memory.tryRead(above.address, 8)) !== undefined;
      if (mount === undefined || !readable || above.address === mount.address) {
        if (parent.address === dentry.address && names.length === 0) return rootName(dentry);
        break;
      }
      const below = await mount.member("mnt_mountpoint").target();
      if ((await program.memory.tryRead(below.address, below.size)) === undefined) break;
      dentry = below;
      mount = above;
      continue;
    }
    names.push(await nameOf(dentry));
    dentry = parent;
  }
  return `/${names.reverse().join("/")}`;
}

/** The struct mount that a struct vfsmount is inside of. */
async function mountOf(program: Program, path: Value): Promise<Value | undefined> {
  const mnt = await path.member("mnt").target();
  const type = program.findType("struct mount");
  return mnt.address === 0n || type === undefined ? undefined : mnt.containerOf(type, "mnt");
}

async function nameOf(dentry: Value): Promise<string> {
  const length = await dentry.member("d_name.len").number();
  return dentry.memory.string(await dentry.member("d_name.name").u64(), Math.min(length, 255));
}

/** A root without mount: "/", or the name of a pipe or socket. */
async function rootName(dentry: Value): Promise<string> {
  const name = await nameOf(dentry);
  return name === "" || name === "/" ? "/" : name;
}
