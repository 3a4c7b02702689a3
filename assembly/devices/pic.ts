/**
 * The pair of 8259A interrupt controllers: master at 20h/21h, slave at A0h/A1h cascaded on input 2, and the
 * edge/level registers of the chip sets at 4D0h/4D1h. Mirrors Intel's 8259A data sheet (231468): ICW1-4,
 * OCW1-3 with rotation, automatic end of interrupt, special mask, special fully nested and poll mode.
 */
import { PIC } from "./layout";

const CHIP_SIZE: u32 = 16;
const MASTER: u32 = PIC;
const SLAVE: u32 = PIC + CHIP_SIZE;
const CASCADE: u32 = 2;

// Fields of one chip, a byte each.
const IRR: u32 = 0; // requests
const ISR: u32 = 1; // in service
const IMR: u32 = 2; // masked
const LINES: u32 = 3; // level of the inputs
const VECTOR: u32 = 4; // ICW2
const LOWEST: u32 = 5; // input of lowest priority; rotation moves it
const INIT: u32 = 6; // next expected initialisation word: 0 none, 2, 3, 4
const WANT_ICW4: u32 = 7;
const SINGLE: u32 = 8;
const AUTO_EOI: u32 = 9;
const ROTATE_AUTO: u32 = 10;
const SPECIAL_MASK: u32 = 11;
const NESTED: u32 = 12; // special fully nested mode
const READ_ISR: u32 = 13;
const POLL: u32 = 14;
const LEVEL: u32 = 15; // ELCR: inputs that are level triggered

/** Register offsets as bus.ts presents them: 0, 1 master; 2, 3 slave; 4, 5 ELCR. */
export function picRead(offset: u32): u32 {
  if (offset >= 4) return get(chipOf(offset - 4), LEVEL);
  const chip = chipOf(offset >> 1);
  if (get(chip, POLL) != 0) {
    set(chip, POLL, 0);
    return poll(chip);
  }
  if ((offset & 1) != 0) return get(chip, IMR);
  return get(chip, get(chip, READ_ISR) != 0 ? ISR : IRR);
}

export function picWrite(offset: u32, value: u32): void {
  if (offset >= 4) {
    // Inputs 0-2 of the master and 0 and 5 of the slave belong to the board and stay edge triggered.
    set(chipOf(offset - 4), LEVEL, value & (offset == 4 ? 0xf8 : 0xde));
    return;
  }
  const chip = chipOf(offset >> 1);
  if ((offset & 1) != 0) writeData(chip, value);
  else if ((value & 0x10) != 0) initialize(chip, value);
  else if ((value & 0x08) != 0) operate3(chip, value);
  else operate2(chip, value);
}

export function picReset(): void {
  memory.fill(PIC, 0, CHIP_SIZE * 2);
  set(MASTER, LOWEST, 7);
  set(SLAVE, LOWEST, 7);
  set(MASTER, IMR, 0xff);
  set(SLAVE, IMR, 0xff);
}

/** Drives input 0-15. */
export function picSetLine(line: u32, high: bool): void {
  const chip = line < 8 ? MASTER : SLAVE;
  const mask: u32 = 1 << (line & 7);
  const before = get(chip, LINES);
  if (high) {
    if ((before & mask) == 0) set(chip, IRR, get(chip, IRR) | mask);
    set(chip, LINES, before | mask);
  } else {
    set(chip, LINES, before & ~mask);
    if ((get(chip, LEVEL) & mask) != 0) set(chip, IRR, get(chip, IRR) & ~mask);
  }
  cascade();
}

/** The INTR output of the master. */
export function picOutput(): bool {
  return requested(MASTER) >= 0;
}

/** The acknowledge cycle: the vector. A request that has gone leaves the spurious input 7. */
export function picAcknowledge(): i32 {
  const input = requested(MASTER);
  if (input < 0) return <i32>(get(MASTER, VECTOR) | 7);
  serve(MASTER, <u32>input);
  let vector = get(MASTER, VECTOR) | <u32>input;
  if (<u32>input == CASCADE && get(MASTER, SINGLE) == 0) {
    const inner = requested(SLAVE);
    if (inner < 0) vector = get(SLAVE, VECTOR) | 7;
    else {
      serve(SLAVE, <u32>inner);
      vector = get(SLAVE, VECTOR) | <u32>inner;
    }
  }
  cascade();
  return <i32>vector;
}

/** The slave's output is the master's input 2, as a level. */
function cascade(): void {
  const mask: u32 = 1 << CASCADE;
  if (requested(SLAVE) >= 0) set(MASTER, IRR, get(MASTER, IRR) | mask);
  else set(MASTER, IRR, get(MASTER, IRR) & ~mask);
}

