/**
 * Signatures of modules. The key is a TEST KEY, made from a fixed text so that every build gives the same bytes:
 * whoever reads this file can sign. The form is Linux's trailer (struct module_signature and the magic line, scripts/
 * sign-file.c) around a bare Ed25519 signature of everything before it, instead of PKCS#7.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

export const MAGIC = "~Module signature appended~\n";
/** id_type of struct module_signature; Linux's own end at 2 (PKCS#7). */
const PKEY_ID_ED25519 = 3;

function key(): KeyObject {
  const seed = createHash("sha256").update("crashlab test key for module signatures").digest();
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex"); // PKCS#8 of an Ed25519 seed, RFC 8410
  return createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
}

/** The 32 bytes that the kernel trusts. */
export function publicKey(): Uint8Array {
  return createPublicKey(key()).export({ format: "der", type: "spki" }).subarray(-32);
}

/** The module with its signature behind it. */
export function signModule(module: Uint8Array): Uint8Array {
  const signature = sign(null, module, key());
  const trailer = Buffer.alloc(12);
  trailer[2] = PKEY_ID_ED25519;
  trailer.writeUInt32BE(signature.length, 8);
  return Buffer.concat([module, signature, trailer, Buffer.from(MAGIC)]);
}
