/** VMCOREINFO: what a kernel tells dump tools about itself, KEY=VALUE lines. Mirrors Linux kernel/vmcore_info.c. */

export class VmcoreInfo {
  /** The lines by their keys, as they are in the dump. */
  readonly values: ReadonlyMap<string, string>;

  constructor(text: string) {
    const values = new Map<string, string>();
    for (const line of text.split("\n")) {
      const at = line.indexOf("=");
      if (at > 0) values.set(line.slice(0, at), line.slice(at + 1));
    }
    this.values = values;
  }

  /** `uname -r` of the kernel. */
  get release(): string | undefined {
    return this.values.get("OSRELEASE");
  }

  /** BUILD-ID of the kernel, hexadecimal. */
  get buildId(): string | undefined {
    return this.values.get("BUILD-ID");
  }

  /** How far KASLR moved the kernel from where its vmlinux is linked. */
  get kernelOffset(): bigint {
    return parseHex(this.values.get("KERNELOFFSET")) ?? 0n;
  }

  /** SYMBOL(name): an address. */
  symbol(name: string): bigint | undefined {
    return parseHex(this.values.get(`SYMBOL(${name})`));
  }

  /** NUMBER(name). */
  number(name: string): bigint | undefined {
    return parseDecimal(this.values.get(`NUMBER(${name})`));
  }

  /** SIZE(name), in bytes. */
  size(name: string): number | undefined {
    return toNumber(parseDecimal(this.values.get(`SIZE(${name})`)));
  }

  /** Offset of a member: `printk_info.seq`. */
  offset(member: string): number | undefined {
    return toNumber(parseDecimal(this.values.get(`OFFSET(${member})`)));
  }

  /** LENGTH(name): elements of an array. */
  length(name: string): number | undefined {
    return toNumber(parseDecimal(this.values.get(`LENGTH(${name})`)));
  }
}

function parseHex(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
}

function parseDecimal(text: string | undefined): bigint | undefined {
  return text !== undefined && /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}

function toNumber(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
