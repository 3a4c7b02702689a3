/**
 * Where the image of 32-bit cases has its tables; everything else is where the 64-bit image has it (system/places.ts).
 * The monitor runs without paging, at physical addresses; a case's tables map the same.
 */
import { MONITOR_TABLES, TABLES } from "../system/places.ts";

/** 32-bit paging: the directory, the table of 400000h to 7FFFFFh, the table whose shape is tried. */
export const DIRECTORY: number = TABLES;
export const TABLE: number = TABLES + 0x1000;
export const SHAPE_TABLE: number = TABLES + 0x2000;
/** PAE paging: the pointers, the first directory with its table, the directory and the table that are tried. */
export const PAE_POINTERS: number = TABLES + 0x3000;
export const PAE_DIRECTORY: number = TABLES + 0x4000;
export const PAE_TABLE: number = TABLES + 0x5000;
export const PAE_SHAPE_DIRECTORY: number = TABLES + 0x6000;
export const PAE_SHAPE_TABLE: number = TABLES + 0x7000;
/**
 * 1 MiB to 4 MiB by 4 KiB pages, so that CR4.PSE has no say in them. What lies below is not the same in two machines:
 * where code ends up there, at 16-bit offsets, it finds no page.
 */
export const IDENTITY: number = MONITOR_TABLES;
export const PAE_IDENTITY: number = MONITOR_TABLES + 0x1000;
export const IDENTITY_FROM = 0x100000;

/** What a record is made of before paging is off and the records can be reached. */
export const SCRATCH = 0x150100;
