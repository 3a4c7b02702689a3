/**
 * A board is an instance of the core with its memory. It can serve one machine after another, and the next one gains by
 * it: memory that was touched before costs nothing to touch again, and where two machines come from the same snapshot,
 * only the pages in which they differ are copied.
 */
import { CrashlabError } from "../error.ts";
import { GuestMemory } from "./guest_memory.ts";
import * as at from "./layout.ts";
import { type CompleteOptions, MIB } from "./options.ts";
import { type CoreInstance, instantiateCore } from "./wasm.ts";

/** Boards that wait for a machine: at most so many for each core, and no more than so many bytes of memory. */
const MOST_IDLE = 4;
const MOST_IDLE_BYTES = 512 * MIB;

type Shape = Pick<CompleteOptions, "ramBytes" | "cpus" | "startSeconds" | "serialPorts">;

const idle = new WeakMap<Uint8Array, Board[]>();

export class Board {
  readonly instance: CoreInstance;
  readonly memory: GuestMemory;
  /** Breakpoints are part of decoded code: those in what is decoded here, whoever set them. */
  breakpoints: readonly bigint[] = [];
  readonly #wasm: Uint8Array<ArrayBuffer>;
  readonly #ramBytes: number;
  readonly #cpus: number;

  private constructor(wasm: Uint8Array<ArrayBuffer>, { ramBytes, cpus }: Shape, instance: CoreInstance) {
    this.#wasm = wasm;
    this.#ramBytes = ramBytes;
    this.#cpus = cpus;
    this.instance = instance;
    this.memory = new GuestMemory(instance, ramBytes);
    instance.host.fetchFrame = (frame, address) => this.memory.fetch(frame, address);
    instance.host.keepFrame = (frame) => this.memory.keep(frame);
  }

  /** One for a machine of this shape: one that has served, with memory of this line if there is one, or a new one. */
  static async take(wasm: Uint8Array<ArrayBuffer>, shape: Shape, line?: symbol): Promise<Board> {
    const boards = idle.get(wasm) ?? [];
    const fits = boards.filter((board) => board.#ramBytes === shape.ramBytes && board.#cpus === shape.cpus);
    const board = fits.findLast(({ memory }) => memory.line === line) ?? fits.at(-1);
    if (board !== undefined) {
      boards.splice(boards.indexOf(board), 1);
      return board;
    }
    const made = new Board(wasm, shape, await instantiateCore(wasm, shape.ramBytes));
    made.reset(shape);
    const [magic, version] = [at.HEADER, at.HEADER + 4].map((place) =>
      made.instance.view.getUint32(place, true),
    );
    if (magic !== at.MAGIC || version !== at.VERSION) {
      throw new CrashlabError(
        "core-failure",
        `expected a core of layout version ${at.VERSION}, found ${version}; rebuild it: npm run build:core`,
      );
    }
    return made;
  }

  /** Power-on. */
  reset({ ramBytes, cpus, startSeconds, serialPorts }: Shape): void {
    this.memory.clear();
    this.instance.exports.reset(ramBytes / MIB, cpus, startSeconds, serialPorts);
  }

  /** The machine it served is no more. */
  release(): void {
    const { host, memory } = this.instance;
    host.instruction = host.branch = (): number => 0;
    // Snapshots and forks may refer to what lies here.
    if (this.memory.isShared) return;
    const boards = idle.get(this.#wasm) ?? [];
    const bytes = boards.reduce((sum, board) => sum + board.instance.bytes.length, memory.buffer.byteLength);
    if (boards.length >= MOST_IDLE || bytes > MOST_IDLE_BYTES) return;
    boards.push(this);
    idle.set(this.#wasm, boards);
  }
}