/** The input that a chip would signal now, or -1: unmasked, and more urgent than all in service. */
function requested(chip: u32): i32 {
  const candidates = get(chip, IRR) & ~get(chip, IMR);
  if (candidates == 0) return -1;
  const mine = priority(chip, candidates);
  let served = get(chip, ISR);
  if (get(chip, SPECIAL_MASK) != 0) served &= ~get(chip, IMR);
  // In special fully nested mode the cascade input may interrupt its own service.
  if (get(chip, NESTED) != 0 && chip == MASTER) served &= ~((<u32>1) << CASCADE);
  if (served != 0 && priority(chip, served) <= mine) return -1;
  return <i32>((mine + get(chip, LOWEST) + 1) & 7);
}

/** Rank (0 most urgent) of the most urgent input in a set. */
function priority(chip: u32, inputs: u32): u32 {
  const first = get(chip, LOWEST) + 1;
  let rank: u32 = 0;
  while (rank < 7 && (inputs & (1 << ((rank + first) & 7))) == 0) rank++;
  return rank;
}

function serve(chip: u32, input: u32): void {
  const mask: u32 = 1 << input;
  if (get(chip, AUTO_EOI) != 0) {
    if (get(chip, ROTATE_AUTO) != 0) set(chip, LOWEST, input);
  } else {
    set(chip, ISR, get(chip, ISR) | mask);
  }
  if ((get(chip, LEVEL) & mask) == 0) set(chip, IRR, get(chip, IRR) & ~mask);
}

/** Poll command: the next read acknowledges and gives the input with bit 7 set. */
function poll(chip: u32): u32 {
  const input = requested(chip);
  if (input < 0) return 0;
  serve(chip, <u32>input);
  cascade();
  return 0x80 | <u32>input;
}

/** ICW1. Level requests survive; edges must come again. */
function initialize(chip: u32, value: u32): void {
  set(chip, IRR, get(chip, LINES) & get(chip, LEVEL));
  set(chip, ISR, 0);
  set(chip, IMR, 0);
  set(chip, LOWEST, 7);
  set(chip, SPECIAL_MASK, 0);
  set(chip, READ_ISR, 0);
  set(chip, POLL, 0);
  set(chip, AUTO_EOI, 0);
  set(chip, ROTATE_AUTO, 0);
  set(chip, NESTED, 0);
  set(chip, SINGLE, (value >> 1) & 1);
  set(chip, WANT_ICW4, value & 1);
  set(chip, INIT, 2);
  cascade();
}

/** The odd port: ICW2-4 while initialising, else OCW1 (the mask). */
function writeData(chip: u32, value: u32): void {
  switch (get(chip, INIT)) {
    case 2:
      set(chip, VECTOR, value & 0xf8);
      set(chip, INIT, get(chip, SINGLE) == 0 ? 3 : get(chip, WANT_ICW4) != 0 ? 4 : 0);
      return;
    case 3: // the wiring is fixed; nothing to learn
      set(chip, INIT, get(chip, WANT_ICW4) != 0 ? 4 : 0);
      return;
    case 4:
      set(chip, AUTO_EOI, (value >> 1) & 1);
      set(chip, NESTED, (value >> 4) & 1);
      set(chip, INIT, 0);
      return;
  }
  set(chip, IMR, value & 0xff);
  cascade();
}

/** OCW2: end of interrupt and rotation. */
function operate2(chip: u32, value: u32): void {
  const command = (value >> 5) & 7;
  const specific = value & 7;
  switch (command) {
    case 0: // rotate on automatic EOI off, on
    case 4:
      set(chip, ROTATE_AUTO, command >> 2);
      return;
    case 1: // end of the most urgent in service; 5 also rotates
    case 5: {
      const served = get(chip, ISR);
      if (served == 0) return;
      const input = (priority(chip, served) + get(chip, LOWEST) + 1) & 7;
      set(chip, ISR, served & ~(1 << input));
      if (command == 5) set(chip, LOWEST, input);
      break;
    }
    case 3: // specific end of interrupt; 7 also rotates
    case 7:
      set(chip, ISR, get(chip, ISR) & ~(1 << specific));
      if (command == 7) set(chip, LOWEST, specific);
      break;
    case 6: // set priority
      set(chip, LOWEST, specific);
      break;
  }
  cascade();
}

/** OCW3: special mask, poll, choice of the register to read. */
function operate3(chip: u32, value: u32): void {
  if ((value & 0x40) != 0) set(chip, SPECIAL_MASK, (value >> 5) & 1);
  if ((value & 0x04) != 0) set(chip, POLL, 1);
  else if ((value & 0x02) != 0) set(chip, READ_ISR, value & 1);
  cascade();
}

function chipOf(index: u32): u32 {
  return index == 0 ? MASTER : SLAVE;
}

function get(chip: u32, field: u32): u32 {
  return load<u8>(chip + field);
}

function set(chip: u32, field: u32, value: u32): void {
  store<u8>(chip + field, <u8>value);
}
