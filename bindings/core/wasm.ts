/** Instantiation of core.wasm: its own memory, its exports as plain functions. */
import { instantiate as load } from "@assemblyscript/loader";
import { CrashlabError } from "../error.ts";
import { FRAMES } from "./layout.ts";

/** What assembly/index.ts exports. Numbers only; 64-bit values as bigint, on cold paths. */
export interface CoreExports extends Record<string, unknown> {
  reset(ramMegabytes: number, cpus: number, startSeconds: number, serialPorts: number): void;
  run(budget: number): number;
  framePointer(page: number): number;
  framePointerForWrite(page: number): number;
  selectMode(): void;
  flushTlb(): void;
  flushAllTlbs(): void;
  activate(cpu: number): void;
  unbindWrites(): void;
  adoptCpus(): void;
  framesReset(): void;
  tracesReset(): void;
  rflags(): bigint;
  setRflags(value: bigint): void;
  stateHash(): bigint;
  cpuNmi(cpu: number): void;
  setLineFault(line: number, kind: number, count: number, nanoseconds: bigint): void;
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
  mmioRead(physical: bigint, size: number): bigint;
  mmioWrite(physical: bigint, size: number, value: bigint): void;
  uartUpdate(index: number): void;
  blockAttach(sectors: bigint): void;
  blockComplete(status: number): void;
  doorbellAnswer(result: number): void;
  doorbellSignal(high: number): void;
  interruptPending(): number;
  acknowledgeInterrupt(): number;
  nextDeadline(): bigint;
  runDueEvents(): void;
}

/** What the core asks of the host. */
export interface CoreHost {
  /** Fills a frame that is used for the first time; 0 leaves it zero. */
  fetchFrame: (frame: number, address: number) => number;
  /** A frame whose content a snapshot refers to is about to be written. */
  keepFrame: (frame: number) => void;
  /** Called for every instruction or branch while hooks are set; 1 ends the run. */
  instruction: (cpu: number) => number;
  branch: (cpu: number, fromLow: number, fromHigh: number) => number;
}

/** One instance of the core with its memory. */
export class CoreInstance {
  readonly exports: CoreExports;
  readonly memory: WebAssembly.Memory;
  /** Answers what the core asks; whoever uses the instance sets it. */
  readonly host: CoreHost;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;

  constructor(exports: CoreExports, memory: WebAssembly.Memory, host: CoreHost) {
    this.exports = exports;
    this.memory = memory;
    this.host = host;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /** All of its memory. Memory that grows becomes another buffer: take this anew after a call into the core. */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#refresh();
    return this.#bytes;
  }

  get view(): DataView {
    this.#refresh();
    return this.#view;
  }

  #refresh(): void {
    // The buffer of memory that has grown is detached, and has no length.
    if (this.#bytes.length !== 0) return;
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#view = new DataView(this.memory.buffer);
  }
}

const WASM_PAGE = 0x10000;

/** Compiles once, whatever number of machines. */
const modules = new WeakMap<Uint8Array, Promise<WebAssembly.Module>>();

function compile(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  let module = modules.get(bytes);
  if (module === undefined) {
    module = WebAssembly.compile(bytes);
    modules.set(bytes, module);
  }
  return module;
}

/** A fresh core, not yet reset, with memory for `ramBytes` of guest memory at most; it grows as the guest touches pages. */
export async function instantiateCore(
  bytes: Uint8Array<ArrayBuffer>,
  ramBytes: number,
): Promise<CoreInstance> {
  const maximum = Math.min(65536, Math.ceil((FRAMES + ramBytes) / WASM_PAGE) + 64);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: FRAMES / WASM_PAGE, maximum });
  } catch (cause) {
    throw new CrashlabError(
      "out-of-memory",
      `expected room for ${maximum} pages of WebAssembly memory, found none; give the machine less memory`,
      { cause },
    );
  }
  const abort = (): never => {
    throw new CrashlabError(
      "core-failure",
      "expected the core to go on, found an abort inside it; please report this",
    );
  };
  const host: CoreHost = {
    fetchFrame: () => 0,
    keepFrame: () => undefined,
    instruction: () => 0,
    branch: () => 0,
  };
  const result = await load<CoreExports>(await compile(bytes), {
    env: { memory, abort },
    frames: {
      fetchFrame: (frame: number, address: number) => host.fetchFrame(frame, address),
      keepFrame: (frame: number) => host.keepFrame(frame),
    },
    instruments: {
      instruction: (cpu: number) => host.instruction(cpu),
      branch: (cpu: number, low: number, high: number) => host.branch(cpu, low, high),
    },
  });
  // The loader's own wrappers cost four times a plain call.
  const exports = result.instance.exports as unknown as CoreExports;
  return new CoreInstance(exports, memory, host);
}
